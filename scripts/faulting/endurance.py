"""Half of what the server can do, for long: no error, and memory that does not grow."""

import asyncio
from collections.abc import Callable
from typing import Final

from benchmark.servers import resident_bytes
from faulting.bodies import LONG_ROWS, closing, predict
from faulting.findings import Finding
from faulting.growth import slope
from faulting.load import Tally, capacity, closed_loop, open_loop
from faulting.server import Server, referenced, sampled_memory, serving

_MIX: Final = 10
_MEASURING_SECONDS: Final = 5.0
_MEMORY_PERIOD: Final = 2.0
_CROWD: Final = 16
_CROWD_PAUSE: Final = 0.5
_ERRORS: Final = 2.0
_KIB, _MIB = 2**10, 2**20
# A page or two of an allocator are no leak; a leak of a few bytes a request is more.
_UNSEEN_BYTES: Final = _MIB


def soak(seconds: float, show: Callable[[float, str], None]) -> Finding:
    """Ask for long, at half the rate of a closed loop; one in ten requests is long.

    Args:
        seconds: How long.
        show: Tells the user how many seconds have passed, and what is going on.
    """
    with serving([]) as server:
        return asyncio.run(_soak(server, seconds, show))


async def _soak(
    server: Server, seconds: float, show: Callable[[float, str], None]
) -> Finding:
    port = server.port
    short, long = [
        await referenced(port, predict("digits", rows)) for rows in (1, LONG_ROWS)
    ]
    mix = [long, *(short,) * (_MIX - 1)]
    show(0, "the capacity")
    # A new connection for each request, as in the load.
    visits = [closing(task) for task in mix]
    most = await capacity(port, visits, 8, _MEASURING_SECONDS)
    visitors, crowd, stop = Tally(), Tally(), asyncio.Event()
    running = [
        asyncio.create_task(coroutine)
        for coroutine in (
            closed_loop(port, mix, _CROWD, stop, crowd, _CROWD_PAUSE),
            _shown(seconds, server, stop, show),
        )
    ]
    memory = asyncio.create_task(sampled_memory(server.pid, _MEMORY_PERIOD, stop))
    # The crowd's few requests are a part of the half.
    rate = most / 2 - _CROWD / _CROWD_PAUSE
    await open_loop(port, mix, rate, seconds, visitors)
    stop.set()
    await asyncio.gather(*running)
    finding = Finding("soak", visitors + crowd)
    samples = [(time, float(size)) for time, size in await memory]
    fit = slope(samples)
    tenths = samples[:: max(1, len(samples) // 10)]
    finding.note = (
        f"capacity {most:.0f}/s, one in {_MIX} of {LONG_ROWS} rows; offered "
        f"{finding.tally.offered / seconds:.0f}/s for {seconds / 60:g} min, up to "
        f"{1e3 * visitors.latest:.0f} ms late; MiB at each tenth: "
        + ", ".join(f"{size / _MIB:.1f}" for _, size in tenths)
    )
    finding.require_unharmed()
    per_minute, error = (60 / _KIB * value for value in (fit.per_second, fit.error))
    grown = fit.per_second * seconds
    finding.require(
        f"memory grows by no more than {_ERRORS:g} standard errors, or by 1 MiB in all",
        f"{per_minute:+.1f} KiB/min, standard error {error:.1f}",
        fit.per_second <= _ERRORS * fit.error or grown <= _UNSEEN_BYTES,
    )
    finding.require_no_surprise(server)
    return finding


async def _shown(
    seconds: float,
    server: Server,
    stop: asyncio.Event,
    show: Callable[[float, str], None],
) -> None:
    passed = 0.0
    while not stop.is_set() and passed < seconds:
        show(passed, f"{resident_bytes(server.pid) / _MIB:.1f} MiB")
        await asyncio.sleep(1)
        passed += 1
    show(seconds, "")
