"""Rows whose outputs are known from the user's own program, read from a table."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from sigmoid_models.card import ModelCard
from sigmoid_models.dtype import Float64Array
from sigmoid_models.messages import UserError, one_line
from sigmoid_models.tables.whole import WholeTable, read_whole

Quantity = Literal["logits", "probabilities"]

QUANTITIES: Final[tuple[Quantity, ...]] = ("logits", "probabilities")

# A word of its own, then anything: `logit_setosa`, `logits.1`, `probability`, `prob0`.
_COLUMNS: Final[dict[Quantity | Literal["labels"], re.Pattern[str]]] = {
    "logits": re.compile(r"logits?(?![a-z])", re.IGNORECASE),
    "probabilities": re.compile(r"prob(?:s|as?|ability|abilities)?(?![a-z])", re.I),
    "labels": re.compile(r"labels?(?![a-z])", re.IGNORECASE),
}


class ExpectedRows(NamedTuple):
    """Rows, and what is known of each.

    Attributes:
        path: The file, for errors.
        inputs: Raw features, `(rows, features)`.
        outputs: The known logits or probabilities or both, each `(rows, outputs)`.
    """

    path: Path
    inputs: Float64Array
    outputs: Mapping[Quantity, Float64Array]


def read_expected(path: Path, card: ModelCard) -> ExpectedRows:
    """Read rows of features beside the outputs that they are known to have.

    Columns called `logit…` or `prob…` are the outputs, in order; those called `label…`
    are left out. The others are the features: found by name where the card names them,
    else in order.

    Raises:
        UserError: It is no table of finite numbers, or has other features or outputs
            than the network.
    """
    table = read_whole(path)
    named = {*(card.features or ())}
    kinds = {name: None if name in named else _kind(name) for name in table.names}
    inputs = table.numbers(card.features or _features(path, kinds, card))
    outputs: dict[Quantity, Float64Array] = {}
    for kind in QUANTITIES:
        names = tuple(name for name in table.names if kinds[name] == kind)
        if names:
            outputs[kind] = _outputs(path, table, names, kind, card)
    if not outputs:
        finding = "it has no column of logits or probabilities"
        remedy = "call them logit_NAME or probability_NAME"
        raise UserError(one_line(f"{path}: {finding}; {remedy}"))
    return ExpectedRows(path, inputs, outputs)


def _kind(name: str) -> Quantity | Literal["labels"] | None:
    return next((kind for kind, form in _COLUMNS.items() if form.match(name)), None)


def _features(
    path: Path, kinds: Mapping[str, str | None], card: ModelCard
) -> tuple[str, ...]:
    names = tuple(name for name, kind in kinds.items() if kind is None)
    takes = card.architecture.features
    if len(names) != takes:
        raise UserError(
            one_line(
                f"{path}: the network takes {takes} features, beside the outputs "
                f"are {len(names)} columns: {', '.join(names)[:128] or 'none'}"
            )
        )
    return names


def _outputs(
    path: Path,
    table: WholeTable,
    names: tuple[str, ...],
    kind: Quantity,
    card: ModelCard,
) -> Float64Array:
    gives = card.architecture.outputs
    if len(names) != gives:
        raise UserError(
            one_line(
                f"{path}: the network has {gives} outputs, the {kind} are "
                f"{len(names)} columns: {', '.join(names)[:128]}"
            )
        )
    values = table.numbers(names)
    if kind == "probabilities" and (values.min() < 0 or values.max() > 1):
        finding = "a probability is not from 0 to 1"
        remedy = "call columns of logits logit_NAME"
        raise UserError(one_line(f"{path}: {finding}; {remedy}"))
    return values
