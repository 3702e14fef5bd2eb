"""A request that needs more memory than there is: refused, and the others go on."""

import io
import re
import resource
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.running import TIMEOUT, counted, serving, until_ready

MIB = 2**20


def npy(elements: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.linspace(-5, 5, elements, dtype=np.float32))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "room"), [("/sigmoid", 16 * MIB), ("/predict", 96 * MIB)]
)
def test_out_of_memory(tmp_path: Path, path: str, room: int) -> None:
    headers = {"Content-Type": "application/x-npy", "Accept": "application/x-npy"}
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((400_000, 30), np.float32))
    large = npy(12_000_000) if path == "/sigmoid" else buffer.getvalue()
    with (
        serving(tmp_path / "log") as (process, address),
        httpx.Client(base_url=address, timeout=TIMEOUT) as client,
    ):
        until_ready(client)
        warm = client.post(path, content=npy(30), headers=headers)
        assert warm.status_code == 200
        status = Path(f"/proc/{process.pid}/status").read_text()
        size = int(re.findall(r"VmSize:\s+(\d+) kB", status)[0]) * 1024
        # The body has room in pieces, what is made of it has not.
        limit = size + room
        resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
        refused = client.post(path, content=large, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (503, "out_of_memory")
        for _ in range(3):
            assert client.post("/predict", json={"inputs": [0.5] * 30}).is_success
            assert client.post("/sigmoid", json={"inputs": [0.5]}).is_success
        assert client.get("/readyz").status_code == 200
        assert (
            counted(client, "sigmoid_requests_rejected_total", reason="out_of_memory")
            == 1
        )
        assert counted(client, "sigmoid_inflight_elements") == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
