"""The settings, read once from the environment, each with its bounds."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from sigmoid_serve.configuration.environment import (
    PLATFORM_PORT,
    given_settings,
    variable,
    warnings,
)
from sigmoid_serve.configuration.spellings import (
    bare_host,
    checked_origin,
    checked_root_path,
)

CONNECTION_LIMITS = (
    "keep_alive_seconds",
    "write_seconds",
    "max_connections",
    "max_connections_per_client",
)
LIMITS = (
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
MAX_RANK = 32


class ServingError(Exception):
    """Why no worker can serve, in one sentence."""


class SettingsError(Exception):
    """A setting that cannot be used: which, what was expected, what came."""


_Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Settings(BaseModel):
    """Settings of the server; each is the variable `SIGMOID_` + its name in capitals.

    What each means stands in its description, for the command line and the
    documentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    models: Annotated[
        tuple[Path, ...],
        Field(description="Files or folders to serve, `:` between them."),
    ] = ()
    device: Annotated[
        str,
        Field(
            pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$",
            description="`auto`, `cpu`, `cuda` or `cuda:N`.",
        ),
    ] = "auto"
    host: Annotated[
        str,
        AfterValidator(bare_host),
        Field(
            min_length=1,
            description="Address to listen on; `0.0.0.0` for all of IPv4, `::` for all "
            "of IPv6 and IPv4.",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            description="Port to listen on; 0 for any that is free. If it is not set, "
            "`PORT` is read.",
        ),
    ] = 8080
    uds: Annotated[
        Path | None,
        Field(description="Path of a Unix socket to listen on, in place of a port."),
    ] = None
    workers: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            description="Worker processes, each with its own models and limits.",
        ),
    ] = 1
    threads: Annotated[
        int | None,
        Field(
            ge=1,
            le=1024,
            description="Compute threads of each worker; by default its share of the "
            "CPUs.",
        ),
    ] = None
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
            description="Most connections of each worker; beyond it, only the probes "
            "are answered.",
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
            description="Longest time that an idle connection is kept; set it longer "
            "than that of the load balancer in front, often 60."
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
            description="Longest time that a request waits after it has arrived; then "
            "it is not computed."
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
    api_keys_file: Annotated[
        Path | None,
        Field(
            description="Lines `name sha256-hex [admin]`; without it, no key is needed."
        ),
    ] = None
    tls_cert_file: Annotated[
        Path | None,
        Field(description="Certificate chain in PEM; turns on HTTPS."),
    ] = None
    tls_key_file: Annotated[
        Path | None,
        Field(description="Private key in PEM, if the certificate's file has none."),
    ] = None
    tls_client_ca_file: Annotated[
        Path | None,
        Field(description="CA of the certificates that clients must have, in PEM."),
    ] = None
    cors_origins: Annotated[
        tuple[Annotated[str, AfterValidator(checked_origin)], ...],
        Field(
            description="Origins whose pages may send requests, `,` between them; `*` "
            "for all."
        ),
    ] = ()
    root_path: Annotated[
        str,
        AfterValidator(checked_root_path),
        Field(
            description="Prefix of all paths, such as `/models-api`, if a proxy in "
            "front does not strip it.",
        ),
    ] = ""
    access_log: Annotated[
        bool, Field(description="`true` for a log line for each request.")
    ] = False
    log_format: Annotated[
        Literal["text", "json"], Field(description="`text` or `json`.")
    ] = "text"

    @field_validator("models", mode="before")
    @classmethod
    def _split_paths(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part for part in value.split(":") if part)
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

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

    @field_validator("tls_key_file", "tls_client_ca_file")
    @classmethod
    def _certificate_is_there(
        cls, value: Path | None, info: ValidationInfo
    ) -> Path | None:
        if value and not info.data.get("tls_cert_file"):
            raise PydanticCustomError("tls", "it needs SIGMOID_TLS_CERT_FILE")
        return value

    def limits(self) -> dict[str, int | float | None]:
        """Return every limit by the name of its variable."""
        return {variable(name): getattr(self, name) for name in LIMITS}


def shown_default(name: str) -> str:
    """Write the default of a setting, as the documentation shows it."""
    default = Settings.model_fields[name].default
    if name == "models":
        return "the pretrained models"
    if name == "max_queue_elements":
        return f"`{2**26}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return "none" if default in (None, (), "") else f"`{default}`"


def read_settings(**options: Any) -> Settings:
    """Read the environment; options that are not None win over it.

    Raises:
        SettingsError: A value is out of bounds or of the wrong kind, or two do not go
            together.
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    given = given_settings(Settings.model_fields, os.environ, chosen)
    for name in ("host", "port"):
        if "uds" in given and name in given:
            raise SettingsError(
                f"{variable('uds')} and {variable(name)}: expected one of them, as the "
                "service listens in one place; an empty variable is as if it were "
                "not set"
            )
    try:
        return Settings(**{name: value for name, (value, _) in given.items()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        origin = given[name].variable if name in given else variable(name)
        message = first["msg"][:1].lower() + first["msg"][1:]
        hint = "; SIGMOID_PORT is read in its place" if origin == PLATFORM_PORT else ""
        raise SettingsError(
            f"{origin}: {message}, got {str(first['input'])[:64]!r}{hint}"
        ) from None


def ignored_variables() -> list[str]:
    """Say, a sentence each, which variables look like settings and are not read."""
    return list(warnings(Settings.model_fields, os.environ))
