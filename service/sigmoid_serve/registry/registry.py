"""Which models and versions are served."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal

import orjson

from sigmoid_models.gradients.depth import LayerDepth
from sigmoid_serve.engine.batching import Batcher
from sigmoid_serve.engine.engine import Engine
from sigmoid_serve.errors import ServiceError, shown
from sigmoid_serve.repository.load_problems import LoadProblem, describe_problems

Unloaded = Mapping[str, Sequence[str]]
"""The versions of each model that was unloaded, by its name, the newest first."""

NONE_UNLOADED: Final[Unloaded] = MappingProxyType({})

_MOST_TOLD: Final = 2


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model, on its device.

    Attributes:
        name: Of the model.
        number: A decimal number, as text.
        engine: Computes its logits.
        batcher: Gathers the rows of many requests for the engine.
        sha256: Of the checkpoint file.
        fault: Why it must not answer, if so.
        golden_error: Worst |got - want| / max(1, |want|) of its golden rows, if any.
        seconds: That it took to load.
        depths: What each hidden layer does to a gradient; None where it is not known.
    """

    name: str
    number: str
    engine: Engine
    batcher: Batcher
    sha256: str
    fault: str | None
    golden_error: float | None
    seconds: float
    depths: tuple[LayerDepth, ...] | None

    @property
    def state(self) -> Literal["ready", "failed"]:
        """`ready`, or `failed` where the golden rows did not come out right."""
        return "failed" if self.fault else "ready"

    @cached_property
    def output_names(self) -> Sequence[str] | None:
        """What each output is the probability of; None where nothing says it.

        One output is the probability of the second of two classes.
        """
        card = self.engine.card
        if card.classes is None:
            return None
        return card.classes[1:] if card.task == "binary" else card.classes

    @cached_property
    def named_outputs(self) -> orjson.Fragment | None:
        """The names of the outputs as JSON."""
        names = self.output_names
        return None if names is None else orjson.Fragment(orjson.dumps(names))


class ModelRegistry:
    """The models that are served; none before the first are put in.

    A request that has found its version keeps it, whatever is put in meanwhile; an old
    version goes when the last request that it answers is gone.

    Attributes:
        default: Name of the model that `/predict` asks, also while it is unloaded.
        models: By name, then by version, the newest first; never changed, but replaced.
        unloaded: The versions of each model that was unloaded, by its name, the newest
            first; replaced as a whole.
        passed_over: What is there and cannot be served; replaced as a whole.
    """

    def __init__(self) -> None:
        self.default = ""
        self.models: dict[str, dict[str, ModelVersion]] = {}
        self.unloaded = NONE_UNLOADED
        self.passed_over: Sequence[LoadProblem] = ()

    @property
    def is_loading(self) -> bool:
        """Whether no model is there yet."""
        return not self.models

    def put(
        self,
        versions: Iterable[ModelVersion],
        unloaded: Unloaded,
        default: str = "",
    ) -> list[ModelVersion]:
        """Serve models from now on, each with these versions and no others.

        Args:
            versions: Of some models; none twice.
            unloaded: All models that are unloaded from now on.
            default: Becomes the default model, where it is given.

        Returns:
            The versions that are served no more.
        """
        given: dict[str, dict[str, ModelVersion]] = {}
        for version in sorted(versions, key=lambda v: (v.name, -int(v.number))):
            given.setdefault(version.name, {})[version.number] = version
        models = {
            name: served
            for name, served in sorted({**self.models, **given}.items())
            if name not in unloaded
        }
        gone = [
            version
            for name, served in self.models.items()
            for version in served.values()
            if models.get(name, {}).get(version.number) is not version
        ]
        self.default = default or self.default
        # Others may be asking meanwhile: at any time it is served, unloaded, or both.
        self.unloaded = {**self.unloaded, **unloaded}
        self.models = models
        self.unloaded = unloaded
        return gone

    def versions(self, name: str) -> Mapping[str, ModelVersion]:
        """Return all versions of a model by their numbers, the newest first.

        Raises:
            ServiceError: `model_not_found`; `not_ready` while nothing is loaded, for
                what was unloaded, and for what is there and cannot be served.
        """
        found = self.models.get(name)
        if found is None:
            self._refuse_unloaded(name)
            found = self.models.get(name)  # it may have been loaded meanwhile
        if found is not None:
            return found
        if self.is_loading:
            raise ServiceError("not_ready", "the models are being loaded")
        self._refuse_passed_over(name)
        raise ServiceError(
            "model_not_found",
            f"there is no model {shown(name)}; GET /models lists them",
        )

    def find(self, name: str, version: str | None = None) -> ModelVersion:
        """Return a version, by default the newest.

        Raises:
            ServiceError: See `versions`; and `version_not_found`, or `not_ready` for
                one that is there and cannot be served.
        """
        versions = self.models.get(name) or self.versions(name)
        if version is None:
            return next(iter(versions.values()))
        if version not in versions:
            self._refuse_passed_over(name, version)
            raise ServiceError(
                "version_not_found",
                f"model {name} has no version {shown(version)}; "
                f"GET /models/{name} lists them",
            )
        return versions[version]

    def _refuse_unloaded(self, name: str) -> None:
        if name in self.unloaded:
            raise ServiceError(
                "not_ready",
                f"model {name} is not served: it was unloaded; "
                f"POST /v2/repository/models/{name}/load loads it",
            )

    def _refuse_passed_over(self, name: str, version: str | None = None) -> None:
        problems = [
            each
            for each in self.passed_over
            if each.name == name and version in (None, each.version)
        ]
        if problems:
            why = "; ".join(describe_problems(problems, _MOST_TOLD))
            raise ServiceError("not_ready", f"it cannot be served: {why}")

    def faults(self) -> list[str]:
        """Say what is wrong with the versions that must not answer."""
        if self.is_loading:
            return ["loading: no model is there yet"]
        return [
            f"model {version.name} version {version.number}: {version.fault}"
            for versions in self.models.values()
            for version in versions.values()
            if version.fault
        ]
