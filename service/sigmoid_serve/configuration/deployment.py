"""What a server serves, with which resources, and where it listens."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, field_validator

from sigmoid_serve.configuration.spellings import bare_host, checked_activation


class Deployment(BaseModel):
    """The models, the device and the processes of a server, and its address."""

    models: Annotated[
        tuple[Path, ...],
        Field(description="Files or folders to serve, `:` between them."),
    ] = ()
    activation: Annotated[
        tuple[Annotated[str, AfterValidator(checked_activation)], ...],
        Field(
            description="Function between the layers of the files that do not say it, "
            "such as `relu`; or one for each hidden layer, `,` between them."
        ),
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
            description="Port to listen on; 0 for any that is free. If it is not "
            "set, `PORT` is read.",
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
            description="Compute threads of each worker; by default its share of "
            "the CPUs.",
        ),
    ] = None

    @field_validator("models", mode="before")
    @classmethod
    def _split_paths(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part for part in value.split(":") if part)
        return value

    @field_validator("activation", mode="before")
    @classmethod
    def _split_activations(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value
