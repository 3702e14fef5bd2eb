"""Variables of the environment: settings, those of the platform, and lookalikes."""

from pathlib import Path

import pytest

from sigmoid_models.messages import UsageError
from sigmoid_serve.configuration.settings import (
    Settings,
    SettingsError,
    ignored_variables,
    read_settings,
)


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
    with pytest.raises(SettingsError, match=r"^--host: .*, got ''"):
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
        ({"SIGMOID_UDS": "/s"}, {"port": 0}, "--port"),
        ({"SIGMOID_HOST": "::1"}, {"uds": "/s"}, "SIGMOID_HOST"),
        ({}, {"uds": "/s", "host": "::1"}, "--host"),
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
    path = "--uds" if "uds" in options else "SIGMOID_UDS"
    assert str(caught.value).startswith(f"{path} and {named}: expected one of ")
    assert isinstance(caught.value, UsageError) is named.startswith("--")


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
