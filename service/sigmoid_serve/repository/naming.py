"""What models and versions may be called, and what the command line calls them."""

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from sigmoid_serve.errors import shown

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VERSION: Final = re.compile(r"[0-9]{1,30}")
# HTTP clients resolve dot segments, RFC 3986, section 5.2.4: no request would arrive.
_RESERVED: Final = (".", "..", "sigmoid", "stats")


class Named(NamedTuple):
    """What is named on the command line or in `SIGMOID_MODELS`.

    Attributes:
        path: A file or a folder.
        name: Of the model that it is; None where the path tells it.
    """

    path: Path
    name: str | None = None


def read_named(given: Path) -> Named:
    """Read `PATH` or `NAME=PATH`; whatever exists as a whole is a path."""
    name, _, path = str(given).partition("=")
    # A name has no slash, so the equals sign is a part of a path.
    if not path or "/" in name or os.path.lexists(given):
        return Named(given)
    return Named(Path(path), name)


def is_name(text: str) -> bool:
    """Whether a model can have this name."""
    return bool(_NAME.fullmatch(text)) and text not in _RESERVED


def is_version(text: str) -> bool:
    """Whether a version can have this name."""
    return bool(_VERSION.fullmatch(text))


def describe_bad_name(name: str) -> tuple[str, str]:
    """Say what is wrong with a name, and what to do."""
    return (
        f"a model cannot be called {shown(name)}",
        "use 1 to 64 of A-Z a-z 0-9 . _ -, but not . .. sigmoid stats, "
        "or name it as NAME=PATH",
    )
