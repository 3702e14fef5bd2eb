"""The files that all workers serve, with their bytes, as the supervisor keeps them."""

from collections.abc import Iterable, Sequence

from sigmoid_serve.registry.registry import Unloaded
from sigmoid_serve.registry.reloading import (
    FoundFiles,
    ReloadError,
    check_update,
    unloaded_after,
)
from sigmoid_serve.repository.load_problems import LoadProblem, listed, replaced
from sigmoid_serve.repository.model_repository import CheckpointContent


class ServedFiles:
    """The files that are served, and the problems of others.

    Args:
        contents: Of the files of all models; the first model that a worker can load is
            the default.
        problems: Of files that could not be read.

    Attributes:
        models: The contents of each model, by its name.
        unloaded: The models that were unloaded; replaced as a whole.
        passed_over: The problems; at first also those of what is no model at all.
        default: Name of the default model; empty until a worker has loaded it.
    """

    def __init__(
        self, contents: Iterable[CheckpointContent], problems: Iterable[LoadProblem]
    ) -> None:
        self.models: dict[str, list[CheckpointContent]] = {}
        for content in contents:
            self.models.setdefault(content.file.name, []).append(content)
        self.unloaded: Unloaded = {}
        self.passed_over = tuple(problems)
        self.default = ""
        self._accepted: tuple[LoadProblem, ...] = ()

    def contents(self) -> list[CheckpointContent]:
        """List the contents of all models."""
        return [content for contents in self.models.values() for content in contents]

    def keep_loaded(self, problems: Sequence[LoadProblem]) -> None:
        """Keep only what the first worker that serves could load.

        Args:
            problems: Of the files that it could not load.
        """
        self.passed_over = self._accepted = listed((*self.passed_over, *problems))
        good = {
            name: _without(contents, problems) for name, contents in self.models.items()
        }
        self.models = {name: contents for name, contents in good.items() if contents}
        self.default = next(iter(self.models))

    def accept(
        self,
        name: str,
        found: FoundFiles,
        worker_problems: Iterable[Iterable[LoadProblem]],
    ) -> FoundFiles:
        """Return what to commit of a model, now that workers have loaded its files.

        Args:
            name: Of the model.
            found: Its files.
            worker_problems: Of each worker: the problems of files it could not load.

        Raises:
            ReloadError: The model keeps its running versions.
        """
        distinct = {listed(problems) for problems in worker_problems}
        problems = [*found.problems, *(each for some in distinct for each in some)]
        if len(distinct) > 1:
            raise ReloadError("the workers do not agree on it", problems)
        contents = _without(found.contents, problems)
        served = _hashes(self.models.get(name, ()))
        check_update(served, _hashes(contents), problems, self._accepted)
        return FoundFiles(contents, problems)

    def commit(self, name: str, accepted: FoundFiles) -> None:
        """Note what all workers serve of a model from now on; no files unload it."""
        contents, problems = accepted
        gone = () if contents else _hashes(self.models.pop(name))
        self.unloaded = unloaded_after(self.unloaded, name, gone)
        if contents:
            self.models[name] = contents
        self._accepted = replaced(self._accepted, name, problems)
        self.pass_over(name, problems)

    def pass_over(self, name: str, problems: Iterable[LoadProblem]) -> None:
        """Replace the problems of one model."""
        self.passed_over = replaced(self.passed_over, name, problems)


def _without(
    contents: Iterable[CheckpointContent], problems: Iterable[LoadProblem]
) -> list[CheckpointContent]:
    bad = {(each.name, each.version) for each in problems}
    return [content for content in contents if content.file[:2] not in bad]


def _hashes(contents: Iterable[CheckpointContent]) -> dict[str, str]:
    return {content.file.version: content.sha256 for content in contents}
