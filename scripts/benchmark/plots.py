"""Plots of the figures, as SVG."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmark.figures import RATE, Figures, Key, cases, middle, ratio, servers
from benchmark.growth import FORMATS
from benchmark.programs import OURS, TUTORIAL
from benchmark.targets import W1_REQUIRED

# Okabe and Ito, "Color Universal Design", 2008: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")

STYLE: Any = {  # the names are too many for a type
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "svg.hashsalt": "benchmark",  # the same figures give the same file
}


def write_plots(figures: Figures, folder: Path) -> dict[str, Path]:
    """Draw what was measured.

    Returns:
        The files by what they show.
    """
    drawn: dict[str, Path] = {}
    with mpl.rc_context(STYLE):
        for workload, name, shown, draw in _PLOTS:
            if cases(figures, workload):
                figure = Figure(figsize=(8, 4.5), layout="constrained")
                draw(figures, figure.subplots())
                drawn[shown] = folder / f"{name}.svg"
                figure.savefig(drawn[shown], metadata={"Date": None})
    return drawn


def _w1(figures: Figures, axes: Axes) -> None:
    counts = cases(figures, "W1")
    names = sorted(set(servers(figures, "W1")) - {TUTORIAL}, key=_rank)
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        heights = [
            ratio(
                figures, Key("W1", count, name, RATE), Key("W1", count, TUTORIAL, RATE)
            )
            or 0.0
            for count in counts
        ]
        places = [place + (index + 0.5) * width - 0.4 for place in range(len(counts))]
        bars = axes.bar(places, heights, 0.9 * width, label=name, color=COLOURS[index])
        axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=7)
    for place, count in enumerate(counts):
        axes.hlines(
            W1_REQUIRED[int(count)],
            place - 0.4,
            place + 0.4,
            colors="black",
            linewidth=1,
            label="" if place else "required of ours",
        )
    axes.axhline(1, color="#666666", linewidth=0.8, linestyle="--", label=TUTORIAL)
    axes.set_xticks(range(len(counts)), counts)
    axes.set(
        title="One row: requests per second, in multiples of the tutorial's",
        xlabel="connections",
        ylabel="multiple of the tutorial",
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _elements(figures: Figures, axes: Axes) -> None:
    for index, (workload, name) in enumerate(FORMATS.items()):
        counts = cases(figures, workload)
        values = [
            1e9
            * (middle(figures, Key(workload, count, OURS, "seconds")) or 0.0)
            / int(count)
            for count in counts
        ]
        _line(axes, [int(count) for count in counts], values, name, index)
    axes.set(
        title="/sigmoid: time per element",
        xlabel="elements of the request",
        ylabel="nanoseconds per element",
    )


def _depth(figures: Figures, axes: Axes) -> None:
    def values(quantity: str) -> list[float]:
        keys = (Key("depth", depth, OURS, quantity) for depth in depths)
        return [middle(figures, key) or 0.0 for key in keys]

    depths = cases(figures, "depth")
    counts = values("multiplications")
    for index, (quantity, name) in enumerate(
        {"whole seconds": "whole request", "infer seconds": "inference"}.items()
    ):
        milliseconds = [1000 * value for value in values(quantity)]
        _line(axes, counts, milliseconds, name, index)
    axes.set_xticks(
        counts,
        [
            f"{depth}\n{count / 1e6:.0f} M"
            for depth, count in zip(depths, counts, strict=True)
        ],
    )
    axes.minorticks_off()
    # Powers of ten alone would name one height of the few that there are.
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(
        title="1024 rows: time by depth, DeepClassifier of 64 units",
        xlabel="hidden layers after the first; multiplications",
        ylabel="milliseconds",
    )


def _line(
    axes: Axes,
    places: list[float] | list[int],
    values: list[float],
    name: str,
    index: int,
) -> None:
    """Draw a line that is named at its right end."""
    colour = COLOURS[index]
    axes.loglog(places, values, marker="o", markersize=4, color=colour)
    axes.annotate(
        name,
        (places[-1], values[-1]),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        color=colour,
        fontweight="bold",
    )
    axes.grid(which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def _rank(name: str) -> tuple[bool, str]:
    return name != OURS, name


_PLOTS: tuple[tuple[str, str, str, Callable[[Figures, Axes], None]], ...] = (
    ("W1", "w1", "Requests per second by connections", _w1),
    ("growth JSON", "growth", "Time per element by elements", _elements),
    ("depth", "depth", "Time by depth", _depth),
)
