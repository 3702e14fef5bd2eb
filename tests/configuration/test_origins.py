"""Origins that browsers send, and how those are told that they do not."""

import pytest

from sigmoid_serve.configuration.origins import origin_error
from sigmoid_serve.configuration.settings import SettingsError, read_settings
from tests.cli.test_cli import refused

SENT = [
    "*",
    "null",
    "https://page.example",
    "http://page.example",
    "https://page.example:8443",
    "http://page.example:443",
    "https://page.example:80",
    "http://localhost",
    "http://localhost:3000",
    "https://a_b.page.example",
    "https://page.example.",
    "http://127.0.0.1:8080",
    "http://[::1]:3000",
    "http://[2001:db8::1]",
    "https://xn--bcher-kva.example",
    "chrome-extension://abcdefghijklmnop",
    "moz-extension://0123-4567",
    "capacitor://localhost",
    "tauri://localhost",
]

# What was given, and what a browser sends in its place.
MENDED = {
    "https://page.example/": "https://page.example",
    "https://page.example//": "https://page.example",
    "https://page.example/app/": "https://page.example",
    "https://page.example?x=1": "https://page.example",
    "https://page.example#top": "https://page.example",
    "https://page.example:8443/": "https://page.example:8443",
    "HTTPS://page.example": "https://page.example",
    "https://Page.Example": "https://page.example",
    "https://page.example:443": "https://page.example",
    "http://page.example:80": "http://page.example",
    "http://page.example:080": "http://page.example",
    "https://page.example:08443": "https://page.example:8443",
    "https://page.example:": "https://page.example",
    "HTTP://LOCALHOST:80/": "http://localhost",
    "https:page.example": "https://page.example",
    "https:/page.example": "https://page.example",
    "https:\\\\page.example": "https://page.example",
    "https://user@page.example": "https://page.example",
    "https://user:pass@page.example:1": "https://page.example:1",
    "https://bücher.example": "https://xn--bcher-kva.example",
    "https://BÜCHER.example/": "https://xn--bcher-kva.example",
    "https://faß.example": "https://xn--fa-hia.example",
    "https://例え.テスト": "https://xn--r8jz45g.xn--zckzah",
    "https://XN--bcher-kva.example": "https://xn--bcher-kva.example",
    "https://p%61ge.example": "https://page.example",
    "http://[0:0:0:0:0:0:0:1]": "http://[::1]",
    "http://[::0001]:3000": "http://[::1]:3000",
    "http://[2001:DB8::1]": "http://[2001:db8::1]",
    "http://[fe80::1%eth0]": "http://[fe80::1]",
    "http://127.1": "http://127.0.0.1",
    "http://0x7f.0.0.1": "http://127.0.0.1",
    "http://2130706433:3000": "http://127.0.0.1:3000",
    '"https://page.example"': "https://page.example",
    "'https://page.example'": "https://page.example",
    '["https://page.example"]': "https://page.example",
    "<https://page.example>": "https://page.example",
    "“https://page.example”": "https://page.example",
    "wss://page.example": "https://page.example",
    "ws://page.example:80": "http://page.example",
    "htps://page.example": "https://page.example",
    "httpss://page.example": "https://page.example",
    "NULL": "null",
    '"*"': "*",
    "'null'": "null",
    "file:///index.html": "null",
    "file://": "null",
    "data:text/html,x": "null",
}

# What was given, and what is expected in its place, where there are several or none.
TOLD = {
    "page.example": "before it, https://page.example or http://page.example",
    "localhost:3000": "before it, https://localhost:3000 or http://localhost:3000",
    "//page.example/": "before it, https://page.example or http://page.example",
    "Page.example:8443": "before it, https://page.example:8443 or http://page.",
    "127.0.0.1": "before it, https://127.0.0.1 or http://127.0.0.1",
    "[::1]:3000": "before it, https://[::1]:3000 or http://[::1]:3000",
    "https://*.page.example": "each origin written out, or * alone for all",
    "*.page.example": "each origin written out",
    "https://page.example:*": "each origin written out",
    "https://*": "each origin written out",
    "**": "each origin written out",
    "https://a.example https://b.example": "`,` between origins",
    "https://a.example;https://b.example": "`,` between origins",
    "https://a.example|https://b.example": "`,` between origins",
    "https://": "a host that is a name or an address",
    "https://:443": "a host that is a name or an address",
    "https:///": "a host that is a name or an address",
    "https://a^b": "a host that is a name or an address",
    "https://-ü-.example": "a host that is a name or an address",
    "https://[::g]": "an address of IPv6 in the brackets",
    "https://256.1.1.1": "an address of IPv4 or a name",
    "https://page.example:65536": "a port of at most 65535",
    "https://page.example:99999999999": "a port of at most 65535",
    "https://page.example:http": "SCHEME://HOST or SCHEME://HOST:PORT",
    "1https://page.example": "SCHEME://HOST or SCHEME://HOST:PORT",
}


@pytest.mark.parametrize("entry", SENT)
def test_what_a_browser_sends(entry: str) -> None:
    assert origin_error(entry) is None
    assert read_settings(cors_origins=entry).cors_origins == (entry,)


@pytest.mark.parametrize(("entry", "right"), MENDED.items())
def test_what_a_browser_sends_in_another_spelling(entry: str, right: str) -> None:
    assert origin_error(entry) == f"expected the origin as a browser sends it, {right}"
    assert origin_error(right) is None


@pytest.mark.parametrize(("entry", "told"), TOLD.items())
def test_what_no_browser_sends(entry: str, told: str) -> None:
    error = origin_error(entry)
    assert error
    assert error.startswith("expected ")
    assert told in error


def test_the_start_stops_at_the_first() -> None:
    told = refused(
        "serve", SIGMOID_CORS_ORIGINS="https://a.example, https://b.example/, c"
    )
    assert told == (
        "sigmoid-serve: SIGMOID_CORS_ORIGINS: expected the origin as a browser sends "
        "it, https://b.example, got 'https://b.example/'\n"
    )


@pytest.mark.parametrize(
    "entry",
    ["x" * 10_000, "https://" + "é" * 10_000, "\x1b[2J", "https://" + "a/" * 9999],
)
def test_what_is_told_is_bounded(entry: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(cors_origins=entry)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()
