"""A request to an inference route and its answer, on any way that it may take."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.admission.stages import QUEUE
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.background import Arguments, BackgroundExecutor, Result
from sigmoid_serve.inference.media import (
    MEDIA_TYPES,
    HeaderLines,
    Media,
    answer_media,
    request_media,
)
from sigmoid_serve.payload.json_answer import too_long
from sigmoid_serve.payload.npy import write_npy

SOON_ELEMENTS: Final = 2**14
"""So many are written within a few milliseconds."""

FEW_DIMENSIONS: Final = 4
"""An array of more has many brackets in JSON."""

# What is wrong with a body of this size is found out within two milliseconds.
_TINY_BYTES: Final = 2**12

# No answer of so few elements is longer, by far.
_SHORT_ANSWER_BYTES: Final = 2**24


class Limits(NamedTuple):
    """What a request may hold; the settings of the same names.

    Attributes:
        max_elements: Summed over a batch.
        max_rank: Of each tensor.
        max_rows: That a model is asked about.
        max_answer_bytes: Of the answer.
        ignores_extra: Whether fields that no request to a model has are passed over.
    """

    max_elements: int
    max_rank: int
    max_rows: int
    max_answer_bytes: int
    ignores_extra: bool

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Take them from the settings."""
        return cls(
            settings.max_elements,
            settings.max_rank,
            settings.max_rows,
            settings.max_answer_bytes,
            settings.extra_fields == "ignore",
        )


class InferenceRequest(NamedTuple):
    """A request to an inference route.

    Attributes:
        body: All of its bytes.
        headers: By names in lower case.
        limits: More is refused.
        state: The request's, in the queue.
        background: Does what takes long.
        watch: Called before a wait, to notice if the client goes away meanwhile.
    """

    body: bytes
    headers: Mapping[bytes, bytes]
    limits: Limits
    state: RequestState
    background: BackgroundExecutor
    watch: Callable[[], None]

    @property
    def content_type(self) -> Media:
        """What the body is written in, natively; may raise a `ServiceError`."""
        return request_media(self.headers.get(b"content-type"))

    @property
    def accept(self) -> Media:
        """What the answer is wanted in, natively; may raise a `ServiceError`."""
        return answer_media(self.headers.get(b"accept"))


class InferenceResponse(NamedTuple):
    """An answer.

    Attributes:
        pieces: Of its bytes.
        media_type: Of its bytes.
        headers: That it has beside those of every answer.
    """

    pieces: Sequence[bytes | memoryview]
    media_type: str
    headers: HeaderLines = ()


async def read_soon_or_offload(
    request: InferenceRequest,
    function: Callable[[*Arguments], Result],
    *arguments: *Arguments,
) -> Result:
    """Read a body, or say what is wrong with it."""
    if len(request.body) <= _TINY_BYTES:
        return function(*arguments)
    return await offload(request, function, *arguments)


async def offload(
    request: InferenceRequest,
    function: Callable[[*Arguments], Result],
    *arguments: *Arguments,
) -> Result:
    """Do what takes long beside the event loop, if anybody still waits for it."""
    request.watch()
    request.state.enter(QUEUE)
    return await request.background.run(request.state, function, *arguments)


def is_short(array: NDArray[Any], most_bytes: int) -> bool:
    """Tell whether an array is written soon, and whether an answer may be as long."""
    return (
        0 < array.size <= SOON_ELEMENTS
        and array.ndim <= FEW_DIMENSIONS
        and most_bytes >= _SHORT_ANSWER_BYTES
    )


def npy_response(values: NDArray[Any], most_bytes: int) -> InferenceResponse:
    """Answer with an `.npy` file.

    Raises:
        ServiceError: It is too long.
    """
    pieces = write_npy(values)
    if sum(map(len, pieces)) > most_bytes:
        raise too_long(most_bytes)
    return InferenceResponse(pieces, MEDIA_TYPES["npy"])
