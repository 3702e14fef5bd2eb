"""What differs between the plain way and another, beside what may."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from tests.server.ways.cases import Case
from tests.server.ways.observed import Counts
from tests.server.ways.table import LONG_REST, WAYS, Way
from tests.server.ways.wire import Answer, Line

_OK: Final = "HTTP/1.1 200 OK"
_SYNTAX: Final = re.compile(
    rb"(the body is not valid JSON: )[^()]*\(line (\d+), column \d+\)"
)
_SHOWN: Final = 1500


class Difference(NamedTuple):
    """Where a case is not answered, counted or logged as it should be."""

    case: Case
    part: str
    plain: object
    other: object

    def __str__(self) -> str:
        case = self.case
        others = [*case.before, *case.behind]
        return "\n".join(
            (
                f"case {case.number} ({', then '.join(case.ways)}): {self.part}",
                f"  plain  {case.plain.shown()}",
                f"  other  {case.message.shown()}",
                *(f"  beside {each.shown()}" for each in others),
                f"  plain  {str(self.plain)[:_SHOWN]}",
                f"  other  {str(self.other)[:_SHOWN]}",
            )
        )


def answer_differences(
    case: Case, plains: Sequence[Answer], others: Sequence[Answer]
) -> Iterator[Difference]:
    """Say where the answers to a case differ, and its lines of the log.

    Args:
        case: The request is one of several, if others were sent with it.
        plains: The answers on the plain way.
        others: Those on the way of the case.
    """
    if len(plains) != len(others):
        yield Difference(case, "number of answers", len(plains), len(others))
    for position, (plain, other) in enumerate(zip(plains, others, strict=False)):
        want, got = plain, other
        if position == len(case.before):
            want, got = _comparable(case, plain, other)
        for part, left, right in zip(Answer._fields, want, got, strict=True):
            if left != right:
                yield Difference(case, f"{part} of {position}", left, right)


def count_difference(
    cases: Sequence[Case], plain: Counts, other: Counts
) -> tuple[Counts, Counts] | None:
    """Say which counts differ that may not.

    Args:
        cases: Whose first way is the same.
        plain: What was counted while the plain requests were answered.
        other: And meanwhile the others.
    """
    routes = WAYS[cases[0].ways[0]].routes
    want: Counts = Counter()
    for (name, labels), value in plain.items():
        renamed = tuple((key, routes.get(label, label)) for key, label in labels)
        want[name, renamed] += value
    most = sum(any(way.waits for way in _ways_of(case)) for case in cases)
    for key in other:
        if ("stage", "queue") in key[1] and 0 <= other[key] - want[key] <= most:
            want[key] = other[key]
    left, right = want - other, other - want
    return (left, right) if left or right else None


def _ways_of(case: Case) -> list[Way]:
    return [WAYS[name] for name in case.ways]


def _comparable(case: Case, plain: Answer, other: Answer) -> tuple[Answer, Answer]:
    """Change both answers as the table of the ways has it, so that they are equal."""
    ways = _ways_of(case)
    for way in ways:
        plain = plain._replace(log=tuple(_renamed(each, way) for each in plain.log))
    if any(way.closes for way in ways):
        plain = plain._replace(goes_on=False)
    if _may_end(case, plain):
        plain = plain._replace(goes_on=other.goes_on)
    if any(way.shifts for way in ways):
        plain, other = _without_place(plain), _without_place(other)
    return plain, other


def _may_end(case: Case, plain: Answer) -> bool:
    """Tell whether either is right, that the connection ends or that it goes on."""
    ways = _ways_of(case)
    if any(way.may_say for way in ways):
        return True
    # Only a POST that succeeds has surely been read.
    may_come_early = plain.status != _OK or case.plain.method != b"POST"
    is_long = len(case.plain.body or b"") > LONG_REST
    return may_come_early and (is_long or any(way.may_close for way in ways))


def _renamed(line: Line, way: Way) -> Line:
    """Have a line of the log say the route that a way leads to."""
    return tuple((name, _with_routes(value, way.routes)) for name, value in line)


def _with_routes(value: object, routes: Mapping[str, str]) -> object:
    if not isinstance(value, str):
        return value
    text = value
    for route, other in routes.items():
        text = re.sub(rf"(?<!\S){re.escape(route)}(?![^,])", other, text)
    return text


def _without_place(answer: Answer) -> Answer:
    """Leave out what a syntax error is, and where on its line."""
    body, count = _SYNTAX.subn(rb"\1(line \2)", answer.body)
    fields = answer.fields
    if count:
        fields = tuple(line for line in fields if line[0] != "content-length")
    return answer._replace(body=body, fields=fields)
