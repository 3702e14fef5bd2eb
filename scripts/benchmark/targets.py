"""What must hold, and whether it does."""

from benchmark.figures import RATE, Figures, Key, middle, ratio, servers
from benchmark.growth import DEPTHS, FORMATS, THREADS
from benchmark.liveness import DIFFERENCE
from benchmark.networks.targets import large_targets
from benchmark.open_inference.targets import v2_targets
from benchmark.programs import EMPTY, OURS, TUTORIAL
from benchmark.single import FLOOR, SUM
from benchmark.target import Target
from benchmark.throughput import (
    PINNED,
    STARTED,
    TUTORIAL_STARTED,
    TWO_WORKERS,
    W1_CONNECTIONS,
)

AS_STARTED_REQUIRED = {"W1": 4.8, "W2": 27, "W4": 1.8}
W1_REQUIRED = {1: 1.8, 8: 3.0, 31: 4.0, 32: 4.8, 64: 4.5, 256: 4.5}


def measured_targets(figures: Figures) -> list[Target]:
    """List the targets of all workloads that were measured."""
    every = [
        *_throughput(figures),
        *_started(figures),
        *_w3(figures),
        *_process(figures),
        *_growth(figures),
        _depth(figures),
        *large_targets(figures),
        *v2_targets(figures),
    ]
    return [target for target in every if target.measured is not None]


def _throughput(figures: Figures) -> list[Target]:
    def w1(case: int, server: str) -> Key:
        return Key("W1", str(case), server, RATE)

    def rows(workload: str, case: str, server: str, quantity: str) -> Key:
        return Key(workload, case, server, quantity)

    targets = [
        Target(
            f"W1, {count} connections: requests/s, ours ÷ tutorial",
            "≥",
            bound,
            "",
            ratio(figures, w1(count, OURS), w1(count, TUTORIAL)),
        )
        for count, bound in W1_REQUIRED.items()
    ]
    empty = ratio(figures, w1(32, OURS), w1(32, EMPTY))
    targets.append(
        Target("W1, 32 connections: requests/s, ours ÷ empty", "≥", 0.5, "", empty)
    )
    for peer in servers(figures, "W1"):
        if peer.startswith("mosec"):
            quotients = [
                ratio(figures, w1(count, OURS), w1(count, peer)) or 0.0
                for count in W1_CONNECTIONS
            ]
            name = f"W1, each number of connections: requests/s, ours ÷ {peer}"
            targets.append(Target(name, ">", 1.0, "", min(quotients)))
    w2 = ratio(figures, rows("W2", "4", OURS, RATE), rows("W2", "4", TUTORIAL, RATE))
    targets.append(Target("W2: requests/s, ours ÷ tutorial", "≥", 27, "", w2))
    w4 = ratio(
        figures, rows("W4", "1", OURS, "p50 ms"), rows("W4", "1", TUTORIAL, "p50 ms")
    )
    targets.append(Target("W4: median latency, ours ÷ tutorial", "≤", 0.5, "", w4))
    return targets


def _started(figures: Figures) -> list[Target]:
    def key(workload: str, case: int, server: str, quantity: str = RATE) -> Key:
        return Key(f"{workload} as started", str(case), server, quantity)

    targets = []
    for workload, case in (("W1", 32), ("W2", 4), ("W4", 1)):
        started, pinned, two = (
            key(workload, case, server) for server in (STARTED, PINNED, TWO_WORKERS)
        )
        rates = f"{workload} as started: requests/s"
        both = ratio(figures, started, pinned)
        targets.append(Target(f"{rates}, ours ÷ pinned", "≥", 0.9, "", both))
        if workload != "W4":
            more = ratio(figures, two, started)
            name = f"{rates}, 2 workers ÷ 1, the load on the same 2 cores"
            targets.append(Target(name, "≥", 1.5, "", more))
        tutorial = ratio(figures, started, key(workload, case, TUTORIAL_STARTED))
        bound = AS_STARTED_REQUIRED[workload]
        targets.append(Target(f"{rates}, ours ÷ tutorial", "≥", bound, "", tutorial))
    one, all_cores = (
        Key("threads", str(count), OURS, "whole seconds") for count in THREADS
    )
    name = "4096 rows to a large network: seconds, 1 thread ÷ 2 threads"
    return [*targets, Target(name, "≥", 1.3, "", ratio(figures, one, all_cores))]


def _w3(figures: Figures) -> list[Target]:
    json_ours, json_tutorial, floor = (
        Key("W3 JSON", "", server, "seconds") for server in (OURS, TUTORIAL, FLOOR)
    )
    npy_ours, together = (
        Key("W3 npy", "", server, "seconds") for server in (OURS, SUM)
    )
    return [
        Target(
            "W3 JSON: seconds, tutorial ÷ ours",
            "≥",
            20,
            "",
            ratio(figures, json_tutorial, json_ours),
        ),
        Target(
            "W3 JSON: seconds, ours ÷ floor in process",
            "≤",
            1.5,
            "",
            ratio(figures, json_ours, floor),
        ),
        Target(
            "W3 npy: seconds, ours ÷ (sigmoid in process + echo)",
            "≤",
            1.5,
            "",
            ratio(figures, npy_ours, together),
        ),
        Target(
            "W3: seconds, tutorial's JSON ÷ our npy",
            "≥",
            100,
            "",
            ratio(figures, json_tutorial, npy_ours),
        ),
    ]


def _process(figures: Figures) -> list[Target]:
    def key(workload: str, server: str, quantity: str) -> Key:
        return Key(workload, "", server, quantity)

    def against_tutorial(workload: str, quantity: str) -> float | None:
        return ratio(
            figures, key(workload, OURS, quantity), key(workload, TUTORIAL, quantity)
        )

    peak = ratio(
        figures,
        key("memory", OURS, "peak above idle bytes"),
        key("memory", OURS, "bound bytes"),
    )
    idle = against_tutorial("memory", "idle bytes")
    used = against_tutorial("memory", "bytes after a request")
    start = against_tutorial("start", "seconds")
    livez = middle(figures, key("livez", DIFFERENCE, "p99 seconds"))
    return [
        Target("memory of W3 JSON above idle ÷ bound", "≤", 1.0, "", peak),
        Target("idle memory, ours ÷ tutorial", "≤", 1.1, "", idle),
        Target("memory after one request, ours ÷ tutorial", "≤", 1.1, "", used),
        Target("start, ours ÷ tutorial", "≤", 1.3, "", start),
        Target(
            "/livez under load: p99, ours − empty",
            "≤",
            50,
            " ms",
            None if livez is None else 1000 * livez,
        ),
    ]


def _growth(figures: Figures) -> list[Target]:
    targets = []
    for workload, name in FORMATS.items():
        large, small = (
            Key(workload, str(10**power), OURS, "seconds") for power in (7, 4)
        )
        quotient = ratio(figures, large, small)
        targets.append(
            Target(
                f"/sigmoid, {name}: seconds per element, 10⁷ ÷ 10⁴ elements",
                "≤",
                1.5,
                "",
                None if quotient is None else quotient / 10**3,
            )
        )
    return targets


def _depth(figures: Figures) -> Target:
    def per_multiplication(depth: int) -> float | None:
        seconds, multiplications = (
            Key("depth", str(depth), OURS, quantity)
            for quantity in ("infer seconds", "multiplications")
        )
        return ratio(figures, seconds, multiplications)

    shallow, deep = per_multiplication(DEPTHS[0]), per_multiplication(DEPTHS[-1])
    name = (
        f"infer seconds per multiplication, {DEPTHS[-1]} ÷ {DEPTHS[0]} hidden layers "
        "after the first"
    )
    return Target(name, "≤", 1.5, "", deep / shallow if deep and shallow else None)
