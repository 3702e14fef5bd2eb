"""The settings, read once from the environment, each with its bounds."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "SIGMOID_"
LIMITS = ("max_body_bytes", "max_elements", "max_batch_rows")


class SettingsError(Exception):
    """A setting that cannot be used: which, what was expected, what came."""


class Settings(BaseSettings):
    """Settings of the server; each is the variable `SIGMOID_` + its name in capitals.

    Attributes:
        models: Files or folders to serve, `:` between them; empty for the pretrained.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.
        max_body_bytes: Longest request body.
        max_elements: Most elements of a request, summed over a batch.
        max_batch_rows: Rows computed at once; a longer request is split.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    models: Annotated[tuple[Path, ...], NoDecode] = ()
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$")] = "auto"
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    max_body_bytes: Annotated[int, Field(ge=1, le=2**40)] = 64 * 2**20
    max_elements: Annotated[int, Field(ge=1, le=2**40)] = 2**24
    max_batch_rows: Annotated[int, Field(ge=1, le=2**20)] = 4096

    @field_validator("models", mode="before")
    @classmethod
    def _split_paths(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part for part in value.split(":") if part)
        return value

    def limits(self) -> dict[str, int]:
        """Return every limit by the name of its variable."""
        return {f"{PREFIX}{name.upper()}": getattr(self, name) for name in LIMITS}


def read_settings(**options: Any) -> Settings:
    """Read the environment; options that are not None win over it.

    Raises:
        SettingsError: A value is out of bounds or of the wrong kind.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = f"{PREFIX}{first['loc'][0]}".upper()
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise SettingsError(
            f"{name}: {message}, got {str(first['input'])[:64]!r}"
        ) from None


def unknown_variables() -> list[str]:
    """List variables that look like settings and are none: likely misspelt."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    # Kubernetes sets such variables for a service called sigmoid or sigmoid-….
    theirs = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_.*)?)$")
    return sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX) and name not in known and not theirs.search(name)
    )
