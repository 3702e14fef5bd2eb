"""A real server, and Triton's client for it: both kinds of it, one after the other."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sigmoid_serve.configuration.settings import Settings
from tests.clients.triton import KINDS, opened
from tests.conftest import serve


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    with serve(Settings()) as client:
        yield client


@pytest.fixture(scope="module", params=KINDS)
def triton(server: httpx.Client, request: pytest.FixtureRequest) -> Iterator[Any]:
    with opened(request.param, server.base_url) as client:
        yield client
