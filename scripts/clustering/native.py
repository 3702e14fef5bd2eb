"""Ray beside the native server: under a prefix, with keys, with long bodies."""

import socket
from typing import Final

import httpx
import numpy as np

from benchmark.client import JSON, Request
from benchmark.payloads import json_request
from clustering.cluster import config
from clustering.scene import Scene, npy_request
from faulting.findings import Finding
from faulting.load import Tally
from fuzzing.api import running_server
from sigmoid_serve.client import Client
from sigmoid_serve.http.authentication import new_key

_PREFIX: Final = "/models-api"
_MODEL: Final = "breast-cancer"
_FEATURES: Final = 30
_NUMBERS: Final = 900_000  # about 10 MB of JSON
_ROWS: Final = 5_000
_LEAVERS: Final = 20


def compare(scene: Scene) -> Finding:
    """Ask both servers the same, with a key that both know."""
    scene.show("http: a prefix, keys, long bodies")
    key, line = new_key("client", is_admin=False)
    keys = scene.folder / "keys.txt"
    keys.write_text(f"{line}\n")
    scene.cluster.deploy(
        config(scene.replicas, {}, {"api_keys_file": keys}, prefix=_PREFIX)
    )
    url = scene.cluster.url + _PREFIX
    found = Finding("beside the native server", Tally())
    with running_server(scene.folder, SIGMOID_API_KEYS_FILE=str(keys)) as native:
        _compare_bytes(found, native, url, key)
    for path, wanted in (("/models", 401), ("/readyz", 200)):
        status = httpx.get(url + path).status_code
        found.require(f"{path} without a key: {wanted}", status, status == wanted)
    with Client(url, key=key, model=_MODEL) as client:
        shape = client.predict(np.zeros((3, _FEATURES))).logits.shape
    found.require("the Python client under a prefix", shape, shape[0] == 3)
    _leave(scene.cluster.port, key)
    status = httpx.get(f"{url}/readyz").status_code
    told = f"{_LEAVERS} left; /readyz is {status}"
    found.require("clients that go away disturb nothing", told, status == 200)
    return found


def _requests() -> list[Request]:
    generator = np.random.default_rng(0)
    numbers, rows = (
        generator.normal(size=shape).astype(np.float32)
        for shape in ((_NUMBERS,), (_ROWS, _FEATURES))
    )
    predict = f"/models/{_MODEL}/predict"
    return [
        json_request("/sigmoid", numbers),
        npy_request("/sigmoid", _NUMBERS),
        json_request(predict, rows),
        npy_request(predict, _ROWS, _FEATURES),
        Request("POST", predict, b"{", (("Content-Type", JSON),)),
    ]


def _compare_bytes(found: Finding, native: str, url: str, key: str) -> None:
    key_header = {"Authorization": f"Bearer {key}", "X-Request-ID": "compared"}
    with httpx.Client(headers=key_header, timeout=120) as client:
        for asked in _requests():
            direct, by_ray = (
                client.post(
                    each + asked.path, content=asked.body, headers=[*asked.headers]
                )
                for each in (native, url)
            )
            name = f"{asked.path}, {dict(asked.headers)['Content-Type']}"
            told = f"{by_ray.status_code}, {len(by_ray.content):,} bytes"
            found.tally.offered += 1
            same = direct.content == by_ray.content
            found.tally.right += same
            found.require(
                f"{name}, {len(asked.body):,} bytes: the native server's bytes",
                told,
                same and direct.status_code == by_ray.status_code,
            )


def _leave(port: int, key: str) -> None:
    """Go away in the midst of requests, and before their answers."""
    asked = json_request(f"{_PREFIX}/sigmoid", np.zeros(_NUMBERS, np.float32))
    headers = (*asked.headers, ("Authorization", f"Bearer {key}"))
    message = Request("POST", asked.path, asked.body, headers).message()
    for number in range(_LEAVERS):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(message[: len(message) // (1 + number % 2)])
