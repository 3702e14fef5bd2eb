"""The repository extension: what clients are told of models, how they change them."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.intake.named import Named
from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.registry.test_reloading import put, put_wrong
from tests.running import counted

INDEX = "/v2/repository/index"
LOAD, UNLOAD = (f"/v2/repository/models/m/{what}" for what in ("load", "unload"))

# What the clients of Triton send.
BODIES = {
    "empty": b"",
    "object": b"{}",
    "space": b" {\n} ",
    "of unload": b'{"parameters":{"unload_dependents":false}}',
    "null": b'{"parameters": null}',
    "unknown": b'{"model_name": "m", "parameters": {"x": [{"file:a": 1}]}, "z": [1]}',
}
BAD_BODIES = {
    "cut": (b'{"parameters"', "the body is not valid JSON: "),
    "a list": (b"[]", "the top level must be an object"),
    "not UTF-8": (b'{"\xff": 1}', "byte 2 is not UTF-8"),
    "twice": (b'{"parameters": {}, "parameters": {}}', "has the same key twice"),
    "of no object": (b'{"parameters": [1]}', "an object at /parameters, got a list"),
    "config": (
        b'{"parameters": {"unload_dependents": true, "config": "{}"}}',
        "expected neither config nor files, as a model is what the server's files say "
        "at /parameters/config, got config",
    ),
    "file": (
        b'{"parameters": {"file:1/model.pt": "AAAA"}}',
        "at /parameters/file:1~1model.pt, got file:1/model.pt",
    ),
    "file behind many": (
        json.dumps({"parameters": {**{f"p{n}": n for n in range(99)}, "file:": 0}}),
        "at /parameters/file:, got file:",
    ),
}
KEYS = {"root": ("secret", " admin"), "alice": ("known", "")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models `m` of three versions, one of them damaged, `other`, and what is none."""
    folder = tmp_path_factory.mktemp("models")
    for name, version in (("m", 2), ("m", 10), ("m", 3), ("other", 1)):
        put(folder / name / str(version) / "model.safetensors", version)
    (folder / "m" / "3" / "model.safetensors").write_bytes(b"damaged")
    put_wrong(folder / "wrong.safetensors")
    (folder / "damaged.safetensors").write_bytes(b"damaged")
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[httpx.Client]:
    with serve(Settings(activation=("sigmoid",)), [folder]) as client:
        yield client


@pytest.fixture
def served(running: httpx.Client) -> httpx.Client:
    """The service with all that can be served."""
    for name in ("m", "other"):
        response = running.post(f"/v2/repository/models/{name}/load", content=b"{}")
        assert response.status_code == 200, response.text
    return running


def entries(client: httpx.Client, **body: Any) -> list[tuple[str, str, str, str]]:
    response = client.post(INDEX, json=body)
    assert response.status_code == 200, response.text
    fields = ["name", "version", "state", "reason"]
    assert all(list(each) == fields for each in response.json())
    return [tuple(each.values()) for each in response.json()]


def error(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    told = response.json()
    assert list(told) == ["error"]
    assert isinstance(told["error"], str)
    return told["error"]


def test_the_index(served: httpx.Client) -> None:
    found = entries(served)
    assert [each[:3] for each in found] == [
        ("damaged", "1", "UNAVAILABLE"),
        ("m", "10", "READY"),
        ("m", "2", "READY"),
        ("m", "3", "UNAVAILABLE"),
        ("other", "1", "READY"),
        ("sigmoid", "1", "READY"),
        ("wrong", "1", "UNAVAILABLE"),
    ]
    reasons = {name + version: reason for name, version, _, reason in found}
    assert reasons["m10"] == reasons["sigmoid1"] == ""
    assert "it is text, which begins with" in reasons["damaged1"]
    assert "golden" in reasons["wrong1"]
    ready = [each for each in found if each[2] == "READY"]
    assert entries(served, ready=True) == ready
    assert entries(served, ready=False) == entries(served, ready=None) == found
    assert served.post(INDEX).json() == served.post(INDEX, json={}).json()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_load_and_unload(served: httpx.Client, body: bytes) -> None:
    row = {"inputs": [1, 2, 3, 4]}
    before = served.post("/models/m/predict", json=row).json()
    answered = served.post(UNLOAD, content=body)
    assert (answered.status_code, answered.json()) == (
        200,
        {"name": "m", "unload": True},
    )
    assert [each for each in entries(served) if each[0] == "m"] == [
        ("m", "10", "UNAVAILABLE", "unloaded"),
        ("m", "2", "UNAVAILABLE", "unloaded"),
    ]
    told = error(served.get("/v2/models/m/ready"), 503)
    assert "it was unloaded; POST /v2/repository/models/m/load loads it" in told
    assert "m" not in [each["name"] for each in served.get("/models").json()["models"]]
    assert served.post("/predict", json=row).json()["code"] == "not_ready"
    assert served.post(UNLOAD, content=body).status_code == 200
    answered = served.post(LOAD, content=body)
    assert (answered.status_code, answered.json()) == (
        200,
        {"name": "m", "load": True},
    )
    assert served.post("/models/m/predict", json=row).json() == before


@pytest.mark.parametrize("media", [None, "application/octet-stream", "text/html"])
def test_the_media_type_does_not_matter(
    served: httpx.Client, media: str | None
) -> None:
    headers = {"Content-Type": media} if media else {}
    for path in (INDEX, LOAD, UNLOAD):
        response = served.post(path, content=b"{}", headers=headers)
        assert response.status_code == 200, response.text


@pytest.mark.parametrize("path", [LOAD, UNLOAD])
@pytest.mark.parametrize(("body", "words"), BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_bodies(served: httpx.Client, path: str, body: bytes, words: str) -> None:
    assert words in error(served.post(path, content=body), 400)
    assert ("m", "10", "READY", "") in entries(served)


@pytest.mark.parametrize("body", [b"[]", b'{"ready": 1}', b'{"ready": "true"}', b"x"])
def test_bad_bodies_of_the_index(served: httpx.Client, body: bytes) -> None:
    told = error(served.post(INDEX, content=body), 400)
    assert ("expected a boolean at /ready, got " in told) == (b"ready" in body)


def test_long_and_compressed_bodies(served: httpx.Client) -> None:
    long = b'{"parameters": {"file:1/model.pt": "' + b"A" * 2**16 + b'"}}'
    for path in (INDEX, LOAD, UNLOAD):
        told = error(served.post(path, content=long), 413)
        assert "expected at most 65536 bytes, got more; a model's files are" in told
        headers = {"Content-Encoding": "gzip"}
        told = error(served.post(path, content=b"{}", headers=headers), 415)
        assert "without Content-Encoding" in told
        headers = {"Content-Encoding": "identity"}
        assert served.post(path, content=b"{}", headers=headers).status_code == 200


@pytest.mark.parametrize("name", ["nobody", "a%20b", "%F0%9F%98%80", "x" * 5000, ".m"])
def test_names_that_are_not_there(served: httpx.Client, name: str) -> None:
    for what in ("load", "unload"):
        told = error(served.post(f"/v2/repository/models/{name}/{what}"), 404)
        assert told.startswith("there is no model ")
        assert len(told) < 300


def test_a_name_in_percent_encoding(served: httpx.Client) -> None:
    for what in ("unload", "load"):
        response = served.post(f"/v2/repository/models/%6d/{what}")
        assert response.json() == {"name": "m", what: True}


def test_what_cannot_be_changed(served: httpx.Client) -> None:
    for what in ("load", "unload"):
        told = error(served.post(f"/v2/repository/models/sigmoid/{what}"), 400)
        assert "sigmoid has no files; it is always served" in told
    told = error(served.post("/v2/repository/models/damaged/load"), 503)
    assert "reload of damaged failed: " in told
    told = error(served.post("/v2/repository/models/damaged/unload"), 404)
    assert told == (
        "there is no model damaged that is served; GET /models lists those that are"
    )


def test_the_last_model_stays(tmp_path: Path) -> None:
    """Also where it fails its check; the one that did is loaded once it is mended."""
    put(tmp_path / "m.safetensors", 1)
    wrong = tmp_path / "wrong.safetensors"
    put_wrong(wrong)
    path = "/v2/repository/models/wrong"
    with serve(Settings(activation=("sigmoid",)), [tmp_path]) as client:
        assert client.get("/v2/health/ready").status_code == 503
        assert client.post(UNLOAD).status_code == 200
        assert error(client.post(f"{path}/unload"), 400) == (
            "model wrong is the last that is served and cannot be unloaded; load "
            "another first, or stop the service"
        )
        assert client.post(LOAD).status_code == 200
        assert client.post(f"{path}/unload").status_code == 200
        assert client.get("/v2/health/ready").status_code == 200
        told = error(client.post(f"{path}/load"), 503)
        assert told.startswith("reload of wrong failed: version 1: ")
        loaded = load_checkpoint(wrong, named=Named(activation=("sigmoid",)))
        card = loaded.card.model_copy(update={"golden": None})
        save_checkpoint(wrong, loaded.network, card)
        assert client.post(f"{path}/load").status_code == 200
        assert ("wrong", "1", "READY", "") in entries(client)


def test_the_documentation_without_the_default_model(served: httpx.Client) -> None:
    assert served.post(UNLOAD).status_code == 200
    document = served.get("/openapi.json")
    assert document.status_code == 200
    body = document.json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert "other: row" in body["application/json"]["examples"]
    # To show what may go wrong, nothing is loaded.
    assert ("m", "10", "UNAVAILABLE", "unloaded") in entries(served)


def test_what_is_counted(served: httpx.Client) -> None:
    def unloads(result: str) -> float:
        name = "sigmoid_unloads_total"
        return counted(served, name, model="other", result=result)

    def requests() -> float:
        template = UNLOAD.replace("/m/", "/{name}/")
        return counted(served, "sigmoid_requests_total", route=template, code="200")

    before = unloads("success"), requests()
    assert served.post("/v2/repository/models/other/unload").status_code == 200
    assert (unloads("success"), requests()) == (before[0] + 1, before[1] + 1)
    # It is unloaded already: asked for, but not done.
    assert served.post("/v2/repository/models/other/unload").status_code == 200
    assert (unloads("success"), requests()) == (before[0] + 1, before[1] + 2)
    assert unloads("failure") == 0


def test_methods(served: httpx.Client) -> None:
    for path in (INDEX, LOAD, UNLOAD):
        response = served.get(path)
        assert "takes POST, not GET" in error(response, 405)
        assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("origin", ["http://localhost:8000", "null", ""])
def test_web_pages_change_nothing(served: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin}
    for path in (LOAD, UNLOAD):
        told = error(served.post(path, headers=headers), 403)
        assert "without the header Origin" in told
    assert served.post(INDEX, headers=headers).status_code == 200
    assert ("m", "10", "READY", "") in entries(served)


def test_keys(folder: Path, tmp_path: Path) -> None:
    """Everyone with a key may look; only admins may change, from web pages too."""
    path = tmp_path / "keys"
    path.write_text(
        "".join(
            f"{name} {hashlib.sha256(key.encode()).hexdigest()}{more}\n"
            for name, (key, more) in KEYS.items()
        )
    )
    statuses = {
        (None, INDEX): 401,
        (None, LOAD): 401,
        (None, UNLOAD): 401,
        ("stranger", UNLOAD): 401,
        ("known", INDEX): 200,
        ("known", LOAD): 403,
        ("known", UNLOAD): 403,
        ("secret", INDEX): 200,
        ("secret", UNLOAD): 200,
        ("secret", LOAD): 200,
    }
    settings = Settings(activation=("sigmoid",), api_keys_file=path)
    with serve(settings, [folder]) as client:
        for (key, path_asked), status in statuses.items():
            headers = {"Origin": "https://example.com"}
            if key:
                headers["Authorization"] = f"Bearer {key}"
            response = client.post(path_asked, headers=headers)
            assert response.status_code == status, (key, path_asked, response.text)
            if status != 200:
                error(response, status)
            if status == 401:
                assert response.headers["www-authenticate"] == "Bearer"
