"""Hosts and prefixes of paths: which spellings are taken."""

import pytest

from sigmoid_serve.configuration.settings import SettingsError, read_settings


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("[::]", "::"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("::0001", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("0.0.0.0", "0.0.0.0"),
        ("localhost", "localhost"),
        ("a-b.example.", "a-b.example."),
    ],
)
def test_hosts(given: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_HOST", given)
    assert read_settings().host == host


@pytest.mark.parametrize(
    "given",
    [
        " ",
        "127.0.0.1:80",
        "[::1]:80",
        "[::1",
        "::1]",
        "[127.0.0.1]",
        "[[::1]]",
        "[]",
        "http://localhost",
        "localhost/",
        "a b",
        "*",
        "user@host",
        "1:2",
    ],
)
def test_no_hosts(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_HOST", given)
    with pytest.raises(
        SettingsError, match=r"^SIGMOID_HOST: expected an address "
    ) as c:
        read_settings()
    assert "0.0.0.0, :: or ::1" in str(c.value)
    assert str(c.value).endswith(f", got {given!r}")


@pytest.mark.parametrize(
    "path", ["/a", "/models-api", "/a/b.c/~d_e", "/..a", "/.a/..."]
)
def test_root_paths(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_ROOT_PATH", path)
    assert read_settings().root_path == path


@pytest.mark.parametrize(
    ("path", "mended"),
    [
        ("a", "/a"),
        ("/a/", "/a"),
        ("a/b/", "/a/b"),
        ("//a//b", "/a/b"),
        ("/", "/models-api"),
        (" ", "/models-api"),
        ("/a b", "/models-api"),
        ("/a%20b", "/models-api"),
        ("/é", "/models-api"),
        ("/a?b", "/models-api"),
        ("/a\n", "/models-api"),
        ("/../a", "/models-api"),
        ("/a/.", "/models-api"),
        ("/a/../b/", "/models-api"),
        ("https://a.example/b", "/models-api"),
        ("/" + "a" * 5000 + "/", "/aaa"),
    ],
)
def test_no_root_paths(path: str, mended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_ROOT_PATH", path)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    told = str(caught.value)
    assert told.startswith("SIGMOID_ROOT_PATH: expected a / before each of its parts")
    assert (
        f"none at the end, parts of letters, digits and ._~-, such as {mended}" in told
    )
    assert len(told) < 400
    assert len(told.splitlines()) == 1
