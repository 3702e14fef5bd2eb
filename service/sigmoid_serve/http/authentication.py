"""Who may ask: named API keys, kept as hashes in a file.

A line of the file is `name sha256-hex [admin]`; empty lines and lines that begin with
`#` are passed over. A key comes with a request as `Authorization: Bearer KEY`
(RFC 6750, section 2.1), whose characters are few. The file is read again when it has
changed.
"""

import errno
import hashlib
import logging
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Final, NamedTuple

from sigmoid_models.files.regular_file import read_regular
from sigmoid_models.files.stamp import file_stamp
from sigmoid_models.messages import UserError
from sigmoid_serve.errors import ServiceError

_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_LINE: Final = re.compile(rf"({_NAME})\s+([0-9a-fA-F]{{64}})(\s+admin)?")
_BEARER: Final = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")

# How old may be what is known of the file.
_RECHECK_SECONDS: Final = 0.5

_MOST_BYTES: Final = 2**22
_LONGEST_LINE: Final = 1024

logger = logging.getLogger("sigmoid_serve")


class KeysError(UserError):
    """A file of keys, or a name, that cannot be used: where, what was expected."""


class Key(NamedTuple):
    """A line of the file.

    Attributes:
        name: For the log.
        digest: SHA-256 of the key.
        is_admin: Whether it opens the routes that change what is served.
    """

    name: str
    digest: bytes
    is_admin: bool


def new_key(name: str, *, is_admin: bool) -> tuple[str, str]:
    """Make a key.

    Returns:
        The key, and its line for the file of keys.

    Raises:
        KeysError: No line can have this name.
    """
    if not re.fullmatch(_NAME, name):
        raise KeysError(
            f"expected a name of 1 to 64 letters, digits and ._-, got {name[:64]!r}"
        )
    key = secrets.token_urlsafe()
    digest = hashlib.sha256(key.encode("ascii")).hexdigest()
    return key, f"{name} {digest}{' admin' if is_admin else ''}"


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read a file of keys.

    Raises:
        KeysError: It cannot be read, is no regular file or too large, has a line that
            is no key, or has none at all.
    """
    try:
        text = read_regular(path, _MOST_BYTES).decode("ascii")
    except OSError as error:
        is_large = error.errno == errno.EFBIG
        remedy = "keep fewer keys in it" if is_large else "check the path"
        raise KeysError(f"{path}: {error.strerror}; {remedy}") from None
    except UnicodeDecodeError:
        raise KeysError(f"{path}: it is not a text in ASCII") from None
    keys: dict[bytes, Key] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or line.startswith("#"):
            continue
        match = _LINE.fullmatch(entry) if len(entry) <= _LONGEST_LINE else None
        if not match:
            raise KeysError(
                f"{path}: line {number} is not `name sha256-hex [admin]`; "
                "sigmoid-serve key NAME makes a key and its line"
            )
        key = Key(match[1], bytes.fromhex(match[2]), match[3] is not None)
        if keys.setdefault(key.digest, key) is not key:
            raise KeysError(f"{path}: line {number} has the hash of a line before it")
    if not keys:
        raise KeysError(f"{path}: it has no key; nobody could ask")
    return tuple(keys.values())


class ApiKeys:
    """The keys of a file, as it is now.

    A file that was replaced by one that cannot be used changes nothing, but for a line
    in the log. It is read beside the event loop, so that requests do not wait for it;
    until then the keys are those that were read last.

    Args:
        path: Of the file; None where no file is set, and everyone may ask.

    Raises:
        KeysError: See `read_keys`.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._keys: Mapping[bytes, Key] = {}
        self._seen: object = None
        self._fault = ""
        self._checked = 0.0
        self._reading: Thread | None = None
        if path is not None:
            self._seen, self._keys = file_stamp(path), _by_digest(path)
            self._checked = monotonic()

    @property
    def are_set(self) -> bool:
        """Whether a request needs a key."""
        return self._path is not None

    def authorize(self, authorization: bytes | None, *, for_admin: bool) -> None:
        """Let a request in, or not.

        Args:
            authorization: The header of that name.
            for_admin: Whether it asks for what only admins may; then it needs a key
                even where no file is set.

        Raises:
            ServiceError: `key_required`, `key_unknown` or `not_admin`.
        """
        if not (self.are_set or for_admin):
            return
        self._reread()
        token = self._token(authorization)
        key = self._find(token)
        if key is None:
            raise ServiceError(
                "key_unknown",
                "the key in the header Authorization: Bearer KEY is none of those that "
                "are set up (SIGMOID_API_KEYS_FILE)",
                expected="a known key",
                got="another",
            )
        if for_admin and not key.is_admin:
            raise not_admin(key.name)

    def _token(self, authorization: bytes | None) -> bytes:
        match = _BEARER.fullmatch((authorization or b"").strip())
        if match:
            return match[1]
        expected, got = "the header Authorization: Bearer KEY", "none"
        if authorization is not None:
            expected += (
                ", one KEY of letters, digits and -._~+/ with = at its end alone"
            )
            got = "what cannot be sent as a bearer token"
        more = "" if self.are_set else "; no key is set up (SIGMOID_API_KEYS_FILE)"
        raise ServiceError(
            "key_required",
            f"expected {expected}, got {got}{more}",
            expected="Authorization: Bearer KEY",
            got=got,
        )

    def _find(self, token: bytes) -> Key | None:
        # Time may tell how a hash begins. Nobody can choose a key by its hash, so that
        # tells nothing of the keys; and many keys cost no more than one.
        return self._keys.get(hashlib.sha256(token).digest())

    def _reread(self) -> None:
        if self._path is None or monotonic() - self._checked < _RECHECK_SECONDS:
            return
        self._checked = monotonic()
        stamp = file_stamp(self._path)
        is_at_work = self._reading is not None and self._reading.is_alive()
        if stamp != self._seen and not is_at_work:
            self._reading = Thread(
                target=self._read, args=(self._path, stamp), daemon=True
            )
            self._reading.start()

    def _read(self, path: Path, stamp: object) -> None:
        try:
            self._keys = _by_digest(path)
        except KeysError as error:
            if str(error) != self._fault:
                logger.error(
                    "reload of API keys failed, keeping the current ones: %s", error
                )
            self._fault = str(error)
        else:
            self._seen, self._fault = stamp, ""
            logger.info("API keys reloaded: %d", len(self._keys))


def not_admin(name: str) -> ServiceError:
    """Make the error of a key, by its name, that is not an admin's."""
    return ServiceError(
        "not_admin",
        f"the key {name} does not have the word admin in its line "
        "(SIGMOID_API_KEYS_FILE), which this route needs",
        expected="the key of an admin",
        got="another",
    )


def _by_digest(path: Path) -> dict[bytes, Key]:
    return {key.digest: key for key in read_keys(path)}
