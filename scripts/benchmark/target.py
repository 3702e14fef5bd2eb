"""A figure that must hold, and its bound."""

from typing import Literal, NamedTuple


class Target(NamedTuple):
    """A figure and its bound.

    Attributes:
        name: What is compared with what.
        sign: How the measured value must stand to the bound.
        bound: The bound.
        unit: Of both; empty for multiples.
        measured: Median over the rounds; None where it was not measured.
    """

    name: str
    sign: Literal["≥", "≤", ">"]
    bound: float
    unit: str
    measured: float | None

    @property
    def met(self) -> bool:
        """Whether it was measured and holds."""
        if self.measured is None:
            return False
        if self.sign == "≤":
            return self.measured <= self.bound
        return self.measured > self.bound or (
            self.sign == "≥" and self.measured == self.bound
        )
