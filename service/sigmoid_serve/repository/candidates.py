"""What lies at a place: a model, under the name that the place gives it."""

from pathlib import Path
from typing import Final, NamedTuple

from sigmoid_models.checkpoint import MAX_BYTES
from sigmoid_serve.repository.load_problems import Trouble, Weight, trouble
from sigmoid_serve.repository.naming import is_name, name_fault
from sigmoid_serve.repository.places import fault_of

LAYOUT: Final = "expected NAME/VERSION/model.safetensors"


class Source(NamedTuple):
    """A checkpoint file and what it is served as.

    Attributes:
        name: Of the model.
        version: As its folder has it; 1 for a file.
        path: Of the file.
        is_named: Whether the start stops where nothing of its model can be served.
        max_bytes: Most bytes that the file may have.
    """

    name: str
    version: str
    path: Path
    is_named: bool = False
    max_bytes: int = MAX_BYTES


class Claim(NamedTuple):
    """A place that gives a model its name.

    Attributes:
        name: Any text.
        place: A file or a folder.
        sources: What may be served.
        troubles: What cannot be.
    """

    name: str
    place: Path
    sources: tuple[Source, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    @property
    def is_model(self) -> bool:
        """Whether it is a model, if only one that cannot be served."""
        return bool(self.sources) or any(each.is_listed for each in self.troubles)

    @property
    def is_named(self) -> bool:
        """Whether the start stops where nothing of it can be served."""
        return any(each.is_named for each in self.sources)

    def named(self, name: str | None = None) -> "Claim":
        """Return what it is where this very place was named, and maybe its model."""
        name = self.name if name is None else name
        sources = [each._replace(name=name, is_named=True) for each in self.sources]
        troubles = [each._replace(name=name) for each in self.troubles]
        if not sources:
            troubles = [
                each._replace(weight="fatal") if each.is_listed else each
                for each in troubles
            ]
        return self._replace(
            name=name, sources=tuple(sources), troubles=tuple(troubles)
        )

    def checked(self) -> "Claim":
        """Return what it is once its name was judged."""
        was_refused = any(each.weight == "fatal" for each in self.troubles)
        if is_name(self.name) or was_refused or not self.is_model:
            return self
        weight: Weight = "fatal" if self.is_named else "listed"
        fault = trouble(self.name, None, self.place, *name_fault(self.name), weight)
        return Claim(self.name, self.place, (), (fault,))


def refused(name: str, place: Path, finding: str, remedy: str) -> Claim:
    """Describe a place that was named and cannot be served."""
    fault = trouble(name, None, place, finding, remedy, "fatal")
    return Claim(name, place, (), (fault,))


def unreadable(name: str, place: Path, error: OSError) -> Claim:
    """Describe a place that was found and cannot be looked at."""
    weight: Weight = "listed" if is_name(name) else "logged"
    fault = trouble(name, None, place, *fault_of(place, error), weight)
    return Claim(name, place, (), (fault,))
