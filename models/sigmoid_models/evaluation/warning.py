"""Sentences on figures that look better than they are."""

from collections.abc import Mapping, Sequence

from sigmoid_models.evaluation.metrics import ClassFigures
from sigmoid_models.evaluation.names import quoted

# Of the way from chance to perfection; what is below says next to nothing.
_NEAR_CHANCE = 0.1

# A recall of so few rows is one of a handful of values.
_FEW_ROWS = 5

_NAMED = 4


def warnings_of(
    measures: Mapping[str, float], per_class: Sequence[ClassFigures]
) -> tuple[str, ...]:
    """Say where a model beats nothing, and where the rows cannot tell.

    Args:
        measures: Those that are defined.
        per_class: The figures of each class.
    """
    largest = max(per_class, key=lambda each: each.rows)
    accuracy, share = measures["accuracy"], measures["majority_share"]
    found = []
    if share == 1:
        found.append(
            f"all rows are of {quoted(largest.name)}: how well the classes are told "
            "apart is not known"
        )
    elif accuracy <= share:
        found.append(
            f"the accuracy, {accuracy:.4f}, is not above the share of the largest "
            f"class: to say {quoted(largest.name)} of every row is right for "
            f"{share:.4f} of them"
        )
    present = [each for each in per_class if each.rows]
    chance = 1 / len(present)
    balanced = measures.get("balanced_accuracy")
    if balanced is not None and balanced <= chance + _NEAR_CHANCE * (1 - chance):
        found.append(
            f"the balanced accuracy, {balanced:.4f}, is near {chance:.4f}, that of "
            "chance: the classes are hardly told apart"
        )
    never = [each for each in present if not each.predicted]
    if never:
        names = _listed(never)
        found.append(
            f"never predicted, though there are rows: {names}; what may help: "
            "train with --class-weights balanced, or (of two classes) a lower "
            "threshold, by convert --threshold"
        )
    missing = [each for each in per_class if not each.rows]
    if missing and share < 1:
        names = _listed(missing)
        found.append(f"without rows here, so nothing is known of them: {names}")
    few = [each for each in present if each.rows < _FEW_ROWS]
    if few:
        found.append(f"too few rows to say much: {_listed(few)}")
    return tuple(found)


def _listed(classes: Sequence[ClassFigures]) -> str:
    shown = [
        f"{quoted(each.name)} ({each.rows:,} rows)" if each.rows else quoted(each.name)
        for each in classes[:_NAMED]
    ]
    if len(classes) > _NAMED:
        shown.append(f"and {len(classes) - _NAMED} more classes")
    return ", ".join(shown).replace("(1 rows)", "(1 row)")
