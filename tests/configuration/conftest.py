"""No test here sees the settings of the environment that it runs in."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("SIGMOID_") or name == "PORT":
            monkeypatch.delenv(name)
