"""Whether requests should come to this process, as `/readyz` says it."""

from collections.abc import Sequence

from sigmoid_serve.registry.registry import ModelRegistry
from sigmoid_serve.repository.load_problems import describe_problems


class Readiness:
    """What an operator must know beside the models.

    Args:
        registry: The models.

    Attributes:
        is_draining: Whether this process is shutting down.
        notes: What else an operator must know, a sentence each.
    """

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self.is_draining = False
        self.notes: Sequence[str] = ()

    def reasons(self) -> list[str]:
        """Say why no request should come here; none where they should."""
        draining = (
            ["draining: this process is shutting down"] if self.is_draining else []
        )
        return [*draining, *self._registry.faults()]

    def remarks(self) -> list[str]:
        """Say what is not served beside what is, and the notes."""
        return [*self.notes, *describe_problems(self._registry.passed_over)]
