"""What a file says of the functions between its layers, and whether its user agrees.

A file's own configuration says it, or its user does. Modules that are called as
functions are prove nothing: they only speak against what was named.
"""

from typing import Final, Literal, NamedTuple

from sigmoid_models.activation import ActivationError, read_activation
from sigmoid_models.intake.named import Named
from sigmoid_models.intake.network import Network, function_called
from sigmoid_models.intake.refusal import RefusedError, listed

Source = Literal["named by the user", "the file's configuration", "one layer"]

_EVIDENCE_REMEDY: Final = (
    "name what its modules say, or prove it by rows with known outputs: "
    "sigmoid-serve convert --expect ROWS.csv"
)


_WITH_PARAMETER: Final = {"elu", "gelu", "softplus", "silu"}


class Activation(NamedTuple):
    """The functions between layers, and how they are known.

    Attributes:
        names: One per hidden layer.
        source: How they are known.
    """

    names: tuple[str, ...]
    source: Source


def find_activation(network: Network, named: Named) -> Activation | None:
    """Find the functions between layers in a file's own words, or in its user's.

    Returns:
        None where neither says it.

    Raises:
        RefusedError: The file says something else than its user does.
    """
    hidden = len(network.layers) - 1
    if not hidden:
        return Activation((), "one layer")
    said = configured(network)
    if named.activation is None:
        if said is None or _strangers(network, said):
            return None
        return Activation(said, "the file's configuration")
    names = _for_each(named.activation, hidden)
    if names is None:
        raise RefusedError(
            f"{len(named.activation)} functions are named, but {hidden} stand between "
            f"its layers ({network.shown})",
            "name one for all of them, or one each",
        )
    if not named.is_proven:
        evidence = _against(network, names, said)
        if evidence:
            shown = ",".join(named.activation)[:64]
            raise RefusedError(
                f"{listed(evidence)}, which speaks against {shown}", _EVIDENCE_REMEDY
            )
    if said == names:
        return Activation(names, "the file's configuration")
    return Activation(names, "named by the user")


def configured(network: Network) -> tuple[str, ...] | None:
    """Read what a file's configuration says; None where it says nothing certain."""
    names = _readable(network)
    # The parameter of a function is a number of its own, under other names.
    is_certain = names and not (
        network.configuration.has_parameter and {*names} & _WITH_PARAMETER
    )
    if names is None or not is_certain or "leaky_relu" in names:
        return None
    return _for_each(names, len(network.layers) - 1)


def _readable(network: Network) -> tuple[str, ...] | None:
    """Read the names of functions in a configuration, where all are in the table."""
    try:
        return tuple(map(read_activation, network.configuration.activation or ()))
    except ActivationError:
        return None


def _for_each(names: tuple[str, ...], hidden: int) -> tuple[str, ...] | None:
    names = names * hidden if len(names) == 1 else names
    return names if len(names) == hidden else None


def _against(
    network: Network, names: tuple[str, ...], said: tuple[str, ...] | None
) -> list[str]:
    """List what a file has against functions that were named."""
    its_own = network.configuration
    texts = its_own.activation or ()
    read = _readable(network)
    families = None if read is None else {*map(_family, read)}
    is_other = said != names if said else families != {*map(_family, names)}
    if texts and is_other:
        return [f"its {its_own.where} says {listed([*texts])}"]
    return _strangers(network, names)


def _strangers(network: Network, names: tuple[str, ...]) -> list[str]:
    """List the modules that are called as functions which were not named."""
    called = [
        (name, _family_called(name, network))
        for name in network.called
        if "softmax" not in function_called(name)
    ]
    families = [*map(_family, names)]
    strangers = [name for name, family in called if family not in families]
    if len({*families}) > 1 and len(called) == len(families) and not strangers:
        # One each: then they stand in their order, too.
        pairs = zip(called, families, strict=True)
        strangers = [name for (name, family), want in pairs if family != want]
    return [f"a module called {name[:64]} stands in it" for name in strangers]


def _family(activation: str) -> str:
    return activation.partition(":")[0]


def _family_called(name: str, network: Network) -> str | None:
    """Return the function that a module is called as; None if in no table of ours."""
    try:
        return _family(read_activation(function_called(name, network.called)))
    except ActivationError:
        return None
