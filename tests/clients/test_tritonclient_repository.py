"""Triton's client loads and unloads models, and counts; with several workers too."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.http.authentication import new_key
from tests.clients.triton import KINDS, drawn, natively, opened, tensor
from tests.conftest import serve
from tests.process.test_workers import until
from tests.running import serving, until_ready

ROW = drawn((1, 64), "FP32")
TIMES = 8
"""Connections after which each of two workers has answered, in all likelihood."""


class Service:
    """A service of two workers with keys: its address, an admin's key and a user's."""

    def __init__(self, address: str, admin: str, user: str) -> None:
        self.address = address
        self.admin = {"Authorization": f"Bearer {admin}"}
        self.user = {"Authorization": f"Bearer {user}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    keys = [new_key(name, is_admin=name == "admin") for name in ("admin", "user")]
    path = folder / "keys.txt"
    path.write_text("".join(f"{line}\n" for _, line in keys))
    log = folder / "log"
    variables = {"SIGMOID_WORKERS": "2", "SIGMOID_API_KEYS_FILE": str(path)}
    with serving(log, **variables) as (_, address):
        with httpx.Client(base_url=address) as client:
            until_ready(client)
        until(lambda: log.read_text().count("Started server process") == 2)
        yield Service(address, *(key for key, _ in keys))


def states(triton: Any, service: Service) -> dict[str, tuple[str, str]]:
    index = triton.get_model_repository_index(headers=dict(service.user))
    return {entry["name"]: (entry["state"], entry["reason"]) for entry in index}


def everywhere(kind: str, service: Service, call: Callable[[Any], Any]) -> list[Any]:
    """Call on new connections, so that all workers are asked."""
    found = []
    for _ in range(TIMES):
        with opened(kind, service.address) as triton:
            found.append(call(triton))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_models_go_and_come_back(kind: str, service: Service) -> None:
    ready = ("READY", "")
    all_ready = {"breast-cancer": ready, "digits": ready, "sigmoid": ready}

    def infer(triton: Any) -> Any:
        headers = dict(service.user)
        answer = triton.infer("digits", [tensor(ROW)], headers=headers)
        return answer.as_numpy("probabilities").tobytes()

    def refused(triton: Any) -> str:
        with pytest.raises(InferenceServerException) as caught:
            infer(triton)
        return f"{caught.value.status()} {caught.value.message()}"

    def is_ready(triton: Any) -> bool:
        return bool(triton.is_model_ready("digits", headers=dict(service.user)))

    with opened(kind, service.address) as triton:
        assert states(triton, service) == all_ready
        before = infer(triton)
        triton.unload_model("digits", headers=dict(service.admin))
        assert states(triton, service) == {
            **all_ready,
            "digits": ("UNAVAILABLE", "unloaded"),
        }
        for text in everywhere(kind, service, refused):
            assert text.startswith("503 ")
            assert "unloaded" in text
            assert "/v2/repository/models/digits/load" in text
        assert not any(everywhere(kind, service, is_ready))
        assert triton.is_server_ready() is True
        # Again it is no error.
        triton.unload_model("digits", headers=dict(service.admin))
        triton.load_model("digits", headers=dict(service.admin))
        assert states(triton, service) == all_ready
        assert set(everywhere(kind, service, infer)) == {before}
        assert all(everywhere(kind, service, is_ready))
        # It is read anew.
        triton.load_model("digits", headers=dict(service.admin))
        assert infer(triton) == before


def counted(triton: Any, service: Service, *model: str) -> dict[str, Any]:
    headers = dict(service.user)
    (statistics,) = triton.get_inference_statistics(*model, headers=headers)[
        "model_stats"
    ]
    assert isinstance(statistics, dict)
    return statistics


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_are_those_of_all_workers(kind: str, service: Service) -> None:
    with opened(kind, service.address) as triton:
        headers = dict(service.user)
        everything = triton.get_inference_statistics(headers=headers)["model_stats"]
        assert [(s["name"], s["version"]) for s in everything] == [
            *(("breast-cancer", "1"), ("digits", "1"), ("sigmoid", "1"))
        ]
        rows = np.repeat(ROW, 5, axis=0)
        for model, values in (("digits", rows), ("sigmoid", rows)):
            before = counted(triton, service, model)
            wrong = tensor(values[:, :-1], name="x")

            def infer(asking: Any, model: str = model, wrong: Any = wrong) -> None:
                asking.infer(model, [tensor(rows)], headers=dict(headers))
                with pytest.raises(InferenceServerException):
                    asking.infer(model, [wrong], headers=dict(headers))

            everywhere(kind, service, infer)
            after = counted(triton, service, model, "1")
            for name, count in (("success", TIMES), ("fail", TIMES)):
                old, new = (s["inference_stats"][name] for s in (before, after))
                assert new["count"] - old["count"] == count, (model, name)
                assert new["ns"] > old["ns"]
            assert after["execution_count"] > before["execution_count"]
            assert after["last_inference"] > before["last_inference"]
        more = counted(triton, service, "digits")["inference_count"]
        path = f"{service.address}/models/digits/predict"
        with httpx.Client(headers=service.user) as client:
            natively(client, path, rows)
        assert counted(triton, service, "digits")["inference_count"] == more + 5


@pytest.mark.parametrize("kind", KINDS)
def test_pages_cannot_change_what_is_served(kind: str) -> None:
    """Where there are no keys, everyone may but pages of browsers."""
    with serve(Settings()) as server, opened(kind, server.base_url) as triton:
        triton.unload_model("digits")
        page = {"Origin": "http://pages.example"}
        with pytest.raises(InferenceServerException, match="Origin") as caught:
            triton.load_model("digits", headers=page)
        assert caught.value.status() == "403"
        assert triton.is_model_ready("digits") is False
        triton.load_model("digits")
        assert triton.is_model_ready("digits") is True


def test_a_server_that_stops(tmp_path: Path) -> None:
    """It is not ready, but answers as before while it drains; then nobody is there."""
    long = {"SIGMOID_DRAIN_SECONDS": "50", "SIGMOID_SHUTDOWN_SECONDS": "60"}
    with serving(tmp_path / "log", **long) as (process, address):
        for kind in KINDS:
            with opened(kind, address) as triton:
                assert triton.is_server_ready() is True
        process.terminate()
        for kind in KINDS:
            with opened(kind, address) as triton:
                until(lambda: triton.is_server_ready() is False)
                assert triton.is_server_live() is True
                assert triton.infer("digits", [tensor(ROW)]).as_numpy("logits").size
                with pytest.raises(InferenceServerException) as caught:
                    triton.load_model("digits")
                assert caught.value.status() == "503"
                assert "shutting down" in caught.value.message()
        process.terminate()
        process.wait()
        for kind in KINDS:
            with (
                opened(kind, address) as triton,
                pytest.raises(OSError, match=r"[Cc]onnect"),
            ):
                triton.infer("digits", [tensor(ROW)])
