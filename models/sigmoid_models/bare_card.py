"""The card of a file that has none, and the questions that it leaves open.

What a file says is taken, what its user says is compared with that, and nothing else
is assumed: 106 of 126 public networks of linear layers had ReLU between them, and 6 the
sigmoid.
"""

from typing import Final, NamedTuple

from pydantic import ValidationError

from sigmoid_models.activation import (
    ActivationError,
    read_activation,
)
from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard, Source, usual_task
from sigmoid_models.intake.batchnorm import EPSILON, Norm
from sigmoid_models.intake.named import Named
from sigmoid_models.intake.network import Network, function_called
from sigmoid_models.intake.refusal import RefusedError, listed

_EVIDENCE_REMEDY: Final = (
    "name what its modules say, or prove it by rows with known outputs: "
    "sigmoid-serve convert --expect ROWS.csv"
)


_WITH_PARAMETER: Final = {"elu", "gelu", "softplus", "silu"}


class Question(NamedTuple):
    """What a file does not say of its network.

    Attributes:
        what: It does not say `what`.
        option: With which it is named.
    """

    what: str
    option: str


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


def questions(network: Network, named: Named) -> list[Question]:
    """List what must be named before a network is served.

    Raises:
        RefusedError: See `find_activation`.
    """
    found = []
    if find_activation(network, named) is None:
        hint = f"; {names} in it" if (names := _hint(network)) else ""
        what = f"which function stands between its layers ({network.shown}{hint})"
        found.append(Question(what, "--activation NAME"))
    unplaced = [
        f"{norm.module.name[:64]} (behind {network.layers[norm.layer].name[:64]})"
        for norm in network.norms
        if norm.place is None
    ]
    if unplaced and named.batchnorm is None:
        what = f"whether {listed(unplaced)} stands before or after the function"
        found.append(Question(what, "--batchnorm before|after"))
    outputs = network.layers[-1].width
    is_settled = named.link is not None or named.task == "multilabel"
    if network.behind and outputs > 1 and not is_settled:
        what = f"what {network.behind} makes of {outputs} outputs"
        found.append(Question(what, "--link sigmoid|softmax or --task multilabel"))
    return found


def _hint(network: Network) -> str:
    called = [
        f"a module called {name[:64]}"
        for name in network.called
        if "softmax" not in function_called(name)
    ]
    said = network.configuration.activation or ()
    return " and ".join(
        called[:2]
        or [f"{network.configuration.where} {said[0][:32]}" for _ in said[:1]]
    )


def require_answers(found: list[Question]) -> None:
    """Raise unless there is no question.

    Raises:
        RefusedError: In one sentence, what must be named, and how.
    """
    if not found:
        return
    finding = f"it does not say {', nor '.join(each.what for each in found)}"
    options = " ".join(each.option for each in found)
    if options == "--activation NAME":
        remedy = (
            "name it: --activation NAME or SIGMOID_ACTIVATION, such as relu or "
            "sigmoid; for one of several files, sigmoid-serve convert"
        )
    else:
        remedy = f"name it: sigmoid-serve convert {options}"
    raise RefusedError(finding, remedy)


def placed(network: Network, named: Named) -> list[Norm]:
    """Put each BatchNorm where it stands, or where its user says."""
    return [
        norm if norm.place else Norm(norm.module, norm.layer, named.batchnorm)
        for norm in network.norms
    ]


def notes(network: Network) -> list[str]:
    """Say what was found in a file beside what is served, and what of it was taken."""
    configuration = network.configuration
    found = []
    if network.state:
        found.append(f"the weights are those of {network.state[:64]}")
    if network.norms:
        found.append(
            f"the eps of BatchNorm is not in the file and is taken as {EPSILON:g}, "
            "PyTorch's default"
        )
    if network.unused:
        found.append(f"not in use are the layers {listed([*network.unused])}")
    if configuration.arrays:
        found.append(
            f"{listed([*configuration.arrays])} beside the weights is not used; if it "
            "scales the features, give it by --scaler"
        )
    return found


def bare_card(network: Network, named: Named) -> ModelCard:
    """Make the card of a network that leaves no question open.

    Raises:
        RefusedError: See `find_activation`; or what was named contradicts the network.
    """
    try:
        return _card(network, named)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        finding = f"{place}{': ' if place else ''}{first['msg'][:256]}"
        raise RefusedError(finding, "name what its weights allow") from None


def _card(network: Network, named: Named) -> ModelCard:
    activation = find_activation(network, named)
    assert activation is not None
    names, source = activation
    layers = network.layers
    outputs = layers[-1].width
    task = named.task or usual_task(outputs)
    is_tutorials = names and {*names} == {"sigmoid"}
    configuration = network.configuration
    return ModelCard(
        architecture=Architecture.model_validate(
            {
                "kind": network.kind if is_tutorials else "Sequential",
                "sizes": (layers[0].inputs, *(layer.width for layer in layers)),
            }
        ),
        activation=names if len({*names}) > 1 else (*names, "none")[0],
        activation_source=source,
        link=named.link or "sigmoid",
        layers=tuple(layer.name[:128] or "weight" for layer in layers),
        folded=tuple(_folded(norm, network) for norm in placed(network, named)) or None,
        task=task,
        features=_of_length(configuration.features, layers[0].inputs),
        classes=_of_length(configuration.classes, 2 if task == "binary" else outputs),
    )


def _folded(norm: Norm, network: Network) -> str:
    if norm.layer < 0:
        where = "before the first layer"
    elif norm.layer == len(network.layers) - 1:
        where = "behind the last layer"
    else:
        where = f"{norm.place} the function"
    return f"{norm.module.name[:64]}: BatchNorm {where}, eps {EPSILON:g}"


def _of_length(names: tuple[str, ...] | None, length: int) -> tuple[str, ...] | None:
    return names if names and len(names) == length else None
