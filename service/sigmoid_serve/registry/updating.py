"""Other versions of models in place of those that serve, in one process.

A change has two steps. First the files are loaded, verified and warmed up, beside those
that serve; only if all is well are they put in their place, all at once. Where several
processes serve, all of them take the first step before any takes the second.
"""

from collections.abc import Iterable, Sequence

from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.loading import Loaded, Loader
from sigmoid_serve.registry.registry import Repository, Version
from sigmoid_serve.registry.startup import require
from sigmoid_serve.repository.load_problems import Trouble, listed, trouble
from sigmoid_serve.repository.model_repository import File


class Exchanger:
    """Takes both steps.

    Args:
        repository: What serves.
        loader: Loads what shall serve.
        telemetry: Told of what was put in and what went.
    """

    def __init__(
        self, repository: Repository, loader: Loader, telemetry: Telemetry
    ) -> None:
        self._repository = repository
        self._loader = loader
        self._telemetry = telemetry

    def start(
        self, files: Sequence[File], passed_over: Iterable[Trouble], default: str = ""
    ) -> list[Trouble]:
        """Serve the first models; one that fails its golden check must not answer.

        Args:
            files: All versions of all models.
            passed_over: What cannot be served and was found out before.
            default: Name of the default model; by default the first that is loaded.

        Returns:
            Of which files it is found out now.

        Raises:
            ServingError: What was named cannot be served, or nothing can.
        """
        versions, troubles = self._loader.load(files, self._repository.models)
        all_troubles = [*passed_over, *troubles]
        names = {version.name for version in versions}
        require([file.source for file in files], names, all_troubles)
        # Once the first are put in, nobody is told any more that they are being loaded.
        self.pass_over(listed(all_troubles))
        self.put(versions, listed(all_troubles), default or versions[0].name)
        return troubles

    def load(self, files: Sequence[File]) -> Loaded:
        """Take the first step, on any thread: what is not ready is a trouble.

        Args:
            files: All versions of a model.
        """
        versions, troubles = self._loader.load(files, self._repository.models)
        paths = {file.source.version: file.source.path for file in files}
        for each in versions:
            if each.fault:
                place = each.name, each.version, paths[each.version]
                found = trouble(*place, each.fault, "write it again")
                troubles.append(found._replace(sha256=each.sha256))
        return Loaded([each for each in versions if not each.fault], troubles)

    def put(
        self,
        versions: Sequence[Version],
        passed_over: Sequence[Trouble],
        default: str = "",
    ) -> None:
        """Take the second step.

        Args:
            versions: All that each of their models has from now on.
            passed_over: All that cannot be served.
            default: Becomes the default model, where it is given.
        """
        known = {
            id(version)
            for served in self._repository.models.values()
            for version in served.values()
        }
        for gone in self._repository.put(versions, default):
            self._telemetry.dropped(gone.name, gone.version)
        for version in versions:
            if id(version) not in known:
                self._telemetry.loaded(
                    version.name,
                    version.version,
                    version.seconds,
                    version.golden_error,
                )
        self.pass_over(passed_over)

    def pass_over(self, passed_over: Sequence[Trouble]) -> None:
        """Tell those who ask what cannot be served."""
        self._repository.passed_over = passed_over
