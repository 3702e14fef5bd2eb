"""The card of a file that has none, and the questions that it leaves open.

What a file says is taken, what its user says is compared with that, and nothing else
is assumed: 106 of 126 public networks of linear layers had ReLU between them, and 6 the
sigmoid.
"""

from typing import NamedTuple

from pydantic import ValidationError

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard, usual_task
from sigmoid_models.intake.batchnorm import EPSILON, Norm
from sigmoid_models.intake.evidence import find_activation
from sigmoid_models.intake.named import Named
from sigmoid_models.intake.network import Network, function_called
from sigmoid_models.intake.refusal import RefusedError, listed


class Question(NamedTuple):
    """What a file does not say of its network.

    Attributes:
        what: It does not say `what`.
        option: With which it is named.
    """

    what: str
    option: str


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
        option = "--link sigmoid|softmax or --task multilabel"
        found.append(Question(f"{what}, where no other function is served", option))
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
    """Put each BatchNorm where it stands, or where its user says.

    Raises:
        RefusedError: The numbers in names say that all stand elsewhere.
    """
    told = [norm for norm in network.norms if norm.place]
    others = [norm for norm in told if norm.place != named.batchnorm]
    if named.batchnorm and len(told) == len(network.norms) and (others or not told):
        names = listed([norm.module.name for norm in others])
        found = f"{names} stands {others[0].place} it" if others else "it has none"
        raise RefusedError(
            f"its BatchNorm is named as {named.batchnorm} the function, but {found}",
            "leave --batchnorm out",
        )
    return [
        norm if norm.place else Norm(norm.module, norm.layer, named.batchnorm)
        for norm in network.norms
    ]


def notes(network: Network, named: Named) -> list[str]:
    """Say what was found in a file beside what is served, and what of it was taken."""
    configuration = network.configuration
    found = []
    if named.task is None:
        task = usual_task(network.layers[-1].width)
        found.append(f"its task is taken as {task}; a regression is not served")
    for what, names in _names(network, named).items():
        if names:
            found.append(f"its {what} are named as the file has them")
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
    is_tutorials = names and {*names} == {"sigmoid"}
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
        task=named.task or usual_task(layers[-1].width),
        **_names(network, named),
    )


def _folded(norm: Norm, network: Network) -> str:
    if norm.layer < 0:
        where = "before the first layer"
    elif norm.layer == len(network.layers) - 1:
        where = "behind the last layer"
    else:
        where = f"{norm.place} the function"
    return f"{norm.module.name[:64]}: BatchNorm {where}, eps {EPSILON:g}"


def _names(network: Network, named: Named) -> dict[str, tuple[str, ...] | None]:
    """Return the names of features and classes in a file, where they are as many."""
    outputs = network.layers[-1].width
    is_binary = (named.task or usual_task(outputs)) == "binary"
    features, classes = network.configuration.features, network.configuration.classes
    return {
        "features": _of_length(features, network.layers[0].inputs),
        "classes": _of_length(classes, 2 if is_binary else outputs),
    }


def _of_length(names: tuple[str, ...] | None, length: int) -> tuple[str, ...] | None:
    return names if names and len(names) == length else None
