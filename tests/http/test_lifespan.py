"""The application as another server runs it: uvicorn, as it is installed."""

import logging
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import Message, Scope

from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import SettingsError
from sigmoid_serve.lifespan import Lifespan
from sigmoid_serve.monitoring.logs import configure_own_logs
from tests.running import TIMEOUT, counted, environment

COMMAND = [sys.executable, "-m", "uvicorn", "--factory", "sigmoid_serve.app:create_app"]
LIMITS = {"SIGMOID_MAX_BODY_BYTES": "200000", "SIGMOID_MAX_ELEMENTS": "1000"}
NPY = {"Content-Type": "application/x-npy"}
JSON = {"Content-Type": "application/json"}
ROW = f'{{"inputs":[{",".join(["1"] * 30)}]}}'.encode()


def uvicorn_config() -> uvicorn.Config:
    """Name the application as the command does; the log is pytest's."""
    factory = "sigmoid_serve.app:create_app"
    return uvicorn.Config(factory, factory=True, port=0, log_config=None)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uvicorn") / "log"


@pytest.fixture(scope="module")
def foreign(log: Path) -> Iterator[httpx.Client]:
    """Calls uvicorn, which has the settings of the fixture `client`."""
    variables = {**LIMITS, "SIGMOID_DRAIN_SECONDS": "1", "SIGMOID_PROT": "1"}
    with (
        log.open("w") as file,
        subprocess.Popen(
            [*COMMAND, "--port", "0"], stderr=file, env=environment(**variables)
        ) as process,
    ):
        try:
            end = time.monotonic() + TIMEOUT
            while not (found := re.search(r"running on (\S+)", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            with httpx.Client(base_url=found[1], timeout=TIMEOUT) as client:
                yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) in (0, -signal.SIGTERM)
        finally:
            if process.poll() is None:
                process.kill()
    assert "Application shutdown complete" in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/predict", JSON, ROW),
        ("POST", "/models/breast-cancer/predict", JSON, ROW),
        ("POST", "/models/breast-cancer/versions/1/predict", JSON, ROW),
        (
            "POST",
            "/predict?output=logits",
            {**JSON, "Accept": "application/x-npy"},
            ROW,
        ),
        ("POST", "/sigmoid", JSON, b'{"inputs":[0,-1000]}'),
        ("POST", "/sigmoid", JSON, b'{"batch":[0,[1,2],[]]}'),
        ("POST", "/sigmoid", JSON, b'{"inputs":[0,true]}'),
        ("POST", "/sigmoid", JSON, b'{"inputs":['),
        ("POST", "/sigmoid", JSON, b'{"inputs":[%s0]}' % (b"0," * 1000)),
        ("POST", "/sigmoid", JSON, b'{"inputs":[%s0]}' % (b"0," * 200_000)),
        ("POST", "/sigmoid", NPY, b"no array"),
        ("POST", "/sigmoid", {"Content-Type": "text/plain"}, b"1"),
        ("POST", "/sigmoid", {**JSON, "Accept": "image/png"}, b'{"inputs":[0]}'),
        ("POST", "/models/none/predict", JSON, ROW),
        ("POST", "/models/digits/versions/9/predict", JSON, ROW),
        ("POST", "/models/digits/predict", JSON, ROW),
        ("POST", "/models/digits/reload", {}, b""),
        ("GET", "/models", {}, b""),
        ("GET", "/models/digits", {}, b""),
        ("GET", "/livez", {}, b""),
        ("GET", "/startupz", {}, b""),
        ("GET", "/readyz", {}, b""),
        ("GET", "/openapi.json", {}, b""),
        ("GET", "/sigmoid", {}, b""),
        ("GET", "/nowhere", {}, b""),
        ("HEAD", "/livez", {}, b""),
    ],
)
def test_the_answers_are_those_of_our_server(
    client: httpx.Client,
    foreign: httpx.Client,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
) -> None:
    ours, theirs = (
        each.request(
            method, path, headers={**headers, "X-Request-ID": "same"}, content=body
        )
        for each in (client, foreign)
    )
    assert theirs.status_code == ours.status_code
    assert theirs.content == ours.content
    for name in ("content-type", "x-request-id", "allow", "www-authenticate"):
        assert theirs.headers.get(name) == ours.headers.get(name)


def test_the_log_says_what_is_absent(foreign: httpx.Client, log: Path) -> None:
    assert foreign.post("/sigmoid", json={"inputs": [True]}).status_code == 422
    text = log.read_text()
    lines = [line for line in text.splitlines() if "run by another server" in line]
    assert len(lines) == 1
    assert "fast path" in lines[0]
    assert "without effect under this server: SIGMOID_DRAIN_SECONDS\n" in text
    assert "SIGMOID_PROT is no setting" in text
    assert text.count("model digits version 1") == 1
    assert re.search(r"^\S+Z INFO \[\w+\] 422 not_a_number /sigmoid$", text, re.M)


def test_metrics(foreign: httpx.Client) -> None:
    before = counted(foreign, "sigmoid_requests_total", route="/sigmoid")
    assert foreign.post("/sigmoid", json={"inputs": [1]}).status_code == 200
    after = counted(foreign, "sigmoid_requests_total", route="/sigmoid")
    assert after == before + 1
    assert counted(foreign, "sigmoid_ready") == 1


def test_models_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "none.pt"
    monkeypatch.setenv("SIGMOID_MODELS", str(path))
    server = uvicorn.Server(uvicorn_config())
    server.should_exit = True  # soon, should it start after all
    with pytest.raises(SystemExit) as ended:
        server.run()
    assert ended.value.code not in (None, 0)
    text = caplog.text
    assert f"{path}: No such file or directory; check the path\n" in text
    assert "Application startup failed. Exiting." in text
    assert "Traceback" not in text


def test_a_setting_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_MAX_ROWS", "many")
    with pytest.raises(SettingsError, match=r"^SIGMOID_MAX_ROWS: .*") as caught:
        uvicorn_config().load()
    (last,) = traceback.format_exception_only(caught.value)
    assert "SettingsError: SIGMOID_MAX_ROWS: " in last
    assert "got 'many'" in last


async def started(app: Any) -> Message:
    """Ask an application to start; return its answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    await app(scope, receive, send)
    (answer,) = sent
    return answer


@pytest.mark.anyio
async def test_it_is_made_before_it_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMOID_MODELS", str(tmp_path / "none.pt"))
    app = create_app()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
        assert (await client.get("/livez")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["loading: no model is there yet"]
    told = await started(app)
    assert told["type"] == "lifespan.startup.failed"
    assert told["message"].endswith("No such file or directory; check the path")


@pytest.mark.anyio
async def test_what_nobody_foresaw(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context = create_app().state.context

    def load() -> None:
        raise ZeroDivisionError("no reason")

    answer = await started(Lifespan(create_app(), context, load))
    assert answer == {"type": "lifespan.startup.failed", "message": "no reason"}
    assert "unexpected error" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_logs_of_another_program_go_where_it_says() -> None:
    ours, root = logging.getLogger("sigmoid_serve"), logging.getLogger()
    before = [*ours.handlers], [*root.handlers]
    assert ours.hasHandlers()  # pytest's
    configure_own_logs("text")
    assert ([*ours.handlers], [*root.handlers]) == before
