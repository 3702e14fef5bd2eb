"""The certificates of TLS: checked before the start, and read again when they change.

A certificate may be renewed while the service runs; its files are replaced one after
the other. New files are used only once they match and do not change any more.
"""

import asyncio
import errno
import logging
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from sigmoid_models.files.regular_file import open_regular
from sigmoid_models.files.stamp import file_stamp
from sigmoid_serve.configuration.settings import Settings, SettingsError

# For comparison: all authorities that browsers trust are a quarter of a megabyte.
_MOST_BYTES: Final = 2**22
_UNFIT: Final = {
    **dict.fromkeys((errno.EISDIR, errno.EINVAL), "what is no regular file"),
    errno.EFBIG: f"a file of more than {_MOST_BYTES} bytes",
}

logger = logging.getLogger("sigmoid_serve")


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Read the files of certificates; None if TLS is not set.

    Raises:
        SettingsError: A file cannot be read, or they do not match.
    """
    chain, key = settings.tls_cert_file, settings.tls_key_file
    if chain is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = ["tls_cert_file"] + ["tls_key_file"] * (key is not None)
    try:
        with ExitStack() as opened:
            pair = [_opened(opened, path) if path else None for path in (chain, key)]
            # Without a password OpenSSL would ask for one, at the terminal.
            context.load_cert_chain(pair[0] or chain, pair[1], password="")
        if settings.tls_client_ca_file is not None:
            names = ["tls_client_ca_file"]
            with ExitStack() as opened:
                context.load_verify_locations(
                    _opened(opened, settings.tls_client_ca_file)
                )
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        shown = ", ".join(map(settings.spelling, names))
        reason = error.strerror or str(error)
        raise SettingsError(
            f"{shown}: expected PEM files that fit together, the key without a "
            f"passphrase; got: {reason}"
        ) from None
    return context


def _opened(opened: ExitStack, path: Path) -> Path:
    """Open a regular file of bounded size, and return a path to the open file.

    OpenSSL opens files by path, and the file at a path may be replaced meanwhile.
    """
    try:
        file = opened.enter_context(open_regular(path, _MOST_BYTES))
    except OSError as error:
        raise OSError(
            error.errno, _UNFIT.get(error.errno or 0, error.strerror)
        ) from None
    by_number = Path(f"/dev/fd/{file.fileno()}")
    return by_number if by_number.exists() else path


class Certificates:
    """The certificates in use.

    New files that cannot be used change nothing but are logged.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.

    Attributes:
        context: For new connections; None if TLS is not set.

    Raises:
        SettingsError: See `tls_context`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        files = (
            settings.tls_cert_file,
            settings.tls_key_file,
            settings.tls_client_ca_file,
        )
        self._paths = [path for path in files if path]
        self._used = self._seen = self._stamps()
        self._fault = ""
        self.context = tls_context(settings)

    async def renew(self) -> None:
        """Use the files as they are now; to be called every second or so.

        Files that have changed since the last call are read at the next, if they do not
        change again.
        """
        stamps = self._stamps()
        is_at_rest = stamps == self._seen
        self._seen = stamps
        if stamps == self._used:
            self._fault = ""
        elif is_at_rest:
            await self._read(stamps)

    async def _read(self, stamps: object) -> None:
        try:
            self.context = await asyncio.to_thread(tls_context, self._settings)
        except SettingsError as error:
            if str(error) != self._fault:
                logger.error(
                    "reload of TLS certificates failed, keeping the current ones: %s",
                    error,
                )
            self._fault = str(error)
        else:
            self._used, self._fault = stamps, ""
            logger.info("TLS certificates reloaded")

    def _stamps(self) -> object:
        return [file_stamp(path) for path in self._paths]
