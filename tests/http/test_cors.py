"""Which pages of other origins may ask, and what they may read of an answer."""

import json
import socket
from collections.abc import Iterator
from time import sleep

import httpx
import pytest

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.http.protocols.table import PROTOCOLS
from tests.conftest import serve
from tests.http.test_keys import ADMIN, LONG, ROW, bearer, line
from tests.server.test_connection import post, received

PAGE, OTHER = "https://page.example", "http://localhost:3000"
STRANGERS = (
    "https://page.example.evil",
    "https://evil-page.example",
    "http://page.example",
    "https://page.example:8443",
    "https://PAGE.example",
    "null",
)
EXPOSED = ", ".join(
    ["X-Request-ID", "Server-Timing", "Retry-After"]
    + [name for protocol in PROTOCOLS for name in protocol.exposed_headers]
)
ELEMENTS = 70_000

ORIGIN = "access-control-allow-origin"


def settings(origins: str, **others: object) -> Settings:
    limits = {"max_elements": ELEMENTS, "max_queue_elements": 2 * ELEMENTS}
    return Settings.model_validate(
        {"cors_origins": origins, "max_body_bytes": 1_000_000} | limits | others
    )


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Calls a server that asks for keys, and that two origins may ask."""
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text(line(ADMIN))
    with serve(settings(f"{PAGE} , {OTHER},", api_keys_file=path)) as client:
        client.headers.update(bearer(ADMIN))
        yield client


def preflight(
    client: httpx.Client, path: str, origin: str, method: str = "POST"
) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    # A browser shows no key before it may.
    request = client.build_request("OPTIONS", path, headers=headers)
    request.headers.pop("authorization", None)
    return client.send(request)


def grants(response: httpx.Response) -> dict[str, str]:
    """Pick the headers that let a page in; that it may read some grants nothing."""
    return {
        name: value
        for name, value in response.headers.items()
        if name.startswith("access-control-")
        and name != "access-control-expose-headers"
    }


def answers(client: httpx.Client, origin: str) -> dict[str, httpx.Response]:
    """Ask on every way that an answer can come."""
    headers = {"Origin": origin}
    # With a header of its own each takes the place of the client's key.
    without = headers | {"Authorization": "Bearer nobody"}
    large = b'{"inputs": ' + b" " * 1_000_000 + b"0}"
    return {
        "short": client.post("/predict", json=ROW, headers=headers),
        "long": client.post("/predict", json=LONG, headers=headers),
        "routed": client.post("/sigmoid?", json={"inputs": 0}, headers=headers),
        "page": client.get("/models", headers=headers),
        "docs": client.get("/docs", headers=headers),
        "asset": client.get("/docs/assets/swagger-ui.css", headers=headers),
        "health": client.get("/readyz", headers=headers),
        "head": client.head("/models", headers=headers),
        "400": client.post("/sigmoid", content=b"{", headers=headers),
        "401": client.get("/models", headers=without),
        "401 short": client.post("/predict", json=ROW, headers=without),
        "404": client.get("/nothing", headers=headers),
        "405": client.get("/predict", headers=headers),
        "413": client.post("/sigmoid", content=large, headers=headers),
        "422": client.post("/predict?x=1", json=ROW, headers=headers),
    }


def test_closed_by_default(client: httpx.Client) -> None:
    for path in ("/sigmoid", "/models"):
        response = preflight(client, path, PAGE)
        assert response.status_code == 405
        assert response.json()["code"] == "method_not_allowed"
        assert not grants(response)
    short = client.post("/predict", json=ROW, headers={"Origin": PAGE})
    listed = client.get("/models", headers={"Origin": PAGE})
    nothing = client.get("/nothing", headers={"Origin": PAGE})
    for response in (short, listed, nothing):
        assert not any(name.startswith("access-control-") for name in response.headers)
    assert (short.status_code, listed.status_code) == (200, 200)


@pytest.mark.parametrize("origin", [PAGE, OTHER])
def test_origins_that_may_ask(opened: httpx.Client, origin: str) -> None:
    for name, response in answers(opened, origin).items():
        if name[:3].isdigit():
            assert response.status_code == int(name[:3]), response.text
            assert response.headers["content-type"] == "application/problem+json"
        else:
            assert response.status_code == 200, (name, response.text)
        assert grants(response) == {ORIGIN: origin}, name
        assert response.headers["access-control-expose-headers"] == EXPOSED, name
        assert "Origin" in response.headers["vary"], name
        assert response.headers.get_list("x-request-id", split_commas=True)[1:] == []


@pytest.mark.parametrize("origin", STRANGERS)
def test_other_origins(opened: httpx.Client, origin: str) -> None:
    for name, response in answers(opened, origin).items():
        assert not grants(response), name
    response = preflight(opened, "/predict", origin)
    check_refusal(response, f"got {origin}")
    assert ORIGIN not in response.headers


def check_refusal(response: httpx.Response, told: str) -> None:
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "preflight_refused"
    assert told in problem["detail"]
    assert response.headers.get_list("x-request-id") == [problem["request_id"]]
    assert "Origin" in response.headers["vary"]


def test_preflight_needs_no_key(opened: httpx.Client) -> None:
    for path in ("/predict", "/sigmoid", "/models/digits/reload", "/nothing"):
        for method in ("GET", "POST"):
            response = preflight(opened, path, PAGE, method)
            assert response.status_code == 200, response.text
            assert response.headers["x-request-id"]
            granted = grants(response)
            assert granted[ORIGIN] == PAGE
            assert method in granted["access-control-allow-methods"].split(", ")
            asked = granted["access-control-allow-headers"].lower()
            assert {"authorization", "content-type"} <= set(asked.split(","))
            assert "access-control-allow-credentials" not in granted
    check_refusal(preflight(opened, "/models", PAGE, "DELETE"), "got DELETE")
    # An OPTIONS that is no preflight is a request like any other.
    response = opened.options("/models", headers={"Authorization": "Bearer nobody"})
    assert response.json()["code"] == "key_unknown"


def test_answers_without_an_origin(opened: httpx.Client) -> None:
    for response in (opened.post("/predict", json=ROW), opened.get("/models")):
        assert response.status_code == 200
        assert not grants(response)


def test_a_page_learns_that_the_queue_is_full(opened: httpx.Client) -> None:
    body = json.dumps({"inputs": [0] * ELEMENTS}).encode()
    key = f"Authorization: Bearer {ADMIN}"
    address = (opened.base_url.host, opened.base_url.port or 80)
    with socket.create_connection(address, timeout=20) as wire:
        wire.sendall(post("/sigmoid", body, key)[:-1])
        for _ in range(500):
            response = opened.post("/sigmoid", json=LONG, headers={"Origin": PAGE})
            if response.status_code == 429:
                break
            assert response.status_code == 200, response.text
            sleep(0.01)
        assert response.json()["code"] == "queue_full"
        assert grants(response) == {ORIGIN: PAGE}
        assert "Retry-After" in response.headers["access-control-expose-headers"]
        assert int(response.headers["retry-after"]) >= 1
        wire.sendall(body[-1:])
        assert received(wire).startswith(b"HTTP/1.1 200 ")


def test_all_origins() -> None:
    with serve(settings("*")) as client:
        for origin in (PAGE, "null"):
            for path in ("/predict", "/models"):
                response = preflight(client, path, origin)
                assert (response.status_code, grants(response)[ORIGIN]) == (200, "*")
            headers = {"Origin": origin, "Cookie": "a=b"}
            asked = client.post("/predict", json=ROW, headers=headers)
            for response in (asked, client.get("/nothing", headers=headers)):
                assert response.headers[ORIGIN] in ("*", origin)
                assert "access-control-allow-credentials" not in response.headers


def test_a_preflight_cannot_split_its_answer(opened: httpx.Client) -> None:
    address = (opened.base_url.host, opened.base_url.port or 80)
    for value in ("a\r\n X-Injected: 1", "a\rX-Injected: 1", "a\nX-Injected: 1", "é\t"):
        with socket.create_connection(address, timeout=20) as wire:
            lines = (
                "OPTIONS /predict HTTP/1.1\r\nHost: x\r\n"
                f"Origin: {PAGE}\r\nAccess-Control-Request-Method: POST\r\n"
                f"Access-Control-Request-Headers: {value}\r\n\r\n"
            )
            wire.sendall(lines.encode("latin-1"))
            head = received(wire).partition(b"\r\n\r\n")[0]
        assert head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
        assert b"injected" not in head.lower()
