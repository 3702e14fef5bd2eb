"""Functions, hosts and prefixes of paths: which spellings are taken."""

import pytest

from sigmoid_serve.configuration.settings import SettingsError, read_settings


@pytest.mark.parametrize(
    ("given", "activation"),
    [
        ("relu", ("relu",)),
        ("nn.ReLU()", ("relu",)),
        ("relu, ReLU,tanh", ("relu", "relu", "tanh")),
        ("leaky_relu:0.2", ("leaky_relu:0.2",)),
        ("gelu:tanh,none", ("gelu:tanh", "none")),
        ("", ()),
    ],
)
def test_activations(
    given: str, activation: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMOID_ACTIVATION", given)
    assert read_settings().activation == activation


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (" ", " "),
        ("softmax", "softmax"),
        ("relu,,tanh", ""),
        ("relu,", ""),
        ("relu:1", "relu:1"),
        ("leaky_relu:2", "leaky_relu:2"),
        ("relu\nrelu", "relu\nrelu"),
        ("x" * 5000, "x" * 64),
    ],
)
def test_no_activations(
    given: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMOID_ACTIVATION", given)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert str(caught.value) == (
        "SIGMOID_ACTIVATION: expected sigmoid, relu, leaky_relu, tanh, elu, selu, "
        "gelu, silu, softplus, none, leaky_relu:SLOPE or gelu:tanh, or one of them "
        f"for each hidden layer with , between, got {wrong!r}"
    )


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
