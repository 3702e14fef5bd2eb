"""The certificates of TLS: tried before the start, and read again when they change.

A certificate is renewed while the service runs, and its files are replaced one after
the other. What is there is used only where it fits together and is at rest.
"""

import asyncio
import logging
import ssl
from pathlib import Path
from stat import S_ISREG
from typing import Final

from service.environment import variable
from service.settings import Settings, SettingsError
from service.stamp import file_stamp

# All that are trusted on the web are a quarter of a megabyte.
_MOST_BYTES: Final = 2**22

logger = logging.getLogger("sigmoid_serve")


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Read the files of certificates; None where TLS is not set.

    Raises:
        SettingsError: One cannot be read, or they do not fit together.
    """
    chain, key = settings.tls_cert_file, settings.tls_key_file
    if chain is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = ["tls_cert_file"] + ["tls_key_file"] * (key is not None)
    try:
        _check_files(*(path for path in (chain, key) if path))
        # Without a password OpenSSL would ask for one, at the terminal.
        context.load_cert_chain(chain, key, password="")
        if settings.tls_client_ca_file is not None:
            names = ["tls_client_ca_file"]
            _check_files(settings.tls_client_ca_file)
            context.load_verify_locations(settings.tls_client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        shown = ", ".join(map(variable, names))
        reason = error.strerror or str(error)
        raise SettingsError(
            f"{shown}: expected PEM files that fit together, the key without a "
            f"passphrase; got: {reason}"
        ) from None
    return context


def _check_files(*paths: Path) -> None:
    """Turn away what would not end, or not for long."""
    for path in paths:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            raise OSError("what is no regular file")
        if status.st_size > _MOST_BYTES:
            raise OSError(f"a file of more than {_MOST_BYTES} bytes")


class Certificates:
    """The certificates in use.

    Files that were replaced by ones that cannot be used change nothing, but for a line
    in the log.

    Args:
        settings: See `service.settings`.

    Attributes:
        context: For new connections; None where TLS is not set.

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

        Those that were still being changed at the last call have another call to come
        to rest.
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
                logger.error("the certificates stay as they were: %s", error)
            self._fault = str(error)
        else:
            self._used, self._fault = stamps, ""
            logger.info("the certificates were read again")

    def _stamps(self) -> object:
        return [file_stamp(path) for path in self._paths]
