"""Every class of error, as a real server answers it."""

import hashlib
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from sigmoid_serve import (
    AuthenticationError,
    Client,
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidInputError,
    NotFoundError,
    OverloadedError,
    ServerError,
    SigmoidServeError,
    UnavailableError,
    create_app,
)
from sigmoid_serve.configuration.settings import Settings
from tests.admission.test_queue import serving
from tests.client.conftest import client_of, standing
from tests.registry.test_reloading import put_wrong
from tests.running import TIMEOUT, environment

ROW = [0.0] * 4
FULL = Settings(max_elements=100, max_queue_elements=200, timeout_seconds=1)


def error_of(call: Any, *arguments: Any, **options: Any) -> SigmoidServeError:
    with pytest.raises(SigmoidServeError) as caught:
        call(*arguments, **options)
    error = caught.value
    assert error.detail
    assert error.hint
    assert len(str(error).splitlines()) <= 3
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    return error


@pytest.fixture(scope="module")
def servers(
    small: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What each error needs, as an address and as an application."""
    folder = tmp_path_factory.mktemp("servers")
    keys, bad = folder / "keys", folder / "bad.safetensors"
    keys.write_text(f"alice {hashlib.sha256(b'secret').hexdigest()}\n")
    put_wrong(bad)
    kinds: dict[str, dict[str, Any]] = {
        "good": {},
        "keys": {"settings": Settings(api_keys_file=keys)},
        "full": {"settings": FULL, "taken": 200},
        "failed": {"checkpoints": [bad]},
        "late": {"settings": Settings(timeout_seconds=1e-9)},
    }
    with ExitStack() as stack:
        yield {
            f"{kind}-{place}": stack.enter_context(
                standing(place, **{"checkpoints": [small], **options})
            )
            for kind, options in kinds.items()
            for place in ("tcp", "app")
        }


@pytest.fixture
def call(way: str, servers: dict[str, Any]) -> Callable[..., Any]:
    """Make a client of this way, of one of these servers."""

    def make(kind: str, **options: Any) -> Any:
        return client_of(way, servers[f"{kind}-{way[-3:]}"], **options)

    return make


def test_what_the_caller_can_put_right(call: Callable[..., Any]) -> None:
    with call("good", retries=0) as client:
        error = error_of(client.predict, [True] * 4)
        assert isinstance(error, InvalidInputError)
        assert (error.code, error.status) == ("not_a_number", 422)
        assert (error.expected, error.got) == ("a number", "a boolean")
        assert error.request_id
        for name, version, code in (
            ("other", None, "model_not_found"),
            ("..", None, "model_not_found"),
            ("a/b?c", None, "route_not_found"),
            ("small", 7, "version_not_found"),
        ):
            error = error_of(client.predict, ROW, model=name, version=version)
            assert isinstance(error, NotFoundError)
            assert (error.code, error.status) == (code, 404)
        assert isinstance(error_of(client.card, "other"), NotFoundError)


def test_keys(call: Callable[..., Any]) -> None:
    for key, code in ((None, "key_required"), ("wrong", "key_unknown")):
        with call("keys", key=key) as client:
            error = error_of(client.predict, ROW)
            assert isinstance(error, AuthenticationError)
            assert (error.code, error.status) == (code, 401)
            assert "Client(..., key=...)" in str(error)
            assert client.ready()
    with call("keys", key="secret") as client:
        assert client.predict(ROW).model == "small"


def test_a_full_queue(call: Callable[..., Any]) -> None:
    with call("full", retries=0) as client:
        error = error_of(client.predict, ROW)
    assert isinstance(error, OverloadedError)
    assert (error.code, error.status) == ("queue_full", 429)


def test_a_model_that_is_not_ready(call: Callable[..., Any]) -> None:
    with call("failed", retries=1) as client:
        assert client.ready() is False
        error = error_of(client.predict, ROW)
        assert isinstance(error, UnavailableError)
        assert (error.code, error.status) == ("not_ready", 503)
        assert client.models()[0].state == "failed"
        # No time is left for a second try.
        error = error_of(client.predict, ROW, timeout=0.04)
    assert isinstance(error, DeadlineExceededError)
    assert error.code == "deadline"


def test_the_deadline_of_the_server(call: Callable[..., Any]) -> None:
    with call("late", retries=0) as client:
        error = error_of(client.predict, ROW)
    assert isinstance(error, DeadlineExceededError)
    assert (error.code, error.status) == ("timeout", 504)


class Foreign(BaseHTTPRequestHandler):
    """A server that is not this one."""

    kinds: tuple[tuple[int, str, str], ...] = (
        (200, "text/html", "<html>"),
        (200, "application/json", "[]"),
        (200, "application/json", "{}"),
        (500, "text/plain", "it\nfailed" * 1000),
        (301, "text/plain", ""),
        (418, "application/problem+json", "{"),
        (502, "text/html", "bad gateway"),
        (503, "text/html", "maintenance"),
    )

    def do_GET(self) -> None:
        kind = int(self.path.split("/")[1])
        status, media, text = self.kinds[kind]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(text)))
        if status == 301:
            self.send_header("Location", "https://elsewhere/predict")
        if status == 503:
            self.send_header("Retry-After", "Fri, 31 Dec 2100 23:59:59 GMT")
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Foreign) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["sync-tcp", "async-tcp"])
def test_what_is_not_this_service(kind: str, foreign: str) -> None:
    for place, (status, _, _) in enumerate(Foreign.kinds):
        with client_of(kind, f"{foreign}/{place}/", retries=1) as client:
            for call in (client.predict, client.sigmoid):
                error = error_of(call, ROW)
                want = {502: UnavailableError, 503: DeadlineExceededError}.get(
                    status, ServerError
                )
                assert type(error) is want, error
                assert len(str(error)) < 800
                told = {301: "'https://elsewhere", 503: "maintenance"}
                assert told.get(status, "sigmoid-serve") in str(error)
            if status == 200:
                assert isinstance(error_of(client.models), ServerError)


@pytest.mark.parametrize("kind", ["sync-tcp", "async-tcp"])
def test_no_server(kind: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nothing listens
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with client_of(kind, address, retries=1) as client:
            error = error_of(client.predict, ROW)
            assert isinstance(error, ConnectionFailedError)
            assert address in str(error)
            assert client.ready() is False
            error = error_of(client.predict, ROW, timeout=0.2)
            assert isinstance(error, ConnectionFailedError | DeadlineExceededError)
        # A server that takes the connection, and says nothing.
        taken.listen()
        with client_of(kind, address, timeout=0.2) as client:
            error = error_of(client.predict, ROW)
        assert isinstance(error, DeadlineExceededError)
        assert "within 0.2 s, having asked once" in str(error)


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    """Retries would not change it."""
    chain = tmp_path / "chain.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        chain
    )
    with serving(Settings(tls_cert_file=chain)) as served:
        address = f"https://127.0.0.1:{served.client.base_url.port}"
        with Client(address, retries=100, timeout=None) as client:
            error = error_of(client.predict, ROW)
    assert isinstance(error, ConnectionFailedError)


def test_an_application_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_MODELS", "/nowhere.pt")
    for way in ("sync-app", "async-app"):
        with client_of(way, create_app()) as client:
            error = error_of(client.predict, ROW)
            assert isinstance(error, UnavailableError)
            assert "No such file" in str(error)
            assert client.ready() is False


def test_a_client_that_nobody_closes(small: Path) -> None:
    """It ends at the end of the program, and sooner where nobody has it."""
    code = f"""if True:
        from pathlib import Path
        from sigmoid_serve import Client, create_app
        from sigmoid_serve.configuration.settings import Settings

        def client():
            return Client(create_app(Settings(), [Path({str(small)!r})]))

        client().predict([0.0] * 4)
        kept = client()
        print(kept.predict([0.0] * 4).model)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
        check=True,
    )
    assert done.stdout == "small\n"
    assert "Error" not in done.stderr
    with Client(create_app(Settings(), [small])) as client:
        client.close()
        with pytest.raises(RuntimeError, match="has been closed"):
            client.predict(ROW)


def test_an_application_without_a_lifespan() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[]"})

    for way in ("sync-app", "async-app"):
        with client_of(way, app) as client:
            assert client.ready()
            assert isinstance(error_of(client.predict, ROW), ServerError)
