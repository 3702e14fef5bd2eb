"""Kinds by what the bytes are: whole modules, archives, safetensors, others."""

import io
import pickle
from collections.abc import Callable
from functools import cache, partial

import safetensors.torch
import torch
from torch import nn

from tests.models.kinds.kind import Kind, Made, kind, refused, saved
from tests.models.kinds.networks import Chain, Wrapped, stack
from tests.models.kinds.training import plain, trained

SUFFIXES = (
    *(".ckpt", ".bin", ".pkl", ".pickle", ".model", ".params", ".tar", ".PTH"),
    "",
)
LFS_POINTER = (
    f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4670\n"
)
WEB_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>model.pth</title></head><body></body></html>\n"
)


def whole(build: Callable[[], nn.Module], **options: object) -> Callable[[], Made]:
    """Make the file of a whole module."""
    return lambda: Made(saved(build(), **options))


def script(
    compile_module: Callable[[nn.Module], torch.jit.ScriptModule],
) -> Callable[[], Made]:
    """Make a TorchScript archive."""

    def make() -> Made:
        file = io.BytesIO()
        torch.jit.save(compile_module(stack().eval()), file)
        return Made(file.getvalue())

    return make


def traced(network: nn.Module) -> torch.jit.ScriptModule:
    """Compile a network by running it on some rows."""
    return torch.jit.trace(network, torch.randn(2, 5))  # type: ignore[no-any-return,no-untyped-call]


@cache
def exported() -> bytes:
    """Make an archive of `torch.export`."""
    file = io.BytesIO()
    program = torch.export.export(stack().eval(), (torch.randn(2, 5),))
    torch.export.save(program, file)
    return file.getvalue()


@cache
def network() -> Chain:
    """Make the network that is in all files of the second half."""
    return Chain(["fc1", "fc2"], (5, 7, 3))


def weights_of(**options: object) -> Kind:
    """Describe its weights, saved in some way."""
    return kind(lambda: Made(saved(network().state_dict(), **options), network()))


def safetensor(
    build: Callable[[], nn.Module], metadata: dict[str, str] | None = None
) -> Kind:
    """Describe a safetensors file without a card."""

    def make() -> Made:
        made = build()
        return Made(safetensors.torch.save(made.state_dict(), metadata), made)

    return kind(make)


def of(content: object) -> Kind:
    """Describe what is no network, but was saved."""
    return refused(lambda: Made(saved(content)))


def raw(content: bytes) -> Kind:
    """Describe a file of some bytes."""
    return refused(partial(Made, content))


def truncated() -> Made:
    """Make half of a download."""
    content = saved(network().state_dict())
    return Made(content[: len(content) // 2])


MODULES_AND_ARCHIVES: dict[str, Kind] = {
    "whole_module_relu.pt": refused(
        whole(lambda: Chain(["fc1", "fc2"], (5, 7, 3), "relu")), "relu"
    ),
    "whole_sequential.pt": refused(whole(stack)),
    "whole_dataparallel.pt": refused(whole(lambda: nn.DataParallel(plain()))),
    "torchscript_script.pt": refused(script(torch.jit.script)),
    "torchscript_trace.pt": refused(script(traced)),
    "exported.pt2": refused(lambda: Made(exported())),
    "exported_renamed.pt": refused(lambda: Made(exported())),
}

FORMATS: dict[str, Kind] = {
    "legacy.pt": weights_of(_use_new_zipfile_serialization=False),
    "legacy_whole_module.pt": refused(
        whole(network, _use_new_zipfile_serialization=False)
    ),
    **{f"suffix{suffix}": weights_of() for suffix in SUFFIXES},
    "plain.safetensors": safetensor(network),
    # These are sorted by name: the order must come from the numbers.
    "net.safetensors": safetensor(lambda: Wrapped(net=stack()), {"format": "pt"}),
    "safetensors_as.pt": safetensor(network),
    "pickle_dump.pt": refused(lambda: Made(pickle.dumps(network().state_dict()))),
    "parameter_list.pt": refused(lambda: Made(saved([*network().parameters()]))),
    "tensor.pt": of(torch.zeros(3)),
    "optimizer_only.pt": refused(lambda: Made(saved(trained()[1]))),
}

NO_CHECKPOINTS: dict[str, Kind] = {
    "git_lfs_pointer.pth": raw(LFS_POINTER.encode()),
    "web_page.pth": raw(WEB_PAGE.encode()),
    "text.pt": raw(b"hello\n"),
    "truncated.pt": refused(truncated),
    "sklearn_like.pt": raw(pickle.dumps({"coef_": [1.0, 2.0], "intercept_": 0.5})),
    "empty.pt": raw(b""),
}
