"""Plots of the simulation, as SVG."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmark.plots import COLOURS, STYLE
from simulating import results
from simulating.experiments import REPLICAS

Document = Mapping[str, Any]

# Letters as text, not as curves, which would be most of a file.
_SMALL: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "svg.hashsalt": "sizing",
}


def write_plots(known: Document, folder: Path) -> dict[str, Path]:
    """Draw what was simulated.

    Returns:
        The files by what they show.
    """
    drawn: dict[str, Path] = {}
    kinds = known.get(results.SIMULATED, {}).get("kinds", {})
    with mpl.rc_context({**STYLE, **_SMALL}):
        for name, figures in kinds.items():
            for title, file, draw in _PLOTS:
                figure = Figure(figsize=(7, 3.6), layout="constrained")
                axes = figure.subplots()
                draw(figures, axes)
                shown = f"{figures['shown']}: {title}"
                axes.set_title(shown)
                axes.grid(which="major", color="#DDDDDD", linewidth=0.6)
                axes.set_axisbelow(True)
                drawn[shown] = folder / f"{name}-{file}.svg"
                figure.savefig(drawn[shown], metadata={"Date": None})
    return drawn


def _by_load(figures: Document, axes: Axes) -> None:
    for index, (balancing, by_count) in enumerate(figures["fleets"].items()):
        by_load = by_count["100"]
        places = [100 * float(load) for load in by_load]
        values = [1000 * cells["p99"] for cells in by_load.values()]
        axes.plot(places, values, marker=".", color=COLOURS[index], label=balancing)
    axes.set(xlabel="load, % of the capacity", ylabel="p99, ms", yscale="log")
    _number(axes.yaxis, (1, 2, 5))
    _explain(axes)


def _by_replicas(figures: Document, axes: Axes) -> None:
    for index, (balancing, by_count) in enumerate(figures["fleets"].items()):
        counts = [count for count in REPLICAS if by_count[str(count)]]
        values = [1000 * by_count[str(count)]["0.8"]["p99"] for count in counts]
        axes.plot(counts, values, marker=".", color=COLOURS[index], label=balancing)
    axes.set(xlabel="replicas", ylabel="p99, ms", xscale="log", yscale="log")
    _number(axes.xaxis, (1,))
    _number(axes.yaxis, (1, 2, 5))
    _explain(axes)


def _busy(figures: Document, axes: Axes) -> None:
    ways = {
        "all that has arrived": figures["fleets"]["random"]["1"],
        "one by one": figures["one by one"],
    }
    for index, (way, by_load) in enumerate(ways.items()):
        places = [100 * float(load) for load in by_load]
        values = [100 * cells["busy"] for cells in by_load.values()]
        axes.plot(places, values, marker=".", color=COLOURS[index], label=way)
    axes.set(xlabel="load, % of the capacity", ylabel="busy, % of a core")
    _explain(axes)


def _number(axis: Axis, digits: Sequence[float]) -> None:
    """Write numbers beside a logarithmic axis, those that begin with some digits."""
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def _explain(axes: Axes) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


_PLOTS: tuple[tuple[str, str, Callable[[Document, Axes], None]], ...] = (
    ("p99 of 100 replicas", "load", _by_load),
    ("p99 at 80 % load", "replicas", _by_replicas),
    ("what a core is busy with", "busy", _busy),
)
