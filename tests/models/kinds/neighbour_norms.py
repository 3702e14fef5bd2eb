"""BatchNorms wherever people put them; all are folded."""

from torch import nn

from tests.models.kinds.formats import safetensor
from tests.models.kinds.kind import Kind, weights
from tests.models.kinds.networks import BatchNormed, Lit, Wrapped, stack, used
from tests.models.kinds.training import around, lightning

SQUARE = (5, 5, 5, 5)
NORM = nn.BatchNorm1d


def sequence(*modules: nn.Module) -> nn.Module:
    return used(nn.Sequential(*modules))


BATCHNORMS: dict[str, Kind] = {
    name + ".pt": Kind(weights(build), {"activation": ("relu",), **named}, "relu")
    for name, build, named in (
        (
            "after the function",
            lambda: sequence(nn.Linear(5, 7), nn.ReLU(), NORM(7), nn.Linear(7, 3)),
            {},
        ),
        (
            "before the first layer",
            lambda: sequence(NORM(5), nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)),
            {},
        ),
        (
            "behind the last layer",
            lambda: sequence(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3), NORM(3)),
            {},
        ),
        (
            "everywhere",
            lambda: sequence(
                *(NORM(5), nn.Linear(5, 5), NORM(5), nn.ReLU(), nn.Linear(5, 5)),
                *(nn.ReLU(), NORM(5), nn.Linear(5, 5), NORM(5)),
            ),
            {},
        ),
        (
            "before, with Dropout",
            lambda: sequence(
                nn.Linear(5, 7), NORM(7), nn.ReLU(), nn.Dropout(), nn.Linear(7, 3)
            ),
            {},
        ),
        (
            "after, with Dropout before it",
            lambda: sequence(
                nn.Linear(5, 7), nn.ReLU(), nn.Dropout(), NORM(7), nn.Linear(7, 3)
            ),
            {},
        ),
        (
            "after, with Dropout behind it",
            lambda: sequence(
                nn.Linear(5, 7), nn.ReLU(), NORM(7), nn.Dropout(), nn.Linear(7, 3)
            ),
            {"batchnorm": "after"},
        ),
        (
            "before, with Dropout before it",
            lambda: sequence(
                nn.Linear(5, 7), nn.Dropout(), NORM(7), nn.ReLU(), nn.Linear(7, 3)
            ),
            {"batchnorm": "before"},
        ),
        (
            "without weights",
            lambda: sequence(
                nn.Linear(5, 7), NORM(7, affine=False), nn.ReLU(), nn.Linear(7, 3)
            ),
            {},
        ),
        (
            "behind a layer without bias",
            lambda: sequence(
                nn.Linear(5, 7, bias=False), NORM(7), nn.ReLU(), nn.Linear(7, 3)
            ),
            {},
        ),
        (
            "in float64",
            lambda: used(stack(norm=NORM, activation="relu")).double(),
            {},
        ),
        (
            "bn1, after the function",
            lambda: used(BatchNormed("after", "relu")),
            {"batchnorm": "after"},
        ),
        (
            "in a block",
            lambda: used(
                Wrapped(
                    block1=nn.Sequential(nn.Linear(5, 7), NORM(7), nn.ReLU()),
                    block2=nn.Sequential(nn.Linear(7, 7), NORM(7), nn.ReLU()),
                    out=nn.Linear(7, 3),
                )
            ),
            {},
        ),
        (
            "last in a block",
            lambda: used(
                Wrapped(
                    block1=nn.Sequential(nn.Linear(5, 7), nn.ReLU(), NORM(7)),
                    out=nn.Linear(7, 3),
                )
            ),
            {"batchnorm": "after"},
        ),
    )
}
BATCHNORMS |= {
    "stack.safetensors": safetensor(lambda: used(stack(SQUARE, norm=NORM))),
    "stack in Lightning.ckpt": around(
        lambda network: lightning(Lit(network)),
        lambda: used(stack(norm=NORM, dropout=True)),
    ),
    "stack, legacy.pt": around(
        lambda network: {"model": network.state_dict()},
        lambda: used(stack(norm=NORM)),
        _use_new_zipfile_serialization=False,
    ),
}
