"""What `torch.save` writes, read without PyTorch: a `state_dict`, or what holds one."""

import re
from typing import Final

from sigmoid_models.files.archives import check_archive
from sigmoid_models.files.outline import find_module, outline_of, read_described
from sigmoid_models.files.pickle_values import Pairs, PickledObjectError
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.saved_file import is_archive, read_strictly
from sigmoid_models.files.stored import Stored

_TRUSTED: Final = "if you trust this file, as to load it so runs the code in it: "
_COMMAND: Final = (
    """python -c "import torch; torch.save(torch.load('model.pt', """
    """weights_only=False){part}, 'weights.pt')\""""
)
_ALONE: Final = 'save the weights alone: torch.save(model.state_dict(), "model.pt")'
_PLAIN_KEY: Final = re.compile(r"\w{1,40}", re.ASCII)
_MOST_KEYS: Final = 256


def read_saved(content: FileBytes) -> object:
    """Describe what was saved; its tensors are `Stored`, its dictionaries `Pairs`.

    Tensors have their place in the file, however deep they stand. One object may stand
    at many places, and in itself.

    Raises:
        FormatError: It is no whole file of `torch.save`.
        NotWeightsError: It is another archive than those of `torch.save`.
        PickledObjectError: It holds something else than tensors and containers.
    """
    if is_archive(content):
        check_archive(content)
    try:
        return read_strictly(content)
    except PickledObjectError as error:
        name = str(error)
    # The first reading is let go before the second.
    raise _refused(content, name)


def _refused(content: FileBytes, name: str) -> PickledObjectError:
    """Describe a file that holds foreign objects, and how to get at its weights."""
    saved = read_described(content)
    found = find_module(saved)
    if found is not None:
        command = _command(
            found.key, ".state_dict()", "if its class can be imported, and "
        )
        return PickledObjectError(name, outline_of(found), command)
    pairs = saved[:_MOST_KEYS] if isinstance(saved, Pairs) else ()
    keys = [key for key, value in pairs if _has_tensors(value)]
    return PickledObjectError(name, None, _command(keys[0]) if keys else _ALONE)


def _has_tensors(value: object) -> bool:
    return isinstance(value, Pairs) and any(
        isinstance(each, Stored) for _, each in value[:_MOST_KEYS]
    )


def _command(key: object, part: str = "", condition: str = "") -> str:
    """Write what saves the weights under a key, or those of the whole file."""
    if key is None:
        return condition + _TRUSTED + _COMMAND.format(part=part)
    if isinstance(key, str) and _PLAIN_KEY.fullmatch(key):
        return condition + _TRUSTED + _COMMAND.format(part=f"['{key}']{part}")
    return _ALONE
