"""The models of the only process that serves, as they are changed."""

import asyncio
from collections.abc import Collection, Sequence

from sigmoid_serve.registry.daemon_threads import ErrandError, Errands
from sigmoid_serve.registry.loading import Loaded
from sigmoid_serve.registry.registry import Repository
from sigmoid_serve.registry.reloading import Found, Refused, judge
from sigmoid_serve.registry.updating import Exchanger
from sigmoid_serve.repository.load_problems import Trouble, log_passed_over, replaced
from sigmoid_serve.repository.model_repository import File


class OwnModels:
    """See `sigmoid_serve.registry.reloader.Models`.

    Args:
        repository: What serves.
        exchanger: Puts models in its place.
    """

    def __init__(self, repository: Repository, exchanger: Exchanger) -> None:
        self._repository = repository
        self._exchanger = exchanger
        self._errands = Errands()
        self._loaded: dict[str, Loaded] = {}
        self._accepted: Sequence[Trouble] = ()

    def start(self, files: Sequence[File], troubles: Sequence[Trouble]) -> None:
        """Serve the first models.

        Args:
            files: All versions of all models.
            troubles: What cannot be served and was found out before.

        Raises:
            ServingError: What was named cannot be served, or nothing can.
        """
        log_passed_over(self._exchanger.start(files, troubles))
        self._accepted = self._repository.passed_over

    @property
    def has_begun(self) -> bool:
        """Whether anything serves yet."""
        return not self._repository.is_loading

    @property
    def served(self) -> Collection[str]:
        """Name the models that serve."""
        return self._repository.models

    @property
    def passed_over(self) -> Sequence[Trouble]:
        """List what cannot be served."""
        return self._repository.passed_over

    async def load(self, name: str, found: Found) -> None:
        """Load the files of a model beside what serves.

        Raises:
            Refused: The model stays as it was.
        """
        try:
            future = self._errands.start(self._exchanger.load, found.files)
        except ErrandError as error:
            raise Refused(f"loads do not end: {error}") from None
        loaded = await asyncio.wrap_future(future)
        served = self._repository.models.get(name, {})
        loaded = Loaded(loaded.versions, [*found.troubles, *loaded.troubles])
        judge(
            {version: each.sha256 for version, each in served.items()},
            {each.version: each.sha256 for each in loaded.versions},
            loaded.troubles,
            self._accepted,
        )
        self._loaded[name] = loaded

    async def put(self, name: str) -> Sequence[Trouble]:
        """Serve what was loaded of a model; return what is passed over of it."""
        versions, troubles = self._loaded.pop(name)
        passed_over = replaced(self.passed_over, name, troubles)
        self._exchanger.put(versions, passed_over)
        self._accepted = replaced(self._accepted, name, troubles)
        return troubles

    async def give_up(self, name: str, troubles: Sequence[Trouble] | None) -> None:
        """Forget what was loaded of a model; see `registry.reloader`."""
        self._loaded.pop(name, None)
        if troubles is not None:
            self._exchanger.pass_over(replaced(self.passed_over, name, troubles))
