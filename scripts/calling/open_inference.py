"""Clients of other servers that speak the Open Inference Protocol (V2) over HTTP."""

import json
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from numpy.typing import NDArray

from calling.environments import HERE, ClientError, python_environment, run

_ROWS: Final = ([0.5] * 64, [position / 64 for position in range(64)])
_OUTPUTS: Final[dict[str, Any]] = {
    "probabilities": np.float32,
    "logits": np.float32,
    "labels": str,
}


class KServeClient:
    """`InferenceRESTClient` of KServe's SDK.

    Args:
        cache: Folder for the environment, which is made once.
    """

    name = "kserve"

    def __init__(self, cache: Path) -> None:
        self._programs = python_environment(cache / "kserve", "kserve.txt")

    def call(self, url: str, key: str, folder: Path) -> None:
        """Call a server with it.

        Args:
            url: Of the server.
            key: That it asks for, or nothing.
            folder: Is the present one of the client.
        """
        script = str(HERE / "kserve_client.py")
        run([str(self._programs / "python"), script, url, key], folder=folder)


class MLServerClient:
    """MLServer's command line, `mlserver infer`.

    Args:
        cache: Folder for the environment, which is made once.
    """

    name = "mlserver infer"

    def __init__(self, cache: Path) -> None:
        self._programs = python_environment(cache / "mlserver", "mlserver.txt")

    def call(self, url: str, key: str, folder: Path) -> None:
        """Send files of requests, as JSON and as bytes, alone and several in one.

        Args:
            url: Of the server.
            key: That it asks for, or nothing.
            folder: For the files.
        """
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        wanted = httpx.post(
            f"{url}/models/digits/predict",
            json={"inputs": np.array(_ROWS, np.float32).tolist()},
            headers=headers,
        ).json()
        requests = [_request([row]) for row in _ROWS]
        for options in ([], ["--binary-data"], ["--batch-size", "2"]):
            answers = self._infer(url, key, folder, requests, options)
            _expect(len(answers) == len(requests), "an answer to each", answers)
            for answer in answers:
                position = answer["parameters"]["batch_index"]
                _expect("error" not in answer, "no error", answer)
                for output in answer["outputs"]:
                    name = output["name"]
                    got: NDArray[Any] = np.array(output["data"], _OUTPUTS[name])
                    want = np.ravel(wanted[name][position]).astype(got.dtype)
                    _expect(got.tolist() == want.tolist(), want, got)
        (answer,) = self._infer(url, key, folder, [_request([_ROWS[0][:63]])], [])
        _expect("64 features" in answer["error"]["msg"], "64 features", answer)
        if key:
            (answer,) = self._infer(url, "", folder, requests[:1], [])
            _expect("Authorization: Bearer" in answer["error"]["msg"], "a key", answer)

    def _infer(
        self,
        url: str,
        key: str,
        folder: Path,
        requests: list[dict[str, Any]],
        options: list[str],
    ) -> list[Any]:
        """Run the command; return its answers, in any order."""
        asked, answered = folder / "requests.jsonl", folder / "answers.jsonl"
        asked.write_text("".join(f"{json.dumps(request)}\n" for request in requests))
        command = [
            *(str(self._programs / "mlserver"), "infer", "--model-name", "digits"),
            *("--url", url.removeprefix("http://"), "--retries", "1", *options),
            *("--input-data-path", str(asked), "--output-data-path", str(answered)),
        ]
        if key:
            command += ["--request-headers", f"Authorization: Bearer {key}"]
        run(command, folder=folder)
        return [json.loads(line) for line in answered.read_text().splitlines()]


def _request(rows: list[list[float]]) -> dict[str, Any]:
    tensor = {
        "name": "inputs",
        "datatype": "FP32",
        "shape": [len(rows), len(rows[0])],
        "data": rows,
    }
    return {"inputs": [tensor], "outputs": [{"name": name} for name in _OUTPUTS]}


def _expect(is_so: bool, wanted: object, got: object) -> None:
    if not is_so:
        raise ClientError(f"expected {wanted}, got {str(got)[:500]}")
