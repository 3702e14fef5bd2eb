"""The server that the pages have."""

from collections.abc import Iterator

import httpx
import pytest

from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.running import until_ready


@pytest.fixture(scope="package")
def shipped() -> Iterator[httpx.Client]:
    """Calls a server of the shipped models, as it is started without options."""
    with serve(Settings()) as client:
        until_ready(client)
        yield client
