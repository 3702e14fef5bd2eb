"""A file of weights, and what its user says of it, made a network with its card."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from torch import nn

from sigmoid_models.card import ModelCard
from sigmoid_models.checkpoint import HEADER_ENTRY, load_checkpoint, read_bytes
from sigmoid_models.checkpoint_card import read_card
from sigmoid_models.conversion.expected_rows import read_expected
from sigmoid_models.conversion.golden_rows import Subject, golden_rows
from sigmoid_models.conversion.scaler_file import read_scaler
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.safetensors_header import read_header
from sigmoid_models.files.stored import FormatError
from sigmoid_models.intake.named import Named, Place
from sigmoid_models.messages import CheckpointError, UserError, one_line

# What no longer holds, once one of these parts of a card is another.
_STALE: Final = {
    "golden": {"scaler"},
    "quantiles": {"scaler"},
    "metrics": {"scaler", "task", "link", "thresholds"},
}


@dataclass(frozen=True)
class Additions:
    """What is to stand in the card; whatever is None stays as it is.

    Attributes:
        features: Names of the features.
        classes: Names of the classes.
        positive: The class that the one output is the probability of.
        scaler: A file for `sigmoid_models.conversion.scaler_file`.
        thresholds: One for all outputs, or one per output.
        expected: A file for `sigmoid_models.conversion.expected_rows`.
    """

    features: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    scaler: Path | None = None
    thresholds: tuple[float, ...] | None = None
    expected: Path | None = None


class Converted(NamedTuple):
    """A network with its card, and what should be said of them."""

    network: nn.Module
    card: ModelCard
    notes: tuple[str, ...]


def convert_checkpoint(source: Path, named: Named, additions: Additions) -> Converted:
    """Read a file, and make the card that says all that is known of it.

    Args:
        source: Any file that is served, with a card or without.
        named: What the weights do not say. A card's word may not be contradicted.
        additions: What to add to the card, or to put in the place of a part.

    Raises:
        UserError: The file cannot be served, what is named contradicts it, or the rows
            do not come out.
    """
    content = read_bytes(source)
    has_card = _has_card(content)
    if has_card:
        _check_questions(source, named)
    subject = _read(source, content, named, is_compared=additions.expected is not None)
    if has_card:
        _check_activation(source, named, subject.card)
    card, notes = _completed(source, subject.card, named, additions)
    if additions.expected:
        rows = read_expected(additions.expected, card)
        others = _other_places(source, content, named)
        about = replace(subject, card=card, others=others, has_card=has_card)
        golden, said = golden_rows(about, rows)
        card = _changed(source, card, {"golden": golden})
        notes += said
    # A card may hold no more than is read again.
    read_card(source, card.model_dump_json(exclude_none=True))
    return Converted(subject.network, card, (*subject.notes, *notes))


def _has_card(content: FileBytes) -> bool:
    try:
        return HEADER_ENTRY in read_header(content).metadata
    except FormatError:
        return False


def _check_questions(source: Path, named: Named) -> None:
    """Refuse options about names that a file with a card does not have."""
    for option in ("layers", "state", "batchnorm"):
        if getattr(named, option) is not None:
            finding = f"it has a card, which leaves nothing of --{option} open"
            raise CheckpointError(source, finding, "leave the option out")


def _check_activation(source: Path, named: Named, card: ModelCard) -> None:
    wanted = named.activation or card.activations
    hidden = len(card.activations)
    if wanted != card.activations and wanted * hidden != card.activations:
        said = ",".join(dict.fromkeys(card.activations)) or "that it has one layer"
        finding = f"its card says {said}, not {','.join(wanted)}"
        raise CheckpointError(source, finding, "leave --activation out")


def _read(
    source: Path, content: FileBytes, named: Named, *, is_compared: bool
) -> Subject:
    """Read the network; rows that will be compared outweigh the names of modules."""
    try:
        return _subject(source, content, named)
    except CheckpointError as error:
        if not is_compared:
            raise
        finding = error.finding
    proven = replace(named, is_proven=True)
    if named.activation is None:
        guess = replace(proven, activation=("sigmoid",))
        return replace(_subject(source, content, guess), is_named=False)
    return replace(_subject(source, content, proven), evidence=finding)


def _subject(source: Path, content: FileBytes, named: Named) -> Subject:
    loaded = load_checkpoint(source, content, named=named)
    return Subject(loaded.network, loaded.card, notes=loaded.notes)


def _other_places(
    source: Path, content: FileBytes, named: Named
) -> Sequence[tuple[tuple[str, ...], nn.Module]]:
    """Read the file with its BatchNorm at the place that was not named."""
    if named.batchnorm is None:
        return ()
    other: Place = "after" if named.batchnorm == "before" else "before"
    activation = named.activation or ("sigmoid",)
    again = replace(named, batchnorm=other, activation=activation, is_proven=True)
    try:
        network = _subject(source, content, again).network
    except CheckpointError:
        return ()
    return (((f"--batchnorm {other}",), network),)


def _completed(
    source: Path, card: ModelCard, named: Named, additions: Additions
) -> tuple[ModelCard, tuple[str, ...]]:
    """Add to a card, and drop what no longer holds."""
    notes: tuple[str, ...] = ()
    wanted: dict[str, Any] = {
        "task": named.task,
        "link": named.link,
        "features": additions.features,
        "classes": additions.classes,
        "thresholds": additions.thresholds,
    }
    outputs = card.architecture.outputs
    if additions.thresholds and len(additions.thresholds) == 1:
        wanted["thresholds"] = additions.thresholds * outputs
    new = _changed(source, card, {k: v for k, v in wanted.items() if v is not None})
    if additions.thresholds and new.task == "multiclass":
        finding = "the task is multiclass, whose label is that of the largest logit"
        raise CheckpointError(source, finding, "leave --threshold out")
    if additions.positive is not None:
        new = _changed(source, new, {"classes": _classes(source, new, additions)})
    if additions.scaler:
        features = card.architecture.features
        scaler, notes = read_scaler(additions.scaler, features, new.features)
        new = _changed(source, new, {"scaler": scaler})
    stale = [
        name
        for name, parts in _STALE.items()
        if _part(card, name)
        and any(_part(card, part) != _part(new, part) for part in parts)
    ]
    if stale:
        new = _changed(source, new, dict.fromkeys(stale))
        left = " and ".join({"golden": "golden rows"}.get(name, name) for name in stale)
        notes += (f"the {left} of the card no longer hold and are left out",)
    return new, notes


def _part(card: ModelCard, name: str) -> object:
    return getattr(card, name)


def _classes(source: Path, card: ModelCard, additions: Additions) -> tuple[str, ...]:
    """Put the class that the one output is the probability of second."""
    positive = additions.positive
    if card.task != "binary":
        finding = f"the task is {card.task}, each of whose outputs has a class"
        raise CheckpointError(source, finding, "leave --positive out")
    if card.classes is None:
        finding = "it names no classes"
        raise CheckpointError(source, finding, "name both, with --classes A,B")
    if positive not in card.classes:
        finding = f"{positive} is none of its classes {', '.join(card.classes)}"
        raise CheckpointError(source, finding, "name one of them as --positive")
    return (*(name for name in card.classes if name != positive), str(positive))


def _changed(source: Path, card: ModelCard, changes: dict[str, Any]) -> ModelCard:
    """Make a card with other parts, which must agree with the rest."""
    parts = {name: _part(card, name) for name in ModelCard.model_fields}
    try:
        return ModelCard(**{**parts, **changes})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        message = f"{source}: {place}: {said}" if place else f"{source}: {said}"
        raise UserError(one_line(message)) from None
