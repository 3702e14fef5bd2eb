"""Who may ask by a protocol, where keys are set."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.http.test_keys import ADMIN, STRANGER, USER, bearer, line

HEALTH = ("/v2/health/live", "/v2/health/ready")
CHANGES = ("/load", "/unload")
TENSOR = {"name": "inputs", "shape": [30], "datatype": "FP32", "data": [0.0] * 30}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Calls a server that asks for keys."""
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text(line(ADMIN) + line(USER))
    with serve(Settings(api_keys_file=path)) as client:
        yield client


@pytest.fixture(scope="module")
def documented(keyed: httpx.Client) -> dict[tuple[str, str], Any]:
    """The operations, by method and path."""
    paths = keyed.get("/openapi.json", headers=bearer(USER)).json()["paths"]
    return {
        (method.upper(), path): operation
        for path, methods in paths.items()
        for method, operation in methods.items()
        if path.startswith("/v2")
    }


def ask(client: httpx.Client, method: str, path: str, key: str = "") -> httpx.Response:
    body = {"json": {"inputs": [TENSOR]}} if path.endswith("/infer") else {}
    headers = bearer(key) if key else {}
    filled = path.format(name="breast-cancer", version="1")
    return client.request(method, filled, headers=headers, **body)  # type: ignore[arg-type]


def test_only_health_is_open(
    keyed: httpx.Client, documented: dict[tuple[str, str], Any]
) -> None:
    assert len(documented) > 15
    for (method, path), operation in documented.items():
        if path in HEALTH:
            assert ask(keyed, method, path).status_code == 200
            assert operation["security"] == []
            continue
        assert operation["security"] == [{"key": []}]
        for key in ("", STRANGER):
            response = ask(keyed, method, path, key)
            assert response.status_code == 401, path
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.headers["content-type"] == "application/json"
            assert list(response.json()) == ["error"]
            assert "Authorization: Bearer KEY" in response.json()["error"]


def test_what_needs_an_admin(
    keyed: httpx.Client, documented: dict[tuple[str, str], Any]
) -> None:
    for (method, path), operation in documented.items():
        is_change = path.endswith(CHANGES)
        response = ask(keyed, method, path, USER)
        assert response.status_code == (403 if is_change else 200), path
        assert ("403" in operation["responses"]) == is_change
    for change in ("unload", "load"):
        path = f"/v2/repository/models/{{name}}/{change}"
        assert ask(keyed, "POST", path, ADMIN).status_code == 200
