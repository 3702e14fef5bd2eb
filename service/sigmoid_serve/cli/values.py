"""The values of options that hold more than one: names, numbers, functions."""

import csv
import os
import sys
from pathlib import Path

from sigmoid_models.activation import ActivationError, read_activations
from sigmoid_models.messages import UsageError, UserError, one_line
from sigmoid_serve.configuration.environment import variable

_ACTIVATION = variable("activation")
ACTIVATION_HELP = (
    "What stands between the layers, such as relu: one for all, or one per hidden "
    "layer with commas between."
)


def read_functions(text: str | None) -> tuple[str, ...] | None:
    """Read the value of `--activation`, or of its variable.

    Raises:
        UsageError: The option names no such function.
        UserError: The variable does not.
    """
    if not text:
        return None
    try:
        return read_activations(text)
    except ActivationError as error:
        is_typed = any(word.startswith("--activation") for word in sys.argv)
        if os.environ.get(_ACTIVATION) == text and not is_typed:
            raise UserError(one_line(f"{_ACTIVATION}: {error}")) from None
        raise UsageError(one_line(f"--activation: {error}")) from None


def read_names(text: str | None, option: str) -> tuple[str, ...] | None:
    """Read names with commas between, quoted as in a CSV, or those of `@FILE`.

    Args:
        text: The names; or `@` and the path of a file that has one per line.
        option: For errors.

    Raises:
        UsageError: There are none, or one is empty.
        UserError: The file cannot be read.
    """
    if text is None:
        return None
    try:
        if text.startswith("@"):
            lines = Path(text[1:]).read_text(encoding="utf-8-sig").rstrip().split("\n")
            names = [line.strip() for line in lines]
        else:
            [row] = csv.reader([text], skipinitialspace=True, strict=True)
            names = [name.strip() for name in row]
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise UserError(one_line(f"{option}: {text[1:]}: {reason}")) from None
    except (ValueError, csv.Error):
        finding = f"expected names with commas between, or @FILE, got {text[:64]!r}"
        raise UsageError(one_line(f"{option}: {finding}")) from None
    if not names or "" in names:
        raise UsageError(f"{option}: a name is empty")
    return tuple(names)


def read_probabilities(text: str | None, option: str) -> tuple[float, ...] | None:
    """Read numbers from 0 to 1 with commas between.

    Raises:
        UsageError: One is no such number.
    """
    if text is None:
        return None
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        numbers = (-1.0,)
    if not all(0 <= number <= 1 for number in numbers):
        finding = f"expected numbers from 0 to 1 with commas between, got {text[:64]!r}"
        raise UsageError(one_line(f"{option}: {finding}"))
    return numbers
