"""Runs the load generator wrk and reads what it counted."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmark import BenchmarkError
from benchmark.client import Request
from benchmark.servers import CLIENT_CORE, core_list

# wrk counts an answer that takes longer as a failure. Among 256 connections, one may be
# starved for seconds on a shared machine, whatever serves it.
_PATIENCE_SECONDS: Final = 10

# Latencies come in microseconds: https://github.com/wg/wrk/blob/master/SCRIPTING
_SCRIPT = """
local file = assert(io.open({body}, "rb"))
wrk.method = {method}
wrk.body = file:read("*a")
file:close()
{headers}
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\\nRESULT {{"requests":%d,"microseconds":%d,"p50":%f,"p99":%f,"errors":%d}}\\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """What one pass came to.

    Attributes:
        rate: Requests per second.
        p50: Median latency in milliseconds.
        p99: 99th percentile of the latency in milliseconds.
    """

    rate: float
    p50: float
    p99: float


def require_wrk() -> None:
    """End where wrk is not installed."""
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is not installed: apt-get install wrk")


def run(
    port: int,
    request: Request,
    connections: int,
    seconds: int,
    cores: Iterable[int] = (CLIENT_CORE,),
) -> Load:
    """Repeat a request on many connections, one thread, for some seconds.

    Args:
        port: Of the server.
        request: To be repeated.
        connections: That ask at once.
        seconds: How long.
        cores: That wrk may use.

    Raises:
        BenchmarkError: Any request failed: on the socket, or with another status.
    """
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "script.lua")
        body.write_bytes(request.body)
        headers = [
            f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}"
            for name, value in request.headers
        ]
        script.write_text(
            _SCRIPT.format(
                body=json.dumps(str(body)),
                method=json.dumps(request.method),
                headers="\n".join(headers),
            ),
            encoding="utf-8",
        )
        pinned = ["taskset", "-c", core_list(cores), "wrk"]
        options = ["-t1", f"-c{connections}", f"-d{seconds}s"]
        options += ["--timeout", f"{_PATIENCE_SECONDS}s", "-s", str(script)]
        url = f"http://127.0.0.1:{port}{request.path}"
        result = subprocess.run(
            [*pinned, *options, "--latency", url],
            capture_output=True,
            text=True,
            check=False,
        )
    _, marked, line = result.stdout.partition("\nRESULT ")
    if result.returncode or not marked:
        raise BenchmarkError(f"wrk failed: {(result.stderr or result.stdout)[-500:]}")
    counted = json.loads(line)
    if counted["errors"] or not counted["requests"]:
        raise BenchmarkError(
            f"{counted['errors']} of {counted['requests']} requests to {request.path} "
            f"failed at {connections} connections"
        )
    return Load(
        rate=1e6 * counted["requests"] / counted["microseconds"],
        p50=counted["p50"] / 1000,
        p99=counted["p99"] / 1000,
    )
