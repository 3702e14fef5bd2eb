"""A report as one page of HTML that asks for nothing else; needs matplotlib.

Names of columns, classes and files are escaped wherever they stand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from sigmoid_models.evaluation.curves import Curve, curves_of
from sigmoid_models.evaluation.evaluation import Evaluation
from sigmoid_models.evaluation.figures import (
    loss_figure,
    precision_figure,
    reliability_figure,
    roc_figure,
)
from sigmoid_models.evaluation.losses import Losses
from sigmoid_models.evaluation.names import MEASURES
from sigmoid_models.evaluation.style import STYLE

_TILES: Final = ("accuracy", "balanced_accuracy", "average_precision", "roc_auc")
_MATRIX_CLASSES: Final = 20
_MOST_CLASSES: Final = 200
_MOST_MISTAKES: Final = 20


@dataclass(frozen=True)
class Report:
    """What a page shows.

    Attributes:
        title: Of the page: the model.
        subtitle: What it was measured on.
        evaluation: How good it is.
        losses: Of its training, where that was now.
        facts: Of the model and its training, by name.
        notes: On the data; a sentence each.
    """

    title: str
    subtitle: str
    evaluation: Evaluation
    losses: Losses | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def page(report: Report) -> str:
    """Write the page."""
    evaluation = report.evaluation
    parts = [
        f'<p class="muted small">sigmoid-serve</p><h1>{escape(report.title)}</h1>',
        f'<p class="muted">{escape(report.subtitle)}</p>',
        _sentences("Read this first", evaluation.warnings, "warnings"),
        _tiles(evaluation),
        _measures(evaluation),
        _curves(report),
        _confusions(evaluation),
        _classes(evaluation),
        _facts(report.facts),
        _notes(report.notes),
        "<footer>Made by sigmoid-serve. This page needs no network and runs no "
        "script.</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>{chr(10).join(filter(None, parts))}</main></body></html>\n"
    )


def _sentences(title: str, sentences: Iterable[str], kind: str) -> str:
    items = "".join(
        f"<li>{escape(text[:1].upper() + text[1:])}.</li>" for text in sentences
    )
    if not items:
        return ""
    return (
        f'<div class="{kind}" role="note"><strong>{title}</strong><ul>{items}</ul>'
        "</div>"
    )


def _tiles(evaluation: Evaluation) -> str:
    present = sum(each.rows > 0 for each in evaluation.per_class)
    beside = {
        "accuracy": "always saying the largest class: "
        f"{evaluation.measures['majority_share']:.4f}",
        "balanced_accuracy": f"by chance: {1 / present:.4f}",
        "roc_auc": "by chance: 0.5000",
    }
    tiles = "".join(
        f'<div class="tile"><span class="small muted">{_label(name)}</span>'
        f"<b>{_number(evaluation.measures.get(name))}</b>"
        f'<span class="small muted">{beside.get(name, "1 is perfect")}</span></div>'
        for name in _TILES
    )
    return f'<div class="tiles">{tiles}</div>'


def _label(name: str) -> str:
    label = MEASURES[name][0]
    return escape(label[:1].upper() + label[1:])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _measures(evaluation: Evaluation) -> str:
    rows = []
    for name, (_, meaning) in MEASURES.items():
        value, said = _number(evaluation.measures.get(name)), meaning
        if name in evaluation.undefined:
            said = f"not defined: {evaluation.undefined[name]}"
        hidden = "" if name in evaluation.undefined else " meaning"
        rows.append(
            f'<tr><th scope="row">{_label(name)}</th><td class="number">{value}</td>'
            f'<td class="muted small{hidden}">{escape(said)}</td></tr>'
        )
    classes = evaluation.per_class
    of_which = (
        f"those of the class {classes[1].name}"
        if len(classes) == 2
        else "means over the classes"
    )
    return (
        f"<h2>Figures</h2><p>On {evaluation.rows:,} rows. Precision, recall, average "
        f"precision and ROC-AUC are {escape(of_which)}.</p>"
        f'<div class="card"><table><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _curves(report: Report) -> str:
    evaluation = report.evaluation
    curves = curves_of(evaluation)
    rows = {each.name: each.rows for each in evaluation.per_class}
    shares = [rows[curve.name] / evaluation.rows for curve in curves.precision]
    figures = []
    if report.losses:
        legend = [("training", 0), ("validation", 1)]
        said = f"Kept are the weights after epoch {report.losses.kept} (dotted)."
        svg = loss_figure(report.losses)
        figures.append(_figure("Loss per epoch", svg, legend, said))
    if curves.roc:
        legend = _legend(curves.roc)
        worst = len(curves.roc) < len(evaluation.per_class) and len(rows) > 2
        more = " Shown are the classes that are found worst." if worst else ""
        said = f"Dotted is chance.{more}"
        svg = roc_figure(curves.roc)
        figures.append(_figure("ROC", svg, legend, said))
        said = "Dotted is the share of the class." if len(rows) == 2 else more.strip()
        svg = precision_figure(curves.precision, shares)
        figures.append(_figure("Precision and recall", svg, legend, said))
    what = (
        f"of the class {evaluation.per_class[1].name}"
        if len(rows) == 2
        else "of the class that was predicted"
    )
    said = (
        f"Probabilities {what}. On the dotted line they hold; larger dots, more rows."
    )
    svg = reliability_figure(curves.reliability)
    figures.append(_figure("Reliability", svg, [], said))
    return f'<h2>Curves</h2><div class="figures">{"".join(figures)}</div>'


def _legend(curves: Sequence[Curve]) -> list[tuple[str, int]]:
    return [(curve.name, index) for index, curve in enumerate(curves)]


def _figure(title: str, svg: str, legend: list[tuple[str, int]], said: str) -> str:
    keys = "".join(
        f'<span><i style="background: var(--series-{index})"></i>{escape(name)}</span>'
        for name, index in legend
    )
    shown = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
    return (
        f"<figure><h3>{escape(title)}</h3>{shown}<figcaption>"
        f'<div class="legend">{keys}</div>{escape(said)}</figcaption></figure>'
    )


def _confusions(evaluation: Evaluation) -> str:
    names = [escape(each.name) for each in evaluation.per_class]
    if len(names) > _MATRIX_CLASSES:
        rows = "".join(
            f'<tr><th class="name">{names[each.true]}</th>'
            f"<td>{names[each.predicted]}</td>"
            f'<td class="number">{each.rows:,}</td></tr>'
            for each in evaluation.mistakes(_MOST_MISTAKES)
        )
        return (
            f"<h2>Most frequent mistakes</h2>"
            f'<div class="card"><table><thead><tr><th>true class</th><th>predicted</th>'
            f'<th class="number">rows</th></tr></thead><tbody>{rows}</tbody></table>'
            "</div>"
        )
    matrix = evaluation.matrix()
    heads = "".join(
        f'<th class="number" scope="col" title="{name}">{name}</th>' for name in names
    )
    rows = ""
    for name, line in zip(names, matrix.tolist(), strict=True):
        cells = "".join(
            f'<td class="number" style="--share: {count / max(sum(line), 1):.3f}">'
            f"{count:,}</td>"
            for count in line
        )
        rows += f'<tr><th class="name" scope="row">{name}</th>{cells}</tr>'
    return (
        "<h2>Confusion matrix</h2><p>A line for each true class, a column for each "
        'class predicted.</p><div class="card"><table class="matrix"><thead><tr>'
        f"<th>true</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _classes(evaluation: Evaluation) -> str:
    shown = evaluation.per_class[:_MOST_CLASSES]
    rows = "".join(
        f'<tr><th class="name" scope="row">{escape(each.name)}</th>'
        f'<td class="number">{each.rows:,}</td>'
        f'<td class="number">{each.predicted:,}</td>'
        + "".join(f'<td class="number">{_number(value)}</td>' for value in each[3:])
        + "</tr>"
        for each in shown
    )
    heads = "".join(
        f'<th class="number" scope="col">{head}</th>'
        for head in (
            "rows",
            "predicted",
            *(MEASURES[name][0] for name in evaluation.per_class[0]._fields[3:]),
        )
    )
    left = len(evaluation.per_class) - len(shown)
    more = f"<p>… and {left:,} more classes.</p>" if left else ""
    return (
        f'<h2>Classes</h2><div class="card"><table><thead><tr><th scope="col">class'
        f"</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{more}"
    )


def _facts(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        for name, value in facts.items()
    )
    return f'<h2>Model</h2><div class="card"><dl>{items}</dl></div>'


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<h2>Notes on the data</h2><ul>{items}</ul>"
