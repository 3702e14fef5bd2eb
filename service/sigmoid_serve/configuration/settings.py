"""All settings of a server, read once from the environment, each with its bounds.

Settings that have a subject of their own stand in a module of that name: `deployment`,
`limits`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from sigmoid_models.messages import UsageError, UserError
from sigmoid_serve.configuration.deployment import Deployment
from sigmoid_serve.configuration.environment import (
    PLATFORM_PORT,
    PREFIX,
    Given,
    given_settings,
    option,
    variable,
    warnings,
)
from sigmoid_serve.configuration.limits import Limits
from sigmoid_serve.configuration.spellings import checked_origin, checked_root_path

_VARIABLE: Final = re.compile(rf"{PREFIX}([A-Z_]+)")


class ServingError(UserError):
    """Why no worker can serve, in one sentence."""


class SettingsError(UserError):
    """A setting that cannot be used: which, what was expected, what came."""


class OptionError(SettingsError, UsageError):
    """A setting that cannot be used, and was typed as an option."""


# The command line and the documentation list the settings of the last base first.
class Settings(Limits, Deployment):  # noqa: PLW1641 -- pydantic makes its hash
    """Settings of the server; each is the variable `SIGMOID_` + its name in capitals.

    What each means stands in its description, for the command line and the
    documentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    # As what each setting was given.
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

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
    extra_fields: Annotated[
        Literal["refuse", "ignore"],
        Field(
            description="`ignore` to pass over unknown fields of a request to a model, "
            "and of its records; `refuse` for an error."
        ),
    ] = "refuse"
    page: Annotated[
        bool,
        Field(description="`false` takes away the playground at `/`."),
    ] = True
    access_log: Annotated[
        bool, Field(description="`true` for a log line for each request.")
    ] = False
    log_format: Annotated[
        Literal["text", "json"], Field(description="`text` or `json`.")
    ] = "text"

    def __eq__(self, other: object) -> bool:
        # Wherever they came from, the same settings are equal.
        return isinstance(other, Settings) and dict(self) == dict(other)

    def spelling(self, name: str) -> str:
        """Name a setting as it was typed, else by its variable."""
        return self._origins.get(name) or variable(name)

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("tls_key_file", "tls_client_ca_file")
    @classmethod
    def _certificate_is_there(
        cls, value: Path | None, info: ValidationInfo
    ) -> Path | None:
        if value and not info.data.get("tls_cert_file"):
            raise PydanticCustomError("tls", "it needs SIGMOID_TLS_CERT_FILE")
        return value


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
            raise _settings_error(
                [given["uds"].origin, given[name].origin],
                "expected one of them, as the service listens in one place; an empty "
                "variable is as if it were not set",
            )
    try:
        settings = Settings(**{name: value for name, (value, _) in given.items()})
    except ValidationError as error:
        raise _first_error(error, given) from None
    settings._origins.update((name, origin) for name, (_, origin) in given.items())
    return settings


def _first_error(error: ValidationError, given: Mapping[str, Given]) -> SettingsError:
    """Say which setting is wrong, as it was typed."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    origin = given[name].origin if name in given else variable(name)
    message = first["msg"][:1].lower() + first["msg"][1:]
    if origin == option(name):
        message = _VARIABLE.sub(lambda found: option(found[1].lower()), message)
    hint = "; SIGMOID_PORT is read in its place" if origin == PLATFORM_PORT else ""
    got = str(first["input"])[:64]
    return _settings_error([origin], f"{message}, got {got!r}{hint}")


def _settings_error(origins: list[str], finding: str) -> SettingsError:
    kind = OptionError if origins[-1].startswith("--") else SettingsError
    return kind(f"{' and '.join(origins)}: {finding}")


def ignored_variables() -> list[str]:
    """Say, a sentence each, which variables look like settings and are not read."""
    return list(warnings(Settings.model_fields, os.environ))
