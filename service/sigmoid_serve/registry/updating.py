"""Updates of the models of one process, in two phases.

An update is prepared: its files are loaded, warmed up and verified, beside the versions
that serve. Only if all is well it is committed: they replace those versions, all at
once. An update without files unloads the model. If several processes serve, all of them
prepare before any commits.
"""

from collections.abc import Iterable, Sequence

from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.loading import LoadedVersions, Loader
from sigmoid_serve.registry.registry import (
    NONE_UNLOADED,
    ModelRegistry,
    ModelVersion,
    Unloaded,
)
from sigmoid_serve.registry.startup import require_named_models
from sigmoid_serve.repository.load_problems import LoadProblem, listed, load_problem
from sigmoid_serve.repository.model_repository import CheckpointContent


class ModelUpdater:
    """Prepares and commits updates.

    Args:
        registry: The models that serve, as the attribute `registry`.
        loader: Loads new versions.
        telemetry: Records which versions were loaded and which were replaced.
    """

    def __init__(
        self, registry: ModelRegistry, loader: Loader, telemetry: Telemetry
    ) -> None:
        self.registry = registry
        self._loader = loader
        self._telemetry = telemetry

    def start(
        self,
        contents: Sequence[CheckpointContent],
        passed_over: Iterable[LoadProblem],
        default: str = "",
        unloaded: Unloaded = NONE_UNLOADED,
    ) -> list[LoadProblem]:
        """Load and serve the first models.

        A version that fails its golden check is there, but must not answer.

        Args:
            contents: Of the files of all versions of all models.
            passed_over: The problems of files that could not be read.
            default: Name of the default model; by default the first that is loaded.
            unloaded: Models that were unloaded; none of the files is of one of them.

        Returns:
            The problems of files that could not be loaded.

        Raises:
            ServingError: What was named cannot be served, or nothing can.
        """
        versions, problems = self._loader.load(contents, self.registry.models)
        all_problems = [*passed_over, *problems]
        names = {version.name for version in versions}
        require_named_models(
            [content.file for content in contents], names, all_problems
        )
        # Before the models: with the first of them the process is not loading any more.
        self.pass_over(listed(all_problems))
        default = default or versions[0].name
        self.commit(versions, listed(all_problems), unloaded, default)
        return problems

    def prepare(self, contents: Sequence[CheckpointContent]) -> LoadedVersions:
        """Load an update, on any thread; a version that is not ready is a problem.

        Args:
            contents: Of the files of all versions of a model.
        """
        versions, problems = self._loader.load(contents, self.registry.models)
        paths = {content.file.version: content.file.path for content in contents}
        for each in versions:
            if each.fault:
                place = each.name, each.number, paths[each.number]
                found = load_problem(*place, each.fault, "write it again")
                problems.append(found._replace(sha256=each.sha256))
        return LoadedVersions([each for each in versions if not each.fault], problems)

    def commit(
        self,
        versions: Sequence[ModelVersion],
        passed_over: Sequence[LoadProblem],
        unloaded: Unloaded,
        default: str = "",
    ) -> None:
        """Serve the versions of an update, and what is unloaded no more.

        Args:
            versions: All that each of their models has from now on.
            passed_over: The problems of all models.
            unloaded: All models that are unloaded from now on.
            default: Becomes the default model, if it is given.
        """
        known = {
            id(version)
            for served in self.registry.models.values()
            for version in served.values()
        }
        for gone in self.registry.put(versions, unloaded, default):
            self._telemetry.remove_model(gone.name, gone.number)
        for version in versions:
            if id(version) not in known:
                self._telemetry.loaded(
                    version.name,
                    version.number,
                    version.seconds,
                    version.golden_error,
                )
        self.pass_over(passed_over)

    def pass_over(self, passed_over: Sequence[LoadProblem]) -> None:
        """Replace the problems that clients are told of."""
        self.registry.passed_over = passed_over
