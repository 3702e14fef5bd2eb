"""Cases, each drawn from a seed and its number: a request, and how it is sent."""

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from fuzzing.json_bodies import Model
from tests.server.ways.draws import request_of_any_kind, short_request
from tests.server.ways.messages import Message
from tests.server.ways.table import LONG_REST, WAYS

BATCH: Final = 40
"""So many cases in a row have the same first way."""


class Case(NamedTuple):
    """A request, and the same request as it is sent by some way.

    Attributes:
        number: Of the case.
        plain: The request in the plainest form.
        message: The same, otherwise.
        ways: That were taken, the first one first.
        before: Other requests that are sent before it.
        behind: And behind it, in one piece where the first way is `pipelined`.
    """

    number: int
    plain: Message
    message: Message
    ways: tuple[str, ...]
    before: tuple[Message, ...] = ()
    behind: tuple[Message, ...] = ()

    @property
    def is_piped(self) -> bool:
        """Whether others are sent in one piece with it."""
        return self.ways[0] == "pipelined"

    @property
    def length(self) -> int:
        """How many bytes are sent."""
        return sum(len(each.head() + each.rest()) for each in self[1:3])


def draw_case(seed: int, number: int, models: Sequence[Model], protection: str) -> Case:
    """Draw a case; the same for the same arguments.

    Args:
        seed: Of the run.
        number: Of the case.
        models: That may be asked.
        protection: What the server asks for: `keys`, `origins`, both, or neither.
    """
    random = Random(f"{seed} {number} {protection}")
    first = list(WAYS)[(number // BATCH + seed) % len(WAYS)]
    while True:
        plain = request_of_any_kind(random, models, protection, number)
        message = WAYS[first].write(plain, random)
        if message:
            break
    ways = [first]
    for _ in range(random.choice((0, 0, 1, 2))):
        name = random.choice([name for name, way in WAYS.items() if not way.routes])
        other = WAYS[name].write(message, random)
        if other and name not in (*ways, "pipelined"):
            ways.append(name)
            message = other
    case = Case(number, plain, message, tuple(ways))
    return _among_others(case, random, models, protection) if case.is_piped else case


def _among_others(
    case: Case, random: Random, models: Sequence[Model], protection: str
) -> Case:
    others = [
        short_request(random, models, protection, b"Other-%d-%d" % (case.number, place))
        for place in range(random.randrange(6))
    ]
    place = random.randint(0, len(others))
    is_short = len(case.plain.body or b"") < LONG_REST
    can_go_on = is_short and not any(WAYS[name].may_end for name in case.ways)
    return case._replace(
        message=case.message._replace(waits=False),
        before=tuple(others[:place]),
        behind=tuple(others[place:]) if can_go_on else (),
    )
