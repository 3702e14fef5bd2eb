"""A server as it is seen from outside: its answers, its metrics, its log."""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from tests.server.ways.draws import KEY
from tests.server.ways.messages import Message
from tests.server.ways.wire import MADE_ID, Answer, Dialogue, Line

_SECONDS: Final = 10
_STEP: Final = 0.002

# How many rows were computed at once depends on what else had just arrived; how long
# that took, on the machine.
_OF_THE_MOMENT: Final = (
    "sigmoid_batch_rows",
    "sigmoid_model_batches",
    "sigmoid_model_request_seconds",
    "sigmoid_model_stage_seconds",
)

Counts = Counter[tuple[str, tuple[tuple[str, str], ...]]]
"""By the name and the labels of a series."""


class Observed:
    """A server, and what it counts and logs.

    Args:
        address: Where it listens.
        log: The file of its log, as JSON.
    """

    def __init__(self, address: tuple[str, int], log: Path) -> None:
        self._dialogue = Dialogue(address)
        self._log = log
        self._read_bytes = len(log.read_bytes())
        self._asked = 0
        self._counts: Counts = Counter()
        self._lines(self._count())

    def observe(
        self, groups: Sequence[Sequence[Sequence[Message]]]
    ) -> tuple[list[list[Answer]], Counts]:
        """Send requests.

        Args:
            groups: For each case what is sent, in pieces of several messages.

        Returns:
            The answers of each group, and what was counted meanwhile.
        """
        found = []
        for group in groups:
            answers: list[tuple[Answer, str]] = []
            for messages in group:
                if not answers or answers[-1][0].goes_on:
                    answers += self._dialogue.ask(messages)
            found.append(answers)
        self._dialogue.close()
        before = self._counts
        marker = self._count()
        lines = self._lines(marker)
        del lines[marker]
        told = [
            [answer._replace(log=_logged(lines, name)) for answer, name in answers]
            for answers in found
        ]
        are_told = all(name for answers in found for _, name in answers)
        assert not (lines and are_told), f"lines of no request: {lines}"
        return told, self._counts - before

    def _count(self) -> str:
        """Read the metrics; returns the id of the request that did."""
        self._asked += 1
        name = f"Marker-{self._asked}"
        lines = (
            (b"X-Request-ID", name.encode()),
            (b"Authorization", b"Bearer " + KEY),
        )
        message = Message(b"GET", b"/metrics", b"", lines, None)
        ((answer, _),) = self._dialogue.ask([message])
        self._dialogue.close()
        self._counts = _counts(answer.body.decode())
        return name

    def _lines(self, marker: str) -> dict[str, list[dict[str, Any]]]:
        """Wait for the line of a request; returns all lines so far, by request."""
        end = time.monotonic() + _SECONDS
        needle = f'"{marker}"'.encode()
        while True:
            with self._log.open("rb") as file:
                file.seek(self._read_bytes)
                data = file.read()
            if needle in data and data.endswith(b"\n"):
                break
            assert time.monotonic() < end, "the log does not tell"
            time.sleep(_STEP)
        self._read_bytes += len(data)
        lines: dict[str, list[dict[str, Any]]] = {}
        for text in data.splitlines():
            line = json.loads(text)
            lines.setdefault(line["request_id"], []).append(line)
        return lines


def _counts(text: str) -> Counts:
    """Read what counts: values of counters, and how often histograms were told."""
    found: Counts = Counter()
    for family in text_string_to_metric_families(text):
        suffix = {"counter": "_total", "histogram": "_count"}.get(family.type)
        is_ours = family.name.startswith("sigmoid_")
        if suffix is None or not is_ours or family.name in _OF_THE_MOMENT:
            continue
        for sample in family.samples:
            if sample.name == family.name + suffix:
                labels = tuple(sorted(sample.labels.items()))
                found[sample.name, labels] = int(sample.value)
    return found


def _logged(lines: dict[str, list[dict[str, Any]]], name: str) -> tuple[Line, ...]:
    """Take out the lines of a request."""
    return tuple(_plain_line(line, name) for line in lines.pop(name, ()))


def _plain_line(line: dict[str, Any], request_id: str) -> Line:
    """Leave out of a line what differs each time."""
    kept = {key: value for key, value in line.items() if key not in ("time", "seconds")}
    kept["message"] = re.sub(r", \d+\.\d+ s$", ", some s", line["message"])
    if MADE_ID.fullmatch(request_id):
        kept["request_id"] = "made"
    return tuple(kept.items())
