"""The settings: defaults and bounds; and the device."""

from pathlib import Path

import pytest
import torch

from sigmoid_serve.configuration.settings import (
    OptionError,
    Settings,
    SettingsError,
    read_settings,
)
from sigmoid_serve.engine.device import DeviceError, resolve_device


def test_defaults() -> None:
    settings = read_settings(port=None, host=None)
    assert settings == Settings()
    assert (settings.host, settings.port, settings.device) == (
        "127.0.0.1",
        8080,
        "auto",
    )
    assert settings.models == ()
    assert settings.activation == ()
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
    with pytest.raises(OptionError, match=r"^--port: .*, got '70000'"):
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


def test_resolved_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    there = torch.cuda.is_available()
    assert resolve_device("auto").type == ("cuda" if there else "cpu")
    with pytest.raises(DeviceError, match=r"asked for, but there is .*; use --device"):
        resolve_device("cuda:99")
