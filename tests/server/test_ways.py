"""The same request by each way: the same answer, the same counts, the same lines.

Nothing but the ways' own table (`tests.server.ways.table`) says what may differ, and
why. A failure says how to judge its least cases again, alone; a long run is

    WAYS_COUNT=20000 pytest tests/server/test_ways.py
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path

import httpx
import pytest

from fuzzing.json_bodies import Model
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.running import serving, until_ready
from tests.server.ways.cases import BATCH, Case, draw_case
from tests.server.ways.draws import KEY, MOST_BODY_BYTES, ORIGIN
from tests.server.ways.judging import (
    Difference,
    answer_differences,
    count_difference,
)
from tests.server.ways.messages import Message
from tests.server.ways.observed import Observed
from tests.server.ways.wire import Answer

# Another run with this seed draws the same; a case may be drawn alone. Each of three
# servers is sent so many.
SEED = int(os.environ.get("WAYS_SEED", secrets.randbits(32)))
FIRST = int(os.environ.get("WAYS_FIRST", "0"))
COUNT = int(os.environ.get("WAYS_COUNT", "1000"))

MOST_SHOWN = 8

LIMITS = {
    "SIGMOID_MAX_BODY_BYTES": str(MOST_BODY_BYTES),
    "SIGMOID_MAX_INFLATED_BYTES": str(MOST_BODY_BYTES),
    "SIGMOID_MAX_ELEMENTS": "4000",
    "SIGMOID_MAX_ROWS": "30",
}


def models_of(client: httpx.Client) -> list[Model]:
    default = client.get("/models").json()["default"]
    models = [
        ("/predict", default),
        (f"/models/{default}/predict", default),
        ("/models/soft/predict", "soft"),
        ("/models/digits/predict", "digits"),
    ]
    cards = [client.get(f"/models/{name}").json() for _, name in models]
    return [
        Model(path, card["features"], card["feature_names"])
        for (path, _), card in zip(models, cards, strict=True)
    ]


def put_soft(folder: Path) -> Path:
    """Put a checkpoint in place whose answers have a field more."""
    path = folder / "soft.safetensors"
    digits = load_checkpoint(PRETRAINED / "digits" / "1" / "model.safetensors")
    card = digits.card.model_copy(update={"link": "softmax"})
    save_checkpoint(path, digits.network, card)
    return path


@contextmanager
def observed(folder: Path, protection: str) -> Iterator[tuple[Observed, list[Model]]]:
    variables = {
        **LIMITS,
        "SIGMOID_DEVICE": "cpu",
        "SIGMOID_ACCESS_LOG": "true",
        "SIGMOID_LOG_FORMAT": "json",
    }
    if "keys" in protection:
        keys = folder / "keys.txt"
        keys.write_text(f"alice {sha256(KEY).hexdigest()}\n")
        variables["SIGMOID_API_KEYS_FILE"] = str(keys)
    if "origins" in protection:
        variables["SIGMOID_CORS_ORIGINS"] = f"{ORIGIN.decode()},https://b.example"
    log = folder / "log"
    with serving(log, PRETRAINED, put_soft(folder), **variables) as (_, url):
        headers = {"Authorization": f"Bearer {KEY.decode()}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            until_ready(client)
            models = models_of(client)
            address = (client.base_url.host, client.base_url.port or 80)
        yield Observed(address, log), models


def sent(case: Case, answers: Sequence[Answer]) -> list[list[Message]]:
    """List what is sent of a case by its own way, as its plain request went."""
    place = len(case.before)
    behind = case.behind if answers[place].goes_on else ()
    return [[*case.before, case.message, *behind]]


def differences(server: Observed, cases: Sequence[Case]) -> list[Difference]:
    """Send cases by both of their ways."""
    plains, plain_counts = server.observe(
        [[[each] for each in (*c.before, c.plain, *c.behind)] for c in cases]
    )
    others, other_counts = server.observe(list(map(sent, cases, plains)))
    found: list[Difference] = []
    for case, plain, other in zip(cases, plains, others, strict=True):
        found += answer_differences(case, plain, other)
    counts = count_difference(cases, plain_counts, other_counts)
    if counts and not found:
        if len(cases) > 1:  # which of them is it?
            found = [each for case in cases for each in differences(server, [case])]
        return found or [Difference(cases[0], "counts of its batch", *counts)]
    return found


@pytest.mark.parametrize("protection", ["none", "keys", "keys and origins"])
def test_all_ways_are_one(tmp_path: Path, protection: str) -> None:
    print(f"seed {SEED}")
    found: list[Difference] = []
    with observed(tmp_path, protection) as (server, models):
        for start in range(FIRST, FIRST + COUNT, BATCH):
            numbers = range(start, min(start + BATCH, FIRST + COUNT))
            cases = [draw_case(SEED, each, models, protection) for each in numbers]
            found += differences(server, cases)
    least: dict[tuple[str, str], Difference] = {}
    for each in sorted(found, key=lambda each: each.case.length):
        least.setdefault((each.case.ways[0], each.part), each)
    for each in islice(least.values(), MOST_SHOWN):
        again = f"WAYS_SEED={SEED} WAYS_FIRST={each.case.number} WAYS_COUNT=1"
        print(f"\n{each}\n  again: {again}")
    summary = Counter((each.case.ways[0], each.part) for each in found)
    assert not summary
