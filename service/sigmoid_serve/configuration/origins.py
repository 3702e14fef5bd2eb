"""Origins, as browsers write them in the header `Origin`.

A browser parses the page's URL as https://url.spec.whatwg.org/ says, and serialises its
origin as https://html.spec.whatwg.org/#origin says: in lower case, the host in ASCII,
without the scheme's default port, and with nothing after it.
"""

import re
from difflib import get_close_matches
from ipaddress import IPv6Address
from socket import inet_aton, inet_ntoa
from typing import Final
from urllib.parse import unquote

import idna

_PORTS: Final = {"http": "80", "https": "443"}
# Pages that these lead to have another origin, or none.
_SENT_AS: Final = {"ws": "http", "wss": "https"}
_OPAQUE: Final = ("about", "blob", "data", "file", "javascript")

_PARTS: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:[^/?#]*@)?(\[[^\]]*\]|[^:/?#\[\]]*)(?::(\d*))?([/?#].*)?",
    re.DOTALL,
)
_QUOTES: Final = re.compile(r"""^\[?["'`“”‘’<]+|["'`“”‘’>]+\]?$""")
_SLASHES: Final = re.compile(r"^(https?|wss?):[/\\]*(?!\d+$)")
_NUMBER: Final = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?")
_NO_NAME: Final = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|%\x7f]")


class OriginError(Exception):
    """Why no browser sends an origin in any spelling, in a clause."""


def origin_error(entry: str) -> str | None:
    """Say why no browser sends an origin in this spelling.

    Args:
        entry: One of a list of origins. `*` stands for all of them; `null` is the
            origin of pages that have none of their own.

    Returns:
        A clause; None for an origin that a browser may send.
    """
    try:
        right = _as_sent(_QUOTES.sub("", entry).lower())
    except OriginError as error:
        return str(error)
    if right == entry:
        return None
    return f"expected the origin as a browser sends it, {right}"


def _as_sent(text: str) -> str:
    if text in ("*", "null"):
        return text
    if re.search(r"[\s;|]", text):
        raise OriginError("expected `,` between origins, and no space in one")
    if "*" in text:
        raise OriginError(
            "expected each origin written out, or * alone for all; there is no pattern"
        )
    text = _SLASHES.sub(r"\1://", text)
    if "://" not in text and text.partition(":")[0] not in _OPAQUE:
        sent = _as_sent(f"https://{text.lstrip('/')}")
        raise OriginError(
            f"expected the scheme of the page before it, {sent} or "
            f"http{sent.removeprefix('https')}"
        )
    if text.partition(":")[0] in _OPAQUE:
        return "null"
    parts = _PARTS.fullmatch(text)
    if not parts:
        raise OriginError("expected SCHEME://HOST or SCHEME://HOST:PORT")
    scheme = _scheme(parts[1])
    return f"{scheme}://{_host(parts[2], scheme)}{_port(parts[3] or '', scheme)}"


def _scheme(scheme: str) -> str:
    # Others may be of an app or of an extension.
    near = get_close_matches(scheme, [*_PORTS, *_SENT_AS], 1, 0.75)
    right = near[0] if near else scheme
    return _SENT_AS.get(right, right)


def _host(host: str, scheme: str) -> str:
    if host.startswith("["):
        try:
            return f"[{IPv6Address(host[1:-1].partition('%')[0]).compressed}]"
        except ValueError:
            raise OriginError("expected an address of IPv6 in the brackets") from None
    if scheme in _PORTS:
        host = unquote(host)
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise OriginError("expected a host that is a name or an address") from None
    if not host or _NO_NAME.search(host):
        raise OriginError("expected a host that is a name or an address")
    if _NUMBER.fullmatch(host):
        try:
            return inet_ntoa(inet_aton(host.removesuffix(".")))
        except OSError:
            raise OriginError("expected an address of IPv4 or a name") from None
    return host


def _port(port: str, scheme: str) -> str:
    number = port.lstrip("0") or port[:1]
    if len(number) > 5 or int(number or 0) > 65535:
        raise OriginError("expected a port of at most 65535")
    return f":{number}" if number and number != _PORTS.get(scheme) else ""
