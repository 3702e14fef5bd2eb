"""What all workers serve, with the bytes of it, as their supervisor knows it."""

from collections.abc import Iterable, Sequence

from sigmoid_serve.registry.reloading import Found, Refused, judge
from sigmoid_serve.repository.load_problems import Trouble, listed, replaced
from sigmoid_serve.repository.model_repository import File


class Catalogue:
    """The files that are served, and what is passed over.

    Args:
        files: Of all models; the first that a worker can load is the default.
        troubles: What cannot be served.

    Attributes:
        models: The files of each model, by its name.
        passed_over: What cannot be served; at first also what is no model at all.
        default: Name of the default model; empty until a worker has loaded it.
    """

    def __init__(self, files: Iterable[File], troubles: Iterable[Trouble]) -> None:
        self.models: dict[str, list[File]] = {}
        for file in files:
            self.models.setdefault(file.source.name, []).append(file)
        self.passed_over = tuple(troubles)
        self.default = ""
        self._accepted: tuple[Trouble, ...] = ()

    def files(self) -> list[File]:
        """List the files of all models."""
        return [file for files in self.models.values() for file in files]

    def begin(self, troubles: Sequence[Trouble]) -> None:
        """Keep what the first worker that serves could load of the files."""
        self.passed_over = self._accepted = listed((*self.passed_over, *troubles))
        good = {name: _without(files, troubles) for name, files in self.models.items()}
        self.models = {name: files for name, files in good.items() if files}
        self.default = next(iter(self.models))

    def accepted(
        self, name: str, found: Found, verdicts: Iterable[Iterable[Trouble]]
    ) -> Found:
        """Say to what a model changes, now that workers have loaded its files.

        Args:
            name: Of the model.
            found: Its files.
            verdicts: Of each worker: what it cannot serve of them.

        Raises:
            Refused: It stays as it was.
        """
        distinct = {listed(troubles) for troubles in verdicts}
        troubles = [*found.troubles, *(each for some in distinct for each in some)]
        if len(distinct) > 1:
            raise Refused("the workers do not agree on it", troubles)
        files = _without(found.files, troubles)
        served = _hashes(self.models.get(name, ()))
        judge(served, _hashes(files), troubles, self._accepted)
        return Found(files, troubles)

    def put(self, name: str, accepted: Found) -> None:
        """Note what all workers serve of one model from now on."""
        self.models[name], troubles = accepted
        self._accepted = replaced(self._accepted, name, troubles)
        self.pass_over(name, troubles)

    def pass_over(self, name: str, troubles: Iterable[Trouble]) -> None:
        """Note what cannot be served of one model."""
        self.passed_over = replaced(self.passed_over, name, troubles)


def _without(files: Iterable[File], troubles: Iterable[Trouble]) -> list[File]:
    bad = {(each.name, each.version) for each in troubles}
    return [file for file in files if file.source[:2] not in bad]


def _hashes(files: Iterable[File]) -> dict[str, str]:
    return {file.source.version: file.sha256 for file in files}
