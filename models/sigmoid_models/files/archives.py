"""Zip archives that `torch.save` did not write: what each is, and the way to weights.

Of the code in an archive of TorchScript only names are read. What is inflated for that
has a limit, and nothing is executed.
"""

import re
import zlib
from collections.abc import Mapping
from typing import Final

from sigmoid_models.files.kinds import NotWeightsError
from sigmoid_models.files.outline import described, find_module, read_described
from sigmoid_models.files.pickle_values import brief
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.saved_file import pickle_names
from sigmoid_models.files.zip_directory import Part, read_directory

_SAVE: Final = 'save the weights with torch.save(model.state_dict(), "model.pt")'
_SCRIPT: Final = (
    """save its weights: python -c "import torch; torch.save("""
    """torch.jit.load('model.pt').state_dict(), 'weights.pt')\""""
)
_EXPORTED: Final = (
    """name it model.pt2, and save its weights: python -c "import torch; torch.save("""
    """torch.export.load('model.pt2').state_dict, 'weights.pt')\""""
)
_WEIGHTS: Final = (".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".pkl")

# Names of parts, or how they end, that only one kind of archive has.
_MARKS: Final = (
    ("model.weights.h5", "a Keras archive (.keras)"),
    ("MAR-INF/MANIFEST.json", "a TorchServe archive (.mar)"),
    (".data/extern_modules", "an archive of torch.package"),
    ("[Content_Types].xml", "an Office document"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
    ("META-INF/container.xml", "an e-book"),
)

_MOST_CODE_BYTES: Final = 2**18
_MOST_CODE_PARTS: Final = 64
_CALLED: Final = re.compile(
    rb"(?:torch|aten)\.(sigmoid|relu6?|leaky_relu|tanh|elu|selu|gelu|silu|softplus|prelu"
    rb"|hardtanh|hardswish|hardsigmoid|mish|celu|log_sigmoid|softmax|log_softmax)_?[.(]"
)


def check_archive(content: FileBytes) -> None:
    """Check that an archive is one of `torch.save`, by the names of its parts.

    Raises:
        FormatError: It is no whole archive.
        NotWeightsError: It is another archive; the error says which.
    """
    parts = read_directory(content)
    if any(name.endswith("/constants.pkl") for name in parts):
        code = _code(content, parts, "/code/", ".py")
        raise NotWeightsError(_script(content, _called(code)), _SCRIPT)
    if any(
        name.endswith(("archive_format", "serialized_exported_program.json"))
        for name in parts
    ):
        called = _called(_code(content, parts, "", ".json"))
        calls = f", which calls {', '.join(called)}" if called else ""
        raise NotWeightsError(f"it is a torch.export archive{calls}", _EXPORTED)
    if not pickle_names(parts):
        raise _named(parts)


def _script(content: FileBytes, called: tuple[str, ...]) -> str:
    found = find_module(read_described(content))
    if found is not None:
        return described(
            found.root, "it is a TorchScript archive of the class ", called
        )
    return f"it is a TorchScript archive{', with ' * bool(called)}{', '.join(called)}"


def _named(parts: Mapping[str, Part]) -> NotWeightsError:
    if not parts:
        return NotWeightsError("it is an empty zip archive", _SAVE)
    if all(name.endswith(".npy") for name in parts):
        return NotWeightsError("it is an archive of NumPy arrays (.npz)", _SAVE)
    for mark, kind in _MARKS:
        if any(name == mark or name.endswith(f"/{mark}") for name in parts):
            return NotWeightsError(f"it is {kind}", _SAVE)
    held = next((name for name in parts if name.lower().endswith(_WEIGHTS)), None)
    if held is not None:
        finding = f"it is a zip archive with {brief(held[-40:])} in it"
        return NotWeightsError(finding, "unpack it, and serve the file of weights")
    finding = f"it is a zip archive of other files, such as {brief(min(parts))}"
    return NotWeightsError(finding, _SAVE)


def _code(
    content: FileBytes, parts: Mapping[str, Part], folder: str, end: str
) -> bytes:
    """Return the text of an archive's code, or its beginning."""
    names = [name for name in parts if folder in name and name.endswith(end)]
    texts, left = [], _MOST_CODE_BYTES
    for name in names[:_MOST_CODE_PARTS]:
        part = parts[name]
        text = content[part.start : part.start + min(part.size, left)]
        if not part.is_plain:
            text = _inflated(text, left)
        texts.append(text)
        left -= len(text)
        if left <= 0:
            break
    return b"\n".join(texts)


def _inflated(packed: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most)
    except zlib.error:
        return b""


def _called(code: bytes) -> tuple[str, ...]:
    """Return the names of the functions that code calls, of those between layers."""
    return tuple(dict.fromkeys(name.decode() for name in _CALLED.findall(code)))
