"""No file is served with other numbers than its network's own, and none by a guess.

Python warnings are errors in all tests, so these also say that no file causes any.
"""

import pytest

from sigmoid_models.activation import NAMES
from tests.models.kinds.all_kinds import KINDS
from tests.models.kinds.check import (
    HALF_TOLERANCE,
    TOLERANCE,
    all_logits,
    engine_logits,
    is_near,
    load,
    message,
    proper_subsets,
)
from tests.models.kinds.kind import File

SERVED = [name for name, kind in KINDS.items() if kind.named is not None]
BARE = [name for name in SERVED if KINDS[name].named]

# What a refusal says that the file is.
REFUSED: dict[str, tuple[str, ...]] = {
    "sequential_0_1_2.pt": ("no function", "0 and 1"),
    "layernorm_sequential.pt": ("LayerNorm",),
    "prelu_sequential.pt": ("PReLU",),
    "weight_norm.pt": ("weight_norm", "remove_parametrizations"),
    "whole_module_relu.pt": ("whole module", "Chain", "fc1", "ReLU"),
    "whole_sequential.pt": ("whole module", "Sequential", "Sigmoid"),
    "whole_dataparallel.pt": ("whole module", "DataParallel"),
    "torchscript_script.pt": ("TorchScript", "torch.jit.load"),
    "torchscript_trace.pt": ("TorchScript", "torch.jit.load"),
    "exported.pt2": ("torch.export",),
    "exported_renamed.pt": ("torch.export",),
    "legacy_whole_module.pt": ("whole module", "Chain"),
    "pickle_dump.pt": ("pickle", "torch.save"),
    "parameter_list.pt": ("list",),
    "tensor.pt": ("Tensor",),
    "optimizer_only.pt": ("optimiser",),
    "git_lfs_pointer.pth": ("Git LFS", "git lfs pull"),
    "web_page.pth": ("web page",),
    "text.pt": ("text",),
    "truncated.pt": ("not a whole", "cut off"),
    "sklearn_like.pt": ("pickle",),
    "empty.pt": ("empty",),
}

# What is in a file that speaks for a function, and which one.
EVIDENCE: dict[str, tuple[str, str]] = {
    "relu_called_relu.pt": ("a module called relu", "relu"),
    "sigmoid_called_relu.pt": ("a module called relu", "relu"),
    "train_with_config.pt": ("activation says sigmoid", "sigmoid"),
    "lightning_hparams.ckpt": ("activation says sigmoid", "sigmoid"),
}


def tolerance(name: str) -> float:
    return HALF_TOLERANCE if "float16" in name else TOLERANCE


def test_every_kind_is_served_or_refused_by_name() -> None:
    assert len(KINDS) == 112
    assert len(SERVED) == 90
    assert REFUSED.keys() == KINDS.keys() - {*SERVED}


@pytest.mark.parametrize("name", SERVED)
def test_it_loads_once_all_is_named(files: dict[str, File], name: str) -> None:
    kind, file = KINDS[name], files[name]
    assert kind.named is not None
    checkpoint = load(file, kind.named)
    assert {*checkpoint.card.activations} <= {kind.activation}
    assert file.rows is not None
    for way, logits in all_logits(checkpoint, file.rows).items():
        assert is_near(logits, file, tolerance(name)), way


@pytest.mark.parametrize("name", SERVED)
def test_the_engine_gives_the_numbers_of_its_network(
    files: dict[str, File], name: str
) -> None:
    kind, file = KINDS[name], files[name]
    assert kind.named is not None
    assert file.rows is not None
    logits = engine_logits(load(file, kind.named), file.rows)
    assert is_near(logits, file, tolerance(name))


@pytest.mark.parametrize("name", BARE)
def test_it_does_not_load_before_all_is_named(
    files: dict[str, File], name: str
) -> None:
    kind, file = KINDS[name], files[name]
    assert kind.named is not None
    for named in proper_subsets(kind.named):
        told = message(file, named)
        if not named and "layers" not in kind.named and "state" not in kind.named:
            assert "--activation" in told


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_what_the_file_is(files: dict[str, File], name: str) -> None:
    for named in ({}, {"activation": (KINDS[name].activation,)}):
        told = message(files[name], named)
        assert [word for word in REFUSED[name] if word not in told] == [], told


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_whatever_is_named(files: dict[str, File], name: str) -> None:
    for activation in NAMES:
        message(files[name], {"activation": (activation,), "task": "multiclass"})


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_against_what_is_named_stops_it(
    files: dict[str, File], name: str
) -> None:
    evidence, speaks_for = EVIDENCE[name]
    for activation in (*NAMES, "leaky_relu:0.2", "gelu:tanh"):
        if activation != speaks_for:
            told = message(files[name], {"activation": (activation,)})
            assert evidence in told
            assert "convert --expect" in told


def test_rows_that_prove_it_outweigh_a_name(files: dict[str, File]) -> None:
    file = files["sigmoid_called_relu.pt"]
    checkpoint = load(file, {"activation": ("sigmoid",), "is_proven": True})
    assert file.rows is not None
    for logits in all_logits(checkpoint, file.rows).values():
        assert is_near(logits, file)


@pytest.mark.parametrize("name", ["relu_fc1_fc2.pt", "chatbot.pth", "fc1_fc2.pt"])
def test_another_function_gives_other_numbers(
    files: dict[str, File], name: str
) -> None:
    file = files[name]
    assert file.rows is not None
    for activation in NAMES:
        checkpoint = load(file, {"activation": (activation,)})
        logits = all_logits(checkpoint, file.rows)["reference"]
        assert is_near(logits, file) == (activation == KINDS[name].activation)
