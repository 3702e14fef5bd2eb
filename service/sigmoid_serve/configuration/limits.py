"""The limits of a server: the most bytes, elements, connections and seconds."""

from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sigmoid_serve.configuration.environment import variable

CONNECTION_LIMITS: Final = (
    "keep_alive_seconds",
    "write_seconds",
    "max_connections",
    "max_connections_per_client",
)
"""The limits that our own server keeps."""

LIMITS: Final = (
    "max_body_bytes",
    "max_inflated_bytes",
    "max_elements",
    "max_rank",
    "max_rows",
    "max_batch_rows",
    "max_queue_elements",
    "max_answer_bytes",
    "header_seconds",
    "body_seconds",
    "timeout_seconds",
    *CONNECTION_LIMITS,
    "max_checkpoint_bytes",
    "load_seconds",
    "shutdown_seconds",
)
"""The settings that clients are told, in this order."""

MAX_RANK: Final = 32
"""The most dimensions that a tensor may ever have."""

_Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Limits(BaseModel):
    """What one request, one client or one model may take at most."""

    max_body_bytes: Annotated[
        int, Field(ge=1, le=2**40, description="Longest request body, as it is sent.")
    ] = 64 * 2**20
    max_inflated_bytes: Annotated[
        int,
        Field(
            ge=1,
            le=2**40,
            description="Longest request body, once it is decompressed.",
        ),
    ] = 64 * 2**20
    max_elements: Annotated[
        int,
        Field(
            ge=1,
            le=2**40,
            description="Most elements of a request, summed over a batch.",
        ),
    ] = 2**24
    max_rank: Annotated[
        int, Field(ge=0, le=MAX_RANK, description="Deepest nesting of a tensor.")
    ] = MAX_RANK
    max_rows: Annotated[
        int,
        Field(ge=1, le=2**40, description="Most rows of a request to a model."),
    ] = 2**20
    max_batch_rows: Annotated[
        int,
        Field(
            ge=1,
            le=2**20,
            description="Rows computed at once; a longer request is split, with the "
            "same bits.",
        ),
    ] = 4096
    max_queue_elements: int = Field(
        ge=1,
        le=2**41,
        default_factory=lambda given: max(2**26, 2 * given.get("max_elements", 1)),
        description="Most elements in flight in each worker; "
        "at least twice `SIGMOID_MAX_ELEMENTS`.",
    )
    max_answer_bytes: Annotated[
        int, Field(ge=2**12, le=2**40, description="Longest response body.")
    ] = 2**30
    max_connections: Annotated[
        int,
        Field(
            ge=1,
            le=2**20,
            description="Most connections of each worker; beyond it, only the "
            "probes are answered.",
        ),
    ] = 4096
    max_connections_per_client: Annotated[
        int | None,
        Field(
            ge=1,
            le=2**20,
            description="Most connections of one client address, in each worker.",
        ),
    ] = None
    header_seconds: Annotated[
        _Seconds,
        Field(
            description="Longest time from a request's first byte to its headers' end."
        ),
    ] = 10
    body_seconds: Annotated[
        _Seconds, Field(description="Longest time for a request's body to arrive.")
    ] = 60
    keep_alive_seconds: Annotated[
        _Seconds,
        Field(
            description="Longest time that an idle connection is kept; set it "
            "longer than that of the load balancer in front, often 60."
        ),
    ] = 75
    write_seconds: Annotated[
        _Seconds,
        Field(
            description="Longest time in which a client reads nothing of a response."
        ),
    ] = 60
    timeout_seconds: Annotated[
        _Seconds,
        Field(
            description="Longest time that a request waits after it has arrived; "
            "then it is not computed."
        ),
    ] = 30
    drain_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            allow_inf_nan=False,
            description="Time from SIGTERM until the service stops listening.",
        ),
    ] = 2
    shutdown_seconds: Annotated[
        _Seconds,
        Field(description="Longest time from SIGTERM to the exit, the drain included."),
    ] = 25
    max_checkpoint_bytes: Annotated[
        int, Field(ge=1, le=2**50, description="Largest checkpoint file.")
    ] = 2**32
    load_seconds: Annotated[
        _Seconds, Field(description="Longest time to load a model.")
    ] = 300

    @field_validator("max_queue_elements")
    @classmethod
    def _queue_takes_the_largest(cls, value: int, info: ValidationInfo) -> int:
        least = 2 * info.data.get("max_elements", 1)
        if value < least:
            raise PydanticCustomError(
                "queue",
                "the queue must take twice the largest request, SIGMOID_MAX_ELEMENTS",
            )
        return value

    def limits(self) -> dict[str, int | float | None]:
        """Return every limit by the name of its variable."""
        return {variable(name): getattr(self, name) for name in LIMITS}
