"""Whether requests should come to this process, as `/readyz` says it."""

from sigmoid_serve.registry.registry import Repository
from sigmoid_serve.repository.troubles import told


class Readiness:
    """What an operator must know beside the models.

    Args:
        repository: The models.

    Attributes:
        is_draining: Whether this process is shutting down.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.is_draining = False

    def reasons(self) -> list[str]:
        """Say why no request should come here; none where they should."""
        draining = (
            ["draining: this process is shutting down"] if self.is_draining else []
        )
        return [*draining, *self._repository.faults()]

    def remarks(self) -> list[str]:
        """Say what is not served beside what is."""
        return told(self._repository.passed_over)
