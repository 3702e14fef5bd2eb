"""Known rows made golden rows, once the network was found to give their outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from torch import nn

from sigmoid_models.card import MOST_GOLDEN_NUMBERS, Golden, ModelCard
from sigmoid_models.conversion.comparison import (
    Candidate,
    Deviation,
    deviation,
    fitting,
    variants,
)
from sigmoid_models.conversion.expected_rows import ExpectedRows
from sigmoid_models.logits import golden_of
from sigmoid_models.messages import UserError, one_line

MOST_ROWS: Final = 64
"""The most that are kept; all are compared."""

# On most rows these differ by less than the tolerance.
_TWINS: Final = {"gelu": "gelu:tanh", "gelu:tanh": "gelu"}

_CAUSES: Final = (
    "likely causes: a scaler that is missing or was used twice, rows of another "
    "network, another order of the columns, different functions between the layers, "
    "outputs computed in 16 bits, or probabilities in columns called logit"
)


@dataclass(frozen=True)
class Subject:
    """A network, and what makes its functions known.

    Attributes:
        network: As it was read.
        card: Its card, with the scaler.
        others: Other ways to read the file: options, and the network of each.
        is_named: Whether its functions are known; else they are a guess.
        has_card: Whether the card was in the file, whose word wins.
        evidence: What in the file is against them, None for nothing.
        notes: What else was found in the file, a sentence each.
    """

    network: nn.Module
    card: ModelCard
    others: Sequence[tuple[tuple[str, ...], nn.Module]] = ()
    is_named: bool = True
    has_card: bool = False
    evidence: str | None = None
    notes: tuple[str, ...] = ()


class GoldenRows(NamedTuple):
    """Rows for a card, None where it has no room for one, and what to say of them."""

    golden: Golden | None
    notes: tuple[str, ...]


def golden_rows(subject: Subject, rows: ExpectedRows) -> GoldenRows:
    """Compare rows with a network, and keep them with the logits of the reference.

    Raises:
        UserError: They do not come out, which says by how much and under which function
            they would; the functions are not known; or the rows do not outweigh the
            evidence against them.
    """
    found = deviation(subject.network, subject.card, rows)
    networks = [((), subject.network), *subject.others]
    fits = fitting(variants(networks, subject.card, rows), rows)
    if not subject.is_named:
        raise _error(rows, _unnamed(fits))
    if not found.is_within:
        raise _error(rows, f"{_difference(found)}; {_would(subject, fits)}")
    others = _other_functions(subject.card, fits)
    if others and subject.evidence:
        finding = (
            f"{subject.evidence}, and these rows fit {_listed(others)} as well, so "
            "they prove nothing against it; add rows that tell the functions apart"
        )
        raise _error(rows, finding)
    notes = []
    if others:
        notes = [f"the golden rows fit {_listed(others)} as well: more would tell"]
    kept = _kept(subject, rows)
    if kept is None:
        notes.append("a card has no room for rows this long")
    return GoldenRows(kept, tuple(notes))


def _error(rows: ExpectedRows, finding: str) -> UserError:
    return UserError(one_line(f"{rows.path}: {finding}"))


def _difference(found: Deviation) -> str:
    return (
        f"the {found.quantity} do not come out: in record {found.row + 2} the network "
        f"gives {found.got:.6g}, the file has {found.want:.6g}, which is "
        f"{abs(found.got - found.want):.2g} off"
    )


def _would(subject: Subject, fits: Sequence[Candidate]) -> str:
    """Say under which options they would come out."""
    if not fits:
        return f"none of the functions that are served fits; {_CAUSES}"
    said = f"they would with {_listed([' '.join(each.options) for each in fits])}"
    if subject.has_card and _differs(subject.card, fits):
        return f"{said}, but its card says {subject.card.activation}"
    return said


def _differs(card: ModelCard, fits: Sequence[Candidate]) -> bool:
    return all(each.card.activations != card.activations for each in fits)


def _unnamed(fits: Sequence[Candidate]) -> str:
    """Say which functions fit where none was named."""
    options = [" ".join(each.options) for each in fits]
    if not fits:
        return f"none of the functions that are served fits; {_CAUSES}"
    if len(fits) == 1:
        return f"these rows fit one function alone: name it, {options[0]}"
    return (
        f"these rows fit more than one function: name the one that the network has, "
        f"{_listed(options)}"
    )


def _other_functions(card: ModelCard, fits: Sequence[Candidate]) -> list[str]:
    """List the functions that fit as well as the card's own."""
    own = {*card.activations}
    own |= {_TWINS[name] for name in own & _TWINS.keys()}
    fitted = (name for each in fits for name in each.card.activations[:1])
    return list(dict.fromkeys(name for name in fitted if name not in own))


def _listed(names: Sequence[str]) -> str:
    return " or ".join(names)


def _kept(subject: Subject, rows: ExpectedRows) -> Golden | None:
    """Take some of the rows, over all of the file."""
    architecture = subject.card.architecture
    numbers = architecture.features + architecture.outputs
    most = min(MOST_ROWS, MOST_GOLDEN_NUMBERS // numbers)
    if not most:
        return None
    inputs = rows.inputs[:: -(-len(rows.inputs) // most)]
    return golden_of(subject.network, subject.card, inputs)
