"""Every example of the API's document is what the server really answers."""

import asyncio
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from torch import nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard
from sigmoid_models.checkpoint import save_checkpoint
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.http.examples.faults import (
    NO_MODEL,
    NO_VERSION,
    SOME_BODY,
    UNKNOWN_KEY,
    faults,
)
from sigmoid_serve.http.examples.inference import MOST_MODEL_BYTES, MOST_MODELS
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve
from tests.http.test_keys import ADMIN, USER, bearer, line
from tests.http.test_openapi import close, documented

JSON = "application/json"
PROBLEM = "application/problem+json"
MAX_BODY_BYTES = 200_000
PREDICT = (
    "/predict",
    "/models/{name}/predict",
    "/models/{name}/versions/{version}/predict",
)


class Keyed(NamedTuple):
    """A server with keys, and the folder of its models."""

    client: httpx.Client
    folder: Path

    def document(self) -> Any:
        """Show what an admin sees."""
        return self.client.get("/openapi.json", headers=bearer(ADMIN)).json()["paths"]

    def send(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """Send a request with the key of an admin, or with other headers."""
        headers = {**bearer(ADMIN), **sent.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **sent)


def copied(model: str, to: Path) -> None:
    newest = PRETRAINED / model / "1" / "model.safetensors"
    shutil.copy(newest, to)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder = tmp_path_factory.mktemp("models")
    for name, model in (("alpha", "breast-cancer"), ("beta", "digits")):
        copied(model, folder / f"{name}.safetensors")
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(line(ADMIN) + line(USER))
    settings = Settings(
        api_keys_file=keys, max_body_bytes=MAX_BODY_BYTES, max_elements=1000
    )
    with serve(settings, [folder]) as client:
        yield Keyed(client, folder)


def examples(operation: Any, status: int, media: str = JSON) -> dict[str, Any]:
    content = operation["responses"].get(str(status), {}).get("content", {})
    named = content.get(media, {}).get("examples", {})
    return {name: example["value"] for name, example in named.items()}


def problems(operation: Any) -> dict[tuple[int, str], Any]:
    return {
        (int(status), code): value
        for status in operation["responses"]
        for code, value in examples(operation, int(status), PROBLEM).items()
    }


def anonymous(problem: Any) -> Any:
    """Leave out what differs between any two problems, and check that it is there."""
    return {**problem, "request_id": bool(problem["request_id"])}


def timeless(problem: Any) -> Any:
    """Leave out times, too, and the stage in which it was too late."""
    return json.loads(re.sub(r"\d+(\.\d+)?", "0", json.dumps(anonymous(problem))))


def check(response: httpx.Response, shown: dict[tuple[int, str], Any]) -> str:
    """Compare a problem with the example of its code."""
    got = response.json()
    assert response.headers["content-type"] == PROBLEM
    assert anonymous(got) == anonymous(shown[response.status_code, got["code"]])
    return str(got["code"])


def test_every_request_is_answered_as_printed(keyed: Keyed) -> None:
    posted = []
    for path, operations in keyed.document().items():
        operation = operations.get("post", {})
        if "requestBody" not in operation:
            continue
        # What changes the models is no example to try.
        requests = operation["requestBody"]["content"][JSON].get("examples", {})
        assert requests or path.startswith("/v2/repository/")
        answers = examples(operation, 200)
        assert requests.keys() == answers.keys()
        for name, example in requests.items():
            model = name.partition(": ")[0]
            filled = path.format(name=model, version="1")
            response = keyed.send("POST", filled, json=example["value"])
            assert response.status_code == 200, response.text
            assert close(response.json(), answers[name])
            posted.append((path, name))
    # The one has names for its features, the other has not, or the number differs.
    kinds = [name for path, name in posted if path == PREDICT[1]]
    assert {name.partition(": ")[0] for name in kinds} == {"alpha", "beta"}
    assert {"alpha: row", "alpha: rows", "alpha: record"} <= set(kinds)
    assert [name for path, name in posted if path == PREDICT[2]] == [
        "alpha: row",
        "beta: row",
    ]
    assert len([path for path, _ in posted if path == "/sigmoid"]) == 3


def test_other_answers_are_as_printed(keyed: Keyed) -> None:
    for path, operations in keyed.document().items():
        for method, operation in operations.items():
            if "requestBody" in operation:
                continue
            if path == "/metrics":
                (text,) = examples(operation, 200, "text/plain").values()
                served = keyed.send("GET", path).text
                for row in text.splitlines():
                    assert row.rpartition(" ")[0].partition("{")[0] in served
                continue
            shown = examples(operation, 200)
            assert shown
            for name, value in shown.items():
                filled = path.format(name=name, version="1")
                response = keyed.send(method, filled)
                assert response.status_code == 200
                # What was counted goes on.
                assert response.json() == value or path.endswith("/stats")


def test_every_problem_is_as_printed(keyed: Keyed) -> None:
    for path in (*PREDICT, "/sigmoid"):
        shown = problems(keyed.document()[path]["post"])
        filled = path.format(name="alpha", version="1")
        seen = set()
        for fault in faults(path, MAX_BODY_BYTES):
            body, headers = fault.body, dict(fault.headers)
            if headers.pop("content-length", None):
                body = b" " * (MAX_BODY_BYTES + 1)
            seen.add(
                check(keyed.send("POST", filled, content=body, headers=headers), shown)
            )
        for key in ({}, bearer(UNKNOWN_KEY)):
            refused = keyed.client.post(filled, content=b"1", headers=key)
            seen.add(check(refused, shown))
        for name, version in ((NO_MODEL, "1"), ("alpha", NO_VERSION)):
            missing = path.format(name=name, version=version)
            if missing not in (filled, path):
                seen.add(check(keyed.send("POST", missing, content=SOME_BODY), shown))
        later = {"queue_full", "out_of_memory", "timeout"}
        later |= {"not_ready"} if path != "/sigmoid" else set()
        assert {code for _, code in shown} == seen | later
        assert len(seen) >= 13


def test_the_problems_of_a_reload_are_as_printed(keyed: Keyed) -> None:
    shown = problems(keyed.document()["/models/{name}/reload"]["post"])
    path = "/models/{name}/reload".format
    missing = keyed.send("POST", path(name=NO_MODEL))
    assert check(missing, shown) == "model_not_found"
    assert check(keyed.client.post(path(name="alpha")), shown) == "key_required"
    refused = keyed.client.post(path(name="alpha"), headers=bearer(USER)).json()
    want = json.dumps(shown[403, "not_admin"]).replace("your-key", "alice")
    assert anonymous(refused) == anonymous(json.loads(want))
    (keyed.folder / "alpha.safetensors").rename(keyed.folder / "alpha.away")
    gone = keyed.send("POST", path(name="alpha"))
    (keyed.folder / "alpha.away").rename(keyed.folder / "alpha.safetensors")
    assert check(gone, shown) == "not_ready"


def test_a_missing_model_is_as_printed(keyed: Keyed) -> None:
    shown = problems(keyed.document()["/models/{name}"]["get"])
    assert check(keyed.send("GET", f"/models/{NO_MODEL}"), shown) == "model_not_found"


def asked(app: FastAPI, method: str, path: str, **sent: Any) -> httpx.Response:
    """Ask an application that no server runs."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test"
        ) as client:
            return await client.request(method, path, **sent)

    return asyncio.run(ask())


def shown_by(app: FastAPI, path: str, method: str = "post") -> Any:
    return asked(app, "GET", "/openapi.json").json()["paths"][path][method]


def test_problems_of_an_application_without_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SIGMOID_MODELS", "SIGMOID_API_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)
    app, early = create_app(Settings()), create_app()
    for path in PREDICT:
        shown = problems(shown_by(app, path))
        filled = path.format(name="digits", version="1")
        assert check(asked(early, "POST", filled, content=SOME_BODY), shown)
    shown = problems(shown_by(app, "/models/{name}", "get"))
    assert check(asked(early, "GET", "/models/digits"), shown) == "not_ready"
    for path in ("/readyz", "/startupz"):
        response = asked(early, "GET", path)
        assert response.status_code == 503
        want = examples(shown_by(app, path, "get"), 503)
        assert list(want.values()) == [response.json()]


def test_problems_of_load_are_as_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(Settings())
    shown = problems(shown_by(app, "/sigmoid"))
    admission = app.state.context.admission
    admission.elements = admission.limit
    full = asked(app, "POST", "/sigmoid", content=SOME_BODY)
    assert check(full, shown) == "queue_full"
    admission.elements = 0

    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("sigmoid_serve.inference.sigmoid.sigmoid", no_memory)
    poor = asked(app, "POST", "/sigmoid", content=SOME_BODY)
    assert check(poor, shown) == "out_of_memory"


def test_a_request_that_waits_for_too_long_is_as_printed() -> None:
    app = create_app(Settings(timeout_seconds=0.2))
    shown = problems(shown_by(app, "/sigmoid"))
    app.state.context.background._thread.submit(time.sleep, 0.6)
    body = b'{"inputs": [%s1]}' % (b"1," * 40_000)
    late = asked(app, "POST", "/sigmoid", content=body)
    assert late.status_code == 504
    assert timeless(late.json()) == timeless(shown[504, "timeout"])


def test_a_reload_while_the_process_shuts_down(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(line(ADMIN))
    app = create_app(Settings(api_keys_file=tmp_path / "keys"))
    shown = problems(shown_by(app, "/models/{name}/reload"))
    app.state.context.readiness.is_draining = True
    path = "/models/digits/reload"
    drained = asked(app, "POST", path, headers=bearer(ADMIN))
    assert check(drained, shown) == "draining"


def test_without_a_key_only_the_default_model_is_shown(keyed: Keyed) -> None:
    told = json.dumps(documented(keyed.client))
    assert '"alpha: row"' in told
    assert "beta" not in told
    paths = json.loads(told)["paths"]
    version = "/models/{name}/versions/{version}"
    for path in ("/models", "/models/{name}", version, "/limits", "/metrics"):
        operation = paths[path]["get"]
        assert not examples(operation, 200)
        assert not examples(operation, 200, "text/plain")
    assert not examples(paths["/models/{name}/reload"]["post"], 200)
    assert examples(paths["/livez"]["get"], 200)
    assert "beta" in json.dumps(keyed.document())


def test_examples_leave_no_trace(client: httpx.Client) -> None:
    def counts() -> list[str]:
        lines = client.get("/metrics").text.splitlines()
        return [line for line in lines if "requests_total" in line and "422" in line]

    before = counts()
    documented(client)
    assert counts() == before


def test_a_new_model_shows_up(tmp_path: Path) -> None:
    copied("digits", tmp_path / "one.safetensors")
    (tmp_path / "keys").write_text(line(ADMIN))
    settings = Settings(api_keys_file=tmp_path / "keys")
    with serve(settings, [tmp_path]) as client:
        client.headers.update(bearer(ADMIN))
        before = documented(client)["paths"]["/models/{name}/predict"]["post"]
        copied("breast-cancer", tmp_path / "two.safetensors")
        assert client.post("/models/two/reload").status_code == 200
        after = documented(client)["paths"]["/models/{name}/predict"]["post"]
        # A model that is not the default may have other weights, too.
        copied("digits", tmp_path / "two.safetensors")
        assert client.post("/models/two/reload").status_code == 200
        last = documented(client)["paths"]["/models/{name}/predict"]["post"]
    names = [list(each["parameters"][0]["examples"]) for each in (before, after)]
    assert names == [["one"], ["one", "two"]]
    assert len(examples(after, 200)["two: row"]["logits"]) == 1
    assert len(examples(last, 200)["two: row"]["logits"]) == 10


def test_a_model_that_is_not_ready_has_requests_and_no_answers() -> None:
    app = create_app(Settings())
    registry = app.state.context.registry
    versions = [registry.find(name) for name in registry.models]
    faulty = [replace(each, fault="it answers wrongly") for each in versions]
    registry.put(faulty, unloaded={})
    operation = shown_by(app, "/predict")
    content = operation["requestBody"]["content"][JSON]
    assert set(content["examples"]) >= {"breast-cancer: row"}
    assert not examples(operation, 200)
    probe = shown_by(app, "/readyz", "get")
    assert not examples(probe, 200)
    assert examples(probe, 503)


def save(folder: Path, name: str, features: int, *, is_long: bool = False) -> None:
    rows = ((1 / 3,) * features,) * 2
    card = ModelCard(
        architecture=Architecture(kind="Sequential", sizes=(features, 1)),
        activation="sigmoid",
        activation_source="one layer",
        task="binary",
        golden=Golden(inputs=rows, logits=((0.0,),) * 2) if is_long else None,
    )
    network = nn.Sequential(nn.Linear(features, 1))
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    save_checkpoint(folder / f"{name}.safetensors", network, card)


def test_many_models_and_long_rows_are_bounded(tmp_path: Path) -> None:
    for number in range(20):
        save(tmp_path, f"m{number:02}", 784, is_long=number % 2 == 0)
    save(tmp_path, "a", 100_000)
    with serve(Settings(), [tmp_path]) as client:
        response = client.get("/openapi.json")
        began = time.perf_counter()
        assert client.get("/openapi.json").content == response.content
        assert time.perf_counter() - began < 5
    operation = response.json()["paths"]["/models/{name}/predict"]["post"]
    shown = examples(operation, 200)
    assert len({name.partition(": ")[0] for name in shown}) == MOST_MODELS - 1
    assert "a: row" not in shown
    assert {"m00: row", "m01: row", "m01: rows"} <= shown.keys()
    assert "m00: rows" not in shown
    assert len(operation["parameters"][0]["examples"]) == MOST_MODELS
    assert len(response.content) < 3 * MOST_MODELS * MOST_MODEL_BYTES
