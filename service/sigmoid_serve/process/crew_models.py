"""The models of all workers, as they are changed: in all of them, or in none."""

from collections.abc import Collection, Sequence
from itertools import count
from typing import Final

from sigmoid_serve.process.catalogue import Catalogue
from sigmoid_serve.process.crew import Crew
from sigmoid_serve.process.heartbeat import LOOK_SECONDS
from sigmoid_serve.process.messages import Abort, Commit, Committed, Prepare, Prepared
from sigmoid_serve.registry.reloading import Found, Refused
from sigmoid_serve.repository.troubles import Trouble

# A worker that takes longer to swap is of no use. They are counted one by one, as all
# processes may be stopped meanwhile.
_MOST_SWAP_LOOKS: Final = 10


class CrewModels:
    """See `sigmoid_serve.registry.reloader.Models`.

    Args:
        crew: The workers.
        catalogue: Of what they serve.
    """

    def __init__(self, crew: Crew, catalogue: Catalogue) -> None:
        self._crew = crew
        self._catalogue = catalogue
        self._numbers = count(1)
        self._changes: dict[str, int] = {}
        self._accepted: dict[str, Found] = {}

    @property
    def has_begun(self) -> bool:
        """Whether anything serves yet."""
        return self._crew.has_served

    @property
    def served(self) -> Collection[str]:
        """Name the models that serve."""
        return self._catalogue.models

    @property
    def passed_over(self) -> Sequence[Trouble]:
        """List what cannot be served."""
        return self._catalogue.passed_over

    async def load(self, name: str, found: Found) -> None:
        """Have all workers load the files of a model beside what serves.

        Raises:
            Refused: The model stays as it was.
        """
        verdicts = await self._prepare(name, found) if found.files else []
        self._accepted[name] = self._catalogue.accepted(name, found, verdicts)

    async def _prepare(self, name: str, found: Found) -> list[Sequence[Trouble]]:
        change = self._changes[name] = next(self._numbers)
        with self._crew.asking(Prepare(change, found.files), Prepared) as question:
            await question.settle()
        if question.is_lost or not question.answers:
            reason = "a worker ended before it had loaded it; ask again"
            raise Refused(reason, found.troubles)
        return [answer.troubles for answer in question.answers]

    async def put(self, name: str) -> Sequence[Trouble]:
        """Have all serve what they loaded; return what is passed over of it."""
        accepted = self._accepted.pop(name)
        # A worker that is told from now on what to serve is told this.
        self._catalogue.put(name, accepted)
        await self._tell(Commit(self._changes.pop(name), self.passed_over))
        return accepted.troubles

    async def give_up(self, name: str, troubles: Sequence[Trouble] | None) -> None:
        """Have all forget what they loaded; see `registry.reloader`."""
        self._accepted.pop(name, None)
        if troubles is not None:
            self._catalogue.pass_over(name, troubles)
        await self._tell(Abort(self._changes.pop(name, 0), self.passed_over))

    async def _tell(self, message: Commit | Abort) -> None:
        with self._crew.asking(message, Committed) as question:
            for _ in range(_MOST_SWAP_LOOKS):
                if await question.settle(LOOK_SECONDS):
                    return
            for worker in question.missing:
                self._crew.give_up(worker, "did not commit a reload in time")
