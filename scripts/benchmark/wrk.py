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
# Of the request, wrk asks once, before it connects; it would itself write no chunks.
_SCRIPT = """
wrk.format = function()
  local file = assert(io.open({message}, "rb"))
  local message = file:read("*a")
  file:close()
  return message
end
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
        requests: How many were answered.
        rate: Requests per second.
        p50: Median latency in milliseconds.
        p99: 99th percentile of the latency in milliseconds.
    """

    requests: int
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
        message, script = Path(folder, "message"), Path(folder, "script.lua")
        message.write_bytes(request.message())
        text = _SCRIPT.format(message=json.dumps(str(message)))
        script.write_text(text, encoding="utf-8")
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
        requests=counted["requests"],
        rate=1e6 * counted["requests"] / counted["microseconds"],
        p50=counted["p50"] / 1000,
        p99=counted["p99"] / 1000,
    )
