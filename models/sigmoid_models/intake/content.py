"""What a file holds: the first bytes decide how it is read, never its name."""

from typing import NamedTuple

from sigmoid_models.files.kinds import NotWeightsError, recognise
from sigmoid_models.files.pickle_values import Pairs, PickledObjectError
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.safetensors_header import read_header
from sigmoid_models.files.state_dict import read_saved
from sigmoid_models.files.stored import FormatError
from sigmoid_models.intake.refusal import RefusedError


class Content(NamedTuple):
    """What a file holds.

    Attributes:
        saved: Its tensors and values, described.
        card: The text of its card, where it has one.
        is_ordered: Whether the order of its tensors is that in which they were made.
    """

    saved: object
    card: str | None
    is_ordered: bool


def read_content(content: FileBytes, entry: str) -> Content:
    """Read a file of weights as data; nothing in it is executed.

    Args:
        content: The bytes of the file.
        entry: The name of a card in the header of a `.safetensors` file.

    Raises:
        RefusedError: It is no file of weights, not a whole one, or holds objects.
    """
    try:
        if recognise(content) == "torch":
            return Content(read_saved(content), None, is_ordered=True)
        tensors, metadata = read_header(content)
        card = metadata.pop(entry, None)
        saved = Pairs([*tensors.items(), *metadata.items()])
        return Content(saved, card, is_ordered=False)
    except NotWeightsError as error:
        raise RefusedError(error.finding, error.remedy) from None
    except PickledObjectError as error:
        what = error.outline or str(error)[:128]
        raise RefusedError(
            f"it holds pickled objects ({what}), which are not loaded as they run code",
            error.remedy
            or 'save the weights alone: torch.save(model.state_dict(), "model.pt")',
        ) from None
    except FormatError as error:
        finding = f"not a whole file of weights ({error})"
        raise RefusedError(finding, "copy or save it again") from None
