"""Heartbeats of the workers: which of them hang."""

from sigmoid_serve.process.heartbeat import (
    MAX_MISSED_BEATS,
    HeartbeatMonitor,
    new_heartbeats,
)


def test_which_worker_hangs() -> None:
    heartbeats = new_heartbeats(2)
    monitor = HeartbeatMonitor(heartbeats)
    for _ in range(3 * MAX_MISSED_BEATS):  # it has no first beat
        assert not monitor.hangs(1)
    for check in range(3 * MAX_MISSED_BEATS):
        heartbeats[1] += check % 2
        assert not monitor.hangs(1)
    checks = [monitor.hangs(1) for _ in range(MAX_MISSED_BEATS + 1)]
    assert checks == [False] * checks.index(True) + [True] * (
        len(checks) - checks.index(True)
    )
    assert checks.index(True) >= MAX_MISSED_BEATS - 1
    monitor.forget(1)
    assert not monitor.hangs(1)
    assert not monitor.hangs(0)
