"""Kinds by the names of their layers, by what stands between them, and by dtype."""

from torch import nn

from tests.models.kinds.kind import Kind, complete, kind, refused, weights
from tests.models.kinds.networks import (
    SIZES,
    BatchNormed,
    Called,
    Chain,
    HiddenLayers,
    LayerDict,
    OnlyLayers,
    Wrapped,
    blocks,
    stack,
    used,
)

SMALL = (5, 7, 3)


def chain(
    names: str,
    sizes: tuple[int, ...] = SIZES,
    activation: str = "sigmoid",
    *,
    bias: bool = True,
) -> Kind:
    """Describe layers of some names, with blanks between."""
    build = lambda: Chain(names.split(), sizes, activation, bias=bias)  # noqa: E731
    return kind(weights(build), activation)


LAYERS: dict[str, Kind] = {
    "fc1_fc2.pt": chain("fc1 fc2", SMALL),
    "fc1_fc2_fc3.pt": chain("fc1 fc2 fc3"),
    "fc1_fc2_out.pt": chain("fc1 fc2 out"),
    "fc1_fc2_fc3_fc4.pt": chain("fc1 fc2 fc3 fc4", (5, 7, 6, 4, 1)),
    "l1_l2_l3.pt": chain("l1 l2 l3"),
    "linear1_linear2.pt": chain("linear1 linear2", SMALL),
    "linear_linear2.pt": chain("linear linear2", SMALL),
    "layer1_layer2.pt": chain("layer1 layer2", SMALL),
    "layer_1_layer_2_layer_out.pt": chain("layer_1 layer_2 layer_out"),
    "dense1_dense2.pt": chain("dense1 dense2", (5, 7, 1)),
    "hidden_output.pt": chain("hidden output", SMALL),
    "hidden1_hidden2_output.pt": chain("hidden1 hidden2 output"),
    "input_hidden_output.pt": chain("input hidden output"),
    # fc10 comes after fc9, not after fc1.
    "fc10_order.pt": chain(
        " ".join(f"fc{i}" for i in range(1, 12)), (5, *(4,) * 10, 3)
    ),
    "net_0_2_4.pt": kind(weights(lambda: Wrapped(net=stack()))),
    "model_0_2.pt": kind(weights(lambda: Wrapped(model=stack(SMALL)))),
    "network_0_2_4.pt": kind(weights(lambda: Wrapped(network=stack()))),
    # The name says relu, the module is a sigmoid: such a name proves nothing.
    "linear_relu_stack_sigmoid.pt": kind(
        weights(lambda: Wrapped(linear_relu_stack=stack()))
    ),
    "layers_0_2_4.pt": kind(weights(lambda: Wrapped(layers=stack()))),
    "layers_all.pt": kind(weights(OnlyLayers)),
    "hidden_layers_output.pt": kind(weights(HiddenLayers)),
    "net_flatten_1_3_5.pt": kind(weights(lambda: Wrapped(net=stack(flatten=True)))),
    "net_dropout_0_3_6.pt": kind(weights(lambda: Wrapped(net=stack(dropout=True)))),
    "sequential_dropout_0_3_6.pt": kind(weights(lambda: stack(dropout=True))),
    "sequential_0_2_4.pt": kind(weights(stack)),
    # No module stands between 0 and 1: no function is there.
    "sequential_0_1_2.pt": refused(
        weights(lambda: nn.Sequential(*list(stack())[::2])), "none"
    ),
    "blocks_layer1_0.pt": kind(weights(blocks)),
    "moduledict_input_hidden_output.pt": kind(weights(LayerDict)),
    # All layers are 5 to 5, and no name has a number.
    "order_not_of_use.pt": kind(
        weights(
            lambda: Chain(
                ("first", "second", "out"),
                (5, 5, 5, 5),
                made=("out", "second", "first"),
            )
        ),
        layers=("first", "second", "out"),
    ),
}

ONE_LAYER_AND_NORMS: dict[str, Kind] = {
    "single_fc.pt": complete(weights(lambda: Chain(["fc"], (5, 1))), "none"),
    "single_linear.pt": complete(weights(lambda: Chain(["linear"], (5, 2))), "none"),
    "single_sequential.pt": complete(
        weights(lambda: nn.Sequential(nn.Linear(5, 1), nn.Sigmoid())), "none"
    ),
    "single_bare.pt": complete(weights(lambda: nn.Linear(5, 1)), "none"),
    "bias_false_fc.pt": chain("fc1 fc2", SMALL, bias=False),
    "bias_false_sequential.pt": kind(weights(lambda: stack(bias=False))),
    "bias_false_last_only.pt": kind(
        weights(
            lambda: nn.Sequential(
                nn.Linear(5, 7), nn.Sigmoid(), nn.Linear(7, 3, bias=False)
            )
        )
    ),
    # It stands before the function, but bn1 could as well stand after it.
    "batchnorm_fc.pt": kind(weights(lambda: used(BatchNormed())), batchnorm="before"),
    # 0 Linear, 1 BatchNorm, 2 no weights, 3 Linear: its place is known.
    "batchnorm_sequential.pt": kind(weights(lambda: used(stack(norm=nn.BatchNorm1d)))),
    "layernorm_sequential.pt": refused(weights(lambda: stack(norm=nn.LayerNorm))),
    "prelu_sequential.pt": refused(
        weights(lambda: nn.Sequential(nn.Linear(5, 7), nn.PReLU(), nn.Linear(7, 3))),
        "relu",
    ),
    "weight_norm.pt": refused(
        weights(
            lambda: nn.Sequential(
                nn.utils.parametrizations.weight_norm(nn.Linear(5, 7)),
                nn.Sigmoid(),
                nn.Linear(7, 3),
            )
        )
    ),
}

FUNCTIONS_AND_DTYPES: dict[str, Kind] = {
    "final_sigmoid.pt": kind(weights(lambda: stack((5, 7, 1), final=nn.Sigmoid()))),
    "final_softmax.pt": kind(
        weights(lambda: stack(SMALL, final=nn.Softmax(dim=1))), link="softmax"
    ),
    "final_logsoftmax.pt": kind(
        weights(lambda: stack(SMALL, final=nn.LogSoftmax(dim=1))), link="softmax"
    ),
    # Three classes, or three yes-or-no questions? The file cannot tell.
    "multilabel.pt": kind(
        weights(lambda: stack(SMALL, final=nn.Sigmoid())), task="multilabel"
    ),
    "relu_fc1_fc2.pt": chain("fc1 fc2", SMALL, "relu"),
    "relu_sequential.pt": kind(weights(lambda: stack(activation="relu")), "relu"),
    "tanh_sequential.pt": kind(weights(lambda: stack(activation="tanh")), "tanh"),
    "none_fc1_fc2.pt": chain("fc1 fc2", SMALL, "none"),
    "relu_called_relu.pt": kind(weights(lambda: Called(nn.ReLU())), "relu"),
    # The name misleads: only rows with known outputs outweigh it.
    "sigmoid_called_relu.pt": kind(
        weights(lambda: Called(nn.Sigmoid())), is_proven=True
    ),
    "relu_net_0_2_4.pt": kind(
        weights(lambda: Wrapped(net=stack(activation="relu"))), "relu"
    ),
    "float64.pt": kind(weights(lambda: Chain(["fc1", "fc2"], SMALL).double())),
    "float16.pt": kind(weights(lambda: Chain(["fc1", "fc2"], SMALL).half())),
    "bfloat16.pt": kind(weights(lambda: Chain(["fc1", "fc2"], SMALL).bfloat16())),
}
