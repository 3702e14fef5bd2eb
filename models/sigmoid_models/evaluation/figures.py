"""The figures of a report as SVG for a page that is light or dark; needs matplotlib.

Text stays text, and colours are variables of the page. No name of a class or a column
is drawn: matplotlib would read formulas into some.
"""

import io
import re
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sigmoid_models.evaluation.curves import MOST_CURVES, Curve, Reliability
from sigmoid_models.evaluation.losses import Losses

# Colours that are drawn with, each to be replaced by a variable of the page.
_INK: Final = "#010101"
_GRID: Final = "#020202"
_SERIES: Final = [f"#03030{index}" for index in range(MOST_CURVES)]
_VARIABLES: Final = {
    _INK: "var(--muted)",
    _GRID: "var(--line)",
    **{colour: f"var(--series-{index})" for index, colour in enumerate(_SERIES)},
}

# Matplotlib's own type has a name for each of its settings.
_LOOKS: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "lines.linewidth": 1.8,
}


def loss_figure(losses: Losses) -> str:
    """Draw the losses of each epoch, and a line at the epoch that was kept."""
    with mpl.rc_context({**_LOOKS, "svg.hashsalt": "loss"}):
        figure, axes = _axes("epoch", "loss (nats)")
        epochs = np.arange(1, len(losses.training) + 1)
        # A single epoch is a point, which no line shows.
        marker = "o" if len(epochs) == 1 else ""
        axes.plot(epochs, losses.training, color=_SERIES[0], marker=marker)
        axes.plot(epochs, losses.validation, color=_SERIES[1], marker=marker)
        axes.axvline(losses.kept, color=_INK, linewidth=1, linestyle=":")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_ylim(bottom=0)
        return _as_svg(figure)


def roc_figure(curves: Sequence[Curve]) -> str:
    """Draw ROC curves, and the diagonal of chance."""
    with mpl.rc_context({**_LOOKS, "svg.hashsalt": "roc"}):
        figure, axes = _axes("false-positive rate", "true-positive rate")
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=":")
        for curve, colour in zip(curves, _SERIES, strict=False):
            axes.plot(curve.x, curve.y, color=colour)
        _to_unit_square(axes)
        return _as_svg(figure)


def precision_figure(curves: Sequence[Curve], shares: Sequence[float]) -> str:
    """Draw precision over recall, and the precision of chance for a single class."""
    with mpl.rc_context({**_LOOKS, "svg.hashsalt": "precision"}):
        figure, axes = _axes("recall", "precision")
        if len(curves) == 1:
            axes.axhline(shares[0], color=_INK, linewidth=1, linestyle=":")
        for curve, colour in zip(curves, _SERIES, strict=False):
            axes.plot(curve.x, curve.y, color=colour, drawstyle="steps-post")
        _to_unit_square(axes)
        return _as_svg(figure)


def reliability_figure(reliability: Reliability) -> str:
    """Draw what came true over what was said; larger dots stand for more rows."""
    with mpl.rc_context({**_LOOKS, "svg.hashsalt": "reliability"}):
        figure, axes = _axes("probability said", "share that came true")
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=":")
        axes.plot(reliability.said, reliability.true, color=_SERIES[0], linewidth=1)
        sizes = 12 + 88 * reliability.rows / reliability.rows.max()
        axes.scatter(
            reliability.said, reliability.true, s=sizes, color=_SERIES[0], zorder=3
        )
        _to_unit_square(axes)
        return _as_svg(figure)


def _axes(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.4, 3.3), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.tick_params(length=0)
    return figure, axes


def _to_unit_square(axes: Axes) -> None:
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))


def _as_svg(figure: Figure) -> str:
    """Write a figure as an element of a page: no head, fixed size, font or name."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r"<svg \1>", text, count=1)
    # All figures of a page would have the same names for their groups.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"font-family: [^;\"]*; ", "", text)
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text
