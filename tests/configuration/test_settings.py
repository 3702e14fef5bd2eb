"""The settings: bounds, sources, spellings; and the device."""

import os
from pathlib import Path

import pytest
import torch

from sigmoid_serve.configuration.settings import (
    Settings,
    SettingsError,
    ignored_variables,
    read_settings,
)
from sigmoid_serve.engine.device import DeviceError, resolve_device


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("SIGMOID_") or name == "PORT":
            monkeypatch.delenv(name)


def test_defaults() -> None:
    settings = read_settings(port=None, host=None)
    assert settings == Settings()
    assert (settings.host, settings.port, settings.device) == (
        "127.0.0.1",
        8080,
        "auto",
    )
    assert settings.models == ()
    assert settings.limits() == {
        "SIGMOID_MAX_BODY_BYTES": 2**26,
        "SIGMOID_MAX_INFLATED_BYTES": 2**26,
        "SIGMOID_MAX_ELEMENTS": 2**24,
        "SIGMOID_MAX_RANK": 32,
        "SIGMOID_MAX_ROWS": 2**20,
        "SIGMOID_MAX_BATCH_ROWS": 4096,
        "SIGMOID_MAX_QUEUE_ELEMENTS": 2**26,
        "SIGMOID_MAX_ANSWER_BYTES": 2**30,
        "SIGMOID_HEADER_SECONDS": 10,
        "SIGMOID_BODY_SECONDS": 60,
        "SIGMOID_TIMEOUT_SECONDS": 30,
        "SIGMOID_KEEP_ALIVE_SECONDS": 75,
        "SIGMOID_WRITE_SECONDS": 60,
        "SIGMOID_MAX_CONNECTIONS": 4096,
        "SIGMOID_MAX_CONNECTIONS_PER_CLIENT": None,
        "SIGMOID_MAX_CHECKPOINT_BYTES": 2**32,
        "SIGMOID_LOAD_SECONDS": 300,
        "SIGMOID_SHUTDOWN_SECONDS": 25,
    }


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("port", 0, 65535),
        ("workers", 1, 256),
        ("threads", 1, 1024),
        ("max_body_bytes", 1, 2**40),
        ("max_inflated_bytes", 1, 2**40),
        ("max_elements", 1, 2**40),
        ("max_rank", 0, 32),
        ("max_rows", 1, 2**40),
        ("max_batch_rows", 1, 2**20),
        ("max_answer_bytes", 2**12, 2**40),
        ("max_connections", 1, 2**20),
        ("max_connections_per_client", 1, 2**20),
        ("max_checkpoint_bytes", 1, 2**50),
    ],
)
def test_bounds(
    name: str, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"SIGMOID_{name.upper()}"
    for value in (least, most):
        monkeypatch.setenv(variable, str(value))
        assert getattr(read_settings(), name) == value
        assert getattr(read_settings(**{name: value}), name) == value
    for bad in (str(least - 1), str(most + 1), " ", "x", "1.5", "1\n2", "9" * 5000):
        monkeypatch.setenv(variable, bad)
        with pytest.raises(SettingsError, match=f"^{variable}: .*, got ") as caught:
            read_settings()
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["header", "body", "timeout", "drain"])
def test_bounds_of_times(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"SIGMOID_{name.upper()}_SECONDS"
    for value in ("0.001", "3600"):
        monkeypatch.setenv(variable, value)
        assert getattr(read_settings(), f"{name}_seconds") == float(value)
    for bad in ("-1", "3601", "nan", "inf", " ", "x"):
        monkeypatch.setenv(variable, bad)
        with pytest.raises(SettingsError, match=f"^{variable}: .*, got "):
            read_settings()
    monkeypatch.setenv(variable, "0")
    if name == "drain":
        assert read_settings().drain_seconds == 0
    else:
        with pytest.raises(SettingsError, match=f"^{variable}: .*, got '0'"):
            read_settings()


def test_the_queue_takes_the_largest_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(max_elements=2**30).max_queue_elements == 2**31
    assert Settings(max_elements=10, max_queue_elements=20).max_queue_elements == 20
    monkeypatch.setenv("SIGMOID_MAX_ELEMENTS", "11")
    monkeypatch.setenv("SIGMOID_MAX_QUEUE_ELEMENTS", "21")
    with pytest.raises(SettingsError, match=r"^SIGMOID_MAX_QUEUE_ELEMENTS: .*largest"):
        read_settings()


def test_keys_of_certificates_need_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIGMOID_TLS_KEY_FILE", "SIGMOID_TLS_CLIENT_CA_FILE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "x.pem")
            with pytest.raises(
                SettingsError, match=f"^{name}: .*SIGMOID_TLS_CERT_FILE"
            ):
                read_settings()


def test_origins_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_CORS_ORIGINS", "https://a.example, https://b.example,")
    assert read_settings().cors_origins == ("https://a.example", "https://b.example")


def test_option_beats_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_PORT", "1")
    monkeypatch.setenv("SIGMOID_HOST", "::1")
    settings = read_settings(port=2, host=None)
    assert (settings.port, settings.host) == (2, "::1")
    with pytest.raises(SettingsError, match=r"^SIGMOID_PORT: .*, got '70000'"):
        read_settings(port=70_000)


def test_models_are_split_at_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_MODELS", "/a:b c/d.pt::")
    assert read_settings().models == (Path("/a"), Path("b c/d.pt"))


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_DEVICE", device)
    assert read_settings().device == device


@pytest.mark.parametrize("device", [" ", "gpu", "cuda:", "cuda:-1", "CPU", "cpu\n"])
def test_no_devices(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_DEVICE", device)
    with pytest.raises(SettingsError, match=r"^SIGMOID_DEVICE: "):
        read_settings()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_empty_variables_are_not_set(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SIGMOID_{name.upper()}", "")
    settings = read_settings()
    assert settings == Settings()
    assert settings.model_fields_set == set()
    assert ignored_variables() == []


def test_empty_options_are_given() -> None:
    with pytest.raises(SettingsError, match=r"^SIGMOID_HOST: .*, got ''"):
        read_settings(host="")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("SIGMOID_WORKER", "SIGMOID_WORKERS"),
        ("SIGMOID_PROT", "SIGMOID_PORT"),
        ("SIGMOID_HTTP_PORT", "SIGMOID_PORT"),
        ("SIGMOID_API_KEY_FILE", "SIGMOID_API_KEYS_FILE"),
        ("SIGMOID_MAX_BODY_BYTE", "SIGMOID_MAX_BODY_BYTES"),
        ("SIGMOID_CORS_ORIGIN", "SIGMOID_CORS_ORIGINS"),
        ("SIGMOID_LOGFORMAT", "SIGMOID_LOG_FORMAT"),
        ("sigmoid_port", "SIGMOID_PORT"),
        ("Sigmoid_Max_Rows", "SIGMOID_MAX_ROWS"),
        ("SIGMOID_port", "SIGMOID_PORT"),
        ("sigmoid_wokers", "SIGMOID_WORKERS"),
    ],
)
def test_misspelt_variables(
    name: str, near: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "2")
    assert read_settings() == Settings()
    assert ignored_variables() == [
        f"{name} is no setting and is ignored; did you mean {near}?"
    ]


def test_two_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one is ever read, and the other is named."""
    for first, second in (("1", "2"), ("2", "1")):
        monkeypatch.setenv("sigmoid_port", first)
        monkeypatch.setenv("SIGMOID_PORT", second)
        assert read_settings().port == int(second)
        (sentence,) = ignored_variables()
        assert sentence.startswith("sigmoid_port is no setting and is ignored; ")


def test_variables_like_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_ZZZ", "1")
    monkeypatch.setenv("SIGMOID_" + "Q" * 500, "1")
    monkeypatch.setenv("SIGMOID_\x1b[2J\n", "1")
    monkeypatch.setenv("OTHER", "1")
    found = ignored_variables()
    assert "SIGMOID_ZZZ is no setting and is ignored; sigmoid-serve serve " in found[2]
    assert len(found) == 3
    assert all(len(one) < 300 and one.isprintable() for one in found)


LINK = "tcp://10.0.0.1:8080"


@pytest.mark.parametrize(
    "service", ["", "_SERVE", "_METRICS", "_GRPC", "_API_KEYS", "_2"]
)
def test_services_of_kubernetes(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sets for each Service of a namespace is nobody's mistake."""
    for name, value in {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8080",
        "SERVICE_PORT_HTTP": "8080",
        "SERVICE_PORT_HTTP_METRICS": "9090",
        "PORT": LINK,
        "PORT_8080_TCP": LINK,
        "PORT_8080_TCP_PROTO": "tcp",
        "PORT_8080_TCP_PORT": "8080",
        "PORT_8080_TCP_ADDR": "10.0.0.1",
        "PORT_53_UDP": "udp://10.0.0.1:53",
        "PORT_53_UDP_ADDR": "10.0.0.1",
    }.items():
        monkeypatch.setenv(f"SIGMOID{service}_{name}", value)
    assert read_settings() == Settings()
    found = ignored_variables()
    assert len(found) == (service == "")


@pytest.mark.parametrize(
    "value",
    [
        LINK,
        "udp://10.0.0.1:53",
        "sctp://10.0.0.1:1",
        "tcp://[fd00::1]:8080",
    ],
)
def test_a_service_of_the_same_name(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMOID_PORT", value)
    assert read_settings().port == 8080
    (sentence,) = ignored_variables()
    assert sentence.startswith(f"SIGMOID_PORT is {value}, as Kubernetes sets it for ")
    assert "a Service named sigmoid, " in sentence
    assert "enableServiceLinks: false" in sentence
    monkeypatch.setenv("PORT", "5000")
    assert read_settings().port == 5000
    assert read_settings(port=1).port == 1


@pytest.mark.parametrize("value", ["tcp://", "http://10.0.0.1:80", "10.0.0.1:80"])
def test_what_is_no_link(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_PORT", value)
    with pytest.raises(SettingsError, match=f"^SIGMOID_PORT: .*, got '{value}'"):
        read_settings()


def test_port_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "5000")
    assert read_settings().port == 5000
    monkeypatch.setenv("SIGMOID_PORT", "")
    assert read_settings().port == 5000
    assert read_settings(uds="/s").model_fields_set == {"uds"}
    monkeypatch.setenv("SIGMOID_PORT", "1")
    assert read_settings().port == 1
    monkeypatch.delenv("SIGMOID_PORT")
    for bad in ("x", "70000", LINK):
        monkeypatch.setenv("PORT", bad)
        with pytest.raises(SettingsError, match=f"^PORT: .*, got '{bad}'"):
            read_settings()
        assert read_settings(port=1).port == 1
    monkeypatch.setenv("PORT", "")
    assert read_settings().port == 8080


@pytest.mark.parametrize(
    ("variables", "options", "named"),
    [
        ({"SIGMOID_UDS": "/s", "SIGMOID_PORT": "1"}, {}, "SIGMOID_PORT"),
        ({"SIGMOID_UDS": "/s", "SIGMOID_HOST": "::"}, {}, "SIGMOID_HOST"),
        ({"SIGMOID_UDS": "/s"}, {"port": 0}, "SIGMOID_PORT"),
        ({"SIGMOID_HOST": "::1"}, {"uds": "/s"}, "SIGMOID_HOST"),
        ({}, {"uds": "/s", "host": "::1"}, "SIGMOID_HOST"),
    ],
)
def test_one_place(
    variables: dict[str, str],
    options: dict[str, object],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        read_settings(**options)
    assert str(caught.value).startswith(f"SIGMOID_UDS and {named}: expected one of ")


@pytest.mark.parametrize(
    "variables",
    [
        {"PORT": "5000"},
        {"SIGMOID_PORT": LINK},
        {"SIGMOID_PORT": "", "SIGMOID_HOST": ""},
    ],
)
def test_a_path_wins_over_what_nobody_chose(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SIGMOID_UDS": "/s", **variables}.items():
        monkeypatch.setenv(name, value)
    assert read_settings() == Settings(uds=Path("/s"))


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


def test_resolved_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    there = torch.cuda.is_available()
    assert resolve_device("auto").type == ("cuda" if there else "cpu")
    with pytest.raises(DeviceError, match=r"asked for, but there is .*; use --device"):
        resolve_device("cuda:99")
