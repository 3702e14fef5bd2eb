"""What Triton's client raises: an exception that says what was wrong.

It is `InferenceServerException`, whose message is what `{"error": …}` holds.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.http import InferRequestedOutput
from tritonclient.utils import InferenceServerException

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.http.authentication import new_key
from tests.admission.test_queue import serving
from tests.clients.triton import KINDS, asked, opened, tensor
from tests.conftest import serve

MODEL = "breast-cancer"
ROW = np.full((1, 30), 0.5, np.float32)
NAN = np.where(np.arange(30) == 4, np.nan, ROW)

# Neither Python's nor a router's words, which tell a person nothing.
FOREIGN = ("an exception occurred in the client", "Traceback", "detail", "<html")


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    with serve(
        Settings(max_body_bytes=20_000, max_inflated_bytes=40_000, max_elements=5000)
    ) as client:
        yield client


@pytest.fixture(scope="module", params=KINDS)
def triton(server: httpx.Client, request: pytest.FixtureRequest) -> Iterator[Any]:
    with opened(request.param, server.base_url) as client:
        yield client


def message(call: Callable[[], Any]) -> tuple[int, str]:
    """Return status and message of what a call raises."""
    with pytest.raises(InferenceServerException) as caught:
        call()
    text = caught.value.message()
    assert isinstance(text, str)
    assert 10 < len(text) < 1000
    assert not any(word in text for word in FOREIGN), text
    return int(caught.value.status()), text


def reshaped(shape: list[int], *, is_binary: bool = True) -> Any:
    """Make a tensor whose shape is not that of its numbers."""
    return tensor(ROW, is_binary=is_binary).set_shape(shape)


def shared() -> Any:
    return tensor(ROW).set_shared_memory("region", 120)


def shared_output() -> Any:
    output = InferRequestedOutput("logits")
    output.set_shared_memory("region", 4)
    return output


def call_infer(inputs: Any, model: str = MODEL, **options: Any) -> Any:
    return lambda triton: triton.infer(model, [inputs], **options)


# What is asked, the status, and words of the message.
CASES: dict[str, tuple[Callable[[Any], Any], int, tuple[str, ...]]] = {
    "model": (call_infer(tensor(ROW), "none"), 404, ("no model", "none")),
    "version": (
        call_infer(tensor(ROW), model_version="9"),
        404,
        ("no version", "9", MODEL),
    ),
    "metadata": (
        lambda triton: triton.get_model_metadata("none"),
        404,
        ("no model", "none"),
    ),
    "configuration": (
        lambda triton: triton.get_model_config("none"),
        404,
        ("no model", "none"),
    ),
    "statistics": (
        lambda triton: triton.get_inference_statistics("none"),
        404,
        ("no model", "none"),
    ),
    "statistics of a version": (
        lambda triton: triton.get_inference_statistics(MODEL, "9"),
        404,
        ("no version", "9"),
    ),
    "input": (call_infer(tensor(ROW, name="x")), 400, ("inputs", "x")),
    "two inputs": (
        lambda triton: triton.infer(MODEL, [tensor(ROW), tensor(ROW, name="y")]),
        400,
        ("one", "inputs"),
    ),
    "no input": (lambda triton: triton.infer(MODEL, []), 400, ("one", "inputs")),
    "output": (
        call_infer(tensor(ROW), outputs=asked("scores")),
        400,
        ("probabilities", "logits", "labels", "scores"),
    ),
    "output twice": (
        call_infer(tensor(ROW), outputs=asked("logits", "logits")),
        400,
        ("logits", "once"),
    ),
    "bytes": (call_infer(tensor(np.full((1, 30), b"a"))), 400, ("FP32", "BYTES")),
    "booleans": (
        call_infer(tensor(np.ones((1, 30), bool), is_binary=False)),
        400,
        ("FP32", "BOOL"),
    ),
    "bytes that are missing": (call_infer(reshaped([2, 30])), 400, ("240", "120")),
    "numbers that are missing": (
        call_infer(reshaped([2, 30], is_binary=False)),
        400,
        ("60", "30", "/inputs/0"),
    ),
    "a negative shape": (call_infer(reshaped([-1, 30])), 400, ("shape", "-1")),
    "features": (
        call_infer(tensor(ROW[:, :29])),
        400,
        ("30 features", "29"),
    ),
    "no features": (call_infer(tensor(np.array(0.5))), 400, ("30 features",)),
    "nan": (call_infer(tensor(NAN)), 400, ("finite", "/inputs/0")),
    "nan as text": (call_infer(tensor(NAN, is_binary=False)), 400, ("NaN",)),
    "shared memory": (call_infer(shared()), 400, ("shared memory",)),
    "shared memory of an output": (
        call_infer(tensor(ROW), outputs=[shared_output()]),
        400,
        ("shared memory",),
    ),
    "a region of shared memory": (
        lambda triton: triton.register_system_shared_memory("region", "/region", 9),
        404,
        ("/v2/systemsharedmemory/region/region/register",),
    ),
    "a sequence": (
        call_infer(tensor(ROW), sequence_id=7, sequence_start=True),
        400,
        ("sequence",),
    ),
    "a timeout that is over": (
        call_infer(tensor(ROW), timeout=1),
        504,
        ("waited", "parameters.timeout"),
    ),
    "a timeout that is none": (
        call_infer(tensor(ROW), timeout="soon"),
        400,
        ("timeout", "microseconds"),
    ),
    "a parameter": (
        call_infer(tensor(ROW), parameters={"note": [1]}),
        400,
        ("note", "string"),
    ),
    "a body that is too long": (
        call_infer(tensor(np.ones((200, 30), np.float32))),
        413,
        ("20000 bytes", "SIGMOID_MAX_BODY_BYTES"),
    ),
    "a body that inflates": (
        call_infer(
            tensor(np.ones((400, 30), np.float32)), request_compression_algorithm="gzip"
        ),
        413,
        ("40000 bytes", "SIGMOID_MAX_INFLATED_BYTES"),
    ),
    "elements": (
        call_infer(tensor(np.ones((6000,), np.int8)), "sigmoid"),
        413,
        ("5000", "SIGMOID_MAX_ELEMENTS"),
    ),
    "classes": (
        call_infer(
            tensor(ROW), outputs=[InferRequestedOutput("labels", class_count=2)]
        ),
        400,
        ("classification", "labels"),
    ),
    "loading a stranger": (
        lambda triton: triton.load_model("none"),
        404,
        ("no model", "none"),
    ),
    "loading with a configuration": (
        lambda triton: triton.load_model(MODEL, config="{}"),
        400,
        ("config",),
    ),
    "loading with files": (
        lambda triton: triton.load_model(
            MODEL, config="{}", files={"file:1/model.pt": b"x"}
        ),
        400,
        ("config",),
    ),
    "loading the sigmoid": (
        lambda triton: triton.load_model("sigmoid"),
        400,
        ("sigmoid",),
    ),
    "unloading the sigmoid": (
        lambda triton: triton.unload_model("sigmoid"),
        400,
        ("sigmoid",),
    ),
    "logging": (lambda triton: triton.get_log_settings(), 404, ("/v2/logging",)),
    "tracing": (
        lambda triton: triton.update_trace_settings(settings={"trace_rate": "1"}),
        404,
        ("/v2/trace/setting",),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_errors(triton: Any, case: str) -> None:
    call, status, words = CASES[case]
    got, text = message(lambda: call(triton))
    assert got == status, text
    assert not [word for word in words if word not in text], text


@pytest.mark.parametrize("kind", KINDS)
def test_keys(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "keys.txt"
    key, line = new_key("user", is_admin=False)
    path.write_text(f"{line}\n")
    bearer = {"Authorization": f"Bearer {key}"}
    calls: dict[str, Callable[..., Any]] = {}
    with (
        serve(Settings(api_keys_file=path)) as server,
        opened(kind, server.base_url) as triton,
    ):
        calls = {
            "server": triton.get_server_metadata,
            "index": triton.get_model_repository_index,
            "statistics": triton.get_inference_statistics,
            "model": lambda **options: triton.get_model_metadata(MODEL, **options),
            "configuration": lambda **options: triton.get_model_config(
                MODEL, **options
            ),
            "infer": lambda **options: triton.infer(MODEL, [tensor(ROW)], **options),
        }
        for call in calls.values():
            status, text = message(call)
            assert status == 401
            assert "Authorization: Bearer" in text
            wrong = {"Authorization": "Bearer wrong"}
            assert message(lambda: call(headers=dict(wrong)))[0] == 401  # noqa: B023
            call(headers=dict(bearer))
        # Kubernetes has no key.
        assert triton.is_server_live() is True
        assert triton.is_server_ready() is True
        for change in (triton.load_model, triton.unload_model):
            assert message(lambda: change(MODEL))[0] == 401  # noqa: B023
            status, text = message(
                lambda: change(MODEL, headers=dict(bearer))  # noqa: B023
            )
            assert status == 403
            assert "admin" in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_queue(kind: str) -> None:
    settings = Settings(max_elements=100, max_queue_elements=200)
    with (
        serving(settings, taken=200) as served,
        opened(kind, served.client.base_url) as triton,
    ):
        status, text = message(lambda: triton.infer(MODEL, [tensor(ROW)]))
        assert status == 429
        assert "queue is full" in text
        assert "ask again in" in text


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_model_stays(kind: str) -> None:
    with serve(Settings()) as server, opened(kind, server.base_url) as triton:
        triton.unload_model("digits")
        status, text = message(lambda: triton.unload_model(MODEL))
        assert status == 400
        assert MODEL in text
        assert "last" in text
        assert triton.is_model_ready(MODEL) is True
