"""What a checkpoint says of its network: the JSON beside the weights."""

from collections.abc import Sized
from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from sigmoid_models.activation import read_activation
from sigmoid_models.architecture import Architecture

FORMAT: Final = 2

QUANTILES: Final = 32
"""Of each feature, at the probabilities 0, 1/31, …, 1."""

MOST_GOLDEN_NUMBERS: Final = 2**16
"""Of all golden rows, as they are written; a card has room for four times as many."""

Task = Literal["binary", "multiclass", "multilabel"]
Link = Literal["sigmoid", "softmax"]
Source = Literal["card", "named by the user", "the file's configuration", "one layer"]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Probability = Annotated[float, Field(ge=0, le=1)]
# Only the first error is described: to describe very many would take all memory.
Names = Annotated[tuple[Name, ...], Field(fail_fast=True)]
Activation = Annotated[str, AfterValidator(read_activation)]
Numbers = Annotated[tuple[FiniteFloat, ...], Field(fail_fast=True)]
Rows = Annotated[tuple[Numbers, ...], Field(fail_fast=True)]


class Part(BaseModel):
    """Base of all parts of a card: immutable, no field unknown, nothing coerced."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scaler(Part):
    """Standardisation applied before the network: `(x - mean) / scale`, in float64."""

    mean: Numbers
    scale: Annotated[
        tuple[Annotated[FiniteFloat, Field(gt=0)], ...], Field(fail_fast=True)
    ]


class Golden(Part):
    """Rows whose logits are known, to check a loaded network on its device.

    Attributes:
        inputs: Raw features, `(rows, features)`.
        logits: `(rows, outputs)`, computed in float64.
    """

    inputs: Annotated[Rows, Field(min_length=1)]
    logits: Annotated[Rows, Field(min_length=1)]


class Metrics(Part):
    """How good the network is on the test rows; None is what is not defined there.

    Attributes:
        accuracy: Share of rows whose label is right.
        majority_share: Share of the largest class: the accuracy of always saying it.
        balanced_accuracy: Mean of the recalls of the classes that have rows.
        precision: Of the positive of two classes, else mean over the classes; so are
            the three that follow.
        recall: Share of a class's rows that were given it.
        average_precision: Area under precision over recall.
        roc_auc: Area under the ROC curve.
        log_loss: Mean binary cross-entropy over rows and outputs, in nats.
        brier: Mean squared error of the probabilities over rows and outputs.
        ece: Expected calibration error of the predicted label, 15 equal bins.
    """

    accuracy: Probability
    majority_share: Probability | None = None
    balanced_accuracy: Probability | None = None
    precision: Probability | None = None
    recall: Probability | None = None
    average_precision: Probability | None = None
    roc_auc: Probability | None = None
    log_loss: Annotated[FiniteFloat, Field(ge=0)]
    brier: Probability
    ece: Probability


class Training(Part):
    """How the weights came to be.

    Attributes:
        dataset: Its name, or the file name of a CSV.
        seed: The seed of the split, the initialisation and the order of the rows.
        init: `sigmoid` (scaled by the sigmoid's slope) or `default` (PyTorch's).
        class_weights: `balanced` where each class weighed as much as another; the
            probabilities are then not those of the data's own shares.
        epochs: Until the weights that were kept.
        rows: Number of training, validation and test rows.
        gradient_norms_initial: Per layer, first to last, before the first step.
        gradient_norms_final: The same for the weights that were kept.
    """

    dataset: Name
    seed: int
    init: Literal["sigmoid", "default"]
    class_weights: Literal["balanced"] | None = None
    epochs: NonNegativeInt
    rows: tuple[PositiveInt, PositiveInt, PositiveInt]
    gradient_norms_initial: Numbers
    gradient_norms_final: Numbers


class ModelCard(Part):
    """Everything the server needs to know of a network beside its weights.

    Attributes:
        format: Version of this layout.
        architecture: Class and widths; must agree with the weights.
        activation: The function between the layers, as `sigmoid_models.activation`
            has it: one for all, or one per hidden layer.
        activation_source: How it is known. `card` is said by who wrote the file; a
            network of one layer has none.
        link: What makes probabilities of the logits. `softmax` is for `multiclass`
            alone; its probabilities add up to 1.
        layers: Names of the layers in the file that it was converted from.
        folded: What was folded into the weights, such as a BatchNorm, by name.
        task: `binary` has one output, `multiclass` two or more, `multilabel` any.
        features: Their names in the order of the network's inputs, where known.
        scaler: Applied to the raw features.
        classes: Names; two for `binary` (negative, positive), else one per output.
        temperature: Probabilities are those of `logits / temperature`.
        thresholds: One per output for `binary` and `multilabel`, by default 0.5.
        metrics: Measured on the test rows.
        training: How the weights came to be.
        golden: Rows with known logits, checked before the model is ready.
        quantiles: How each raw feature is spread over the training rows,
            `(features, 32)`: its values at the probabilities 0, 1/31, …, 1.

    Raises:
        ValueError: Two parts contradict each other.
    """

    format: Literal[2] = FORMAT
    architecture: Architecture
    activation: Activation | Annotated[tuple[Activation, ...], Field(fail_fast=True)]
    activation_source: Source = "card"
    link: Link = "sigmoid"
    layers: Names | None = None
    folded: Names | None = None
    task: Task
    features: Names | None = None
    scaler: Scaler | None = None
    classes: Names | None = None
    temperature: Annotated[PositiveFloat, FiniteFloat] = 1.0
    thresholds: Annotated[tuple[Probability, ...], Field(fail_fast=True)] | None = None
    metrics: Metrics | None = None
    training: Training | None = None
    golden: Golden | None = None
    quantiles: Rows | None = None

    @property
    def activations(self) -> tuple[str, ...]:
        """The function behind each hidden layer, first to last."""
        if isinstance(self.activation, str):
            return (self.activation,) * (len(self.architecture.sizes) - 2)
        return self.activation

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        features, outputs = self.architecture.features, self.architecture.outputs
        if (self.task == "binary") != (outputs == 1) and self.task != "multilabel":
            raise ValueError(f"the task is {self.task}, but the outputs are {outputs}")
        if self.link == "softmax" and self.task != "multiclass":
            raise ValueError(f"the link is softmax, but the task is {self.task}")
        if self.architecture.kind != "Sequential" and {*self.activations} != {
            "sigmoid"
        }:
            raise ValueError(
                f"a {self.architecture.kind} has the sigmoid between its layers; any "
                "other network is a Sequential"
            )
        layers = len(self.architecture.sizes) - 1
        lengths: list[tuple[str, Sized | None, int]] = [
            ("activation", self.activations, layers - 1),
            ("layers", self.layers, layers),
            ("features", self.features, features),
            ("scaler.mean", self.scaler.mean if self.scaler else None, features),
            ("scaler.scale", self.scaler.scale if self.scaler else None, features),
            ("classes", self.classes, 2 if self.task == "binary" else outputs),
            ("thresholds", self.thresholds, outputs),
        ]
        if self.golden:
            rows = len(self.golden.inputs)
            lengths.append(("golden.logits", self.golden.logits, rows))
            lengths += [("golden.inputs", row, features) for row in self.golden.inputs]
            lengths += [("golden.logits", row, outputs) for row in self.golden.logits]
        lengths.append(("quantiles", self.quantiles, features))
        lengths += [("quantiles", row, QUANTILES) for row in self.quantiles or ()]
        if self.training:
            initial = self.training.gradient_norms_initial
            final = self.training.gradient_norms_final
            lengths += [
                ("training.gradient_norms_initial", initial, layers),
                ("training.gradient_norms_final", final, layers),
            ]
        for name, values, expected in lengths:
            if values is not None and len(values) != expected:
                raise ValueError(f"{name} has {len(values)} entries, not {expected}")
        for name, names in (("features", self.features), ("classes", self.classes)):
            if names is not None and len(set(names)) != len(names):
                raise ValueError(f"{name} names one of its entries twice")
        return self

    @model_validator(mode="after")
    def _quantiles_rise(self) -> Self:
        for feature, row in enumerate(self.quantiles or ()):
            if any(later < earlier for earlier, later in pairwise(row)):
                raise ValueError(f"quantiles.{feature} falls; sort its values")
        return self


def usual_task(outputs: int) -> Task:
    """Return the task that a network has where nothing says which."""
    return "binary" if outputs == 1 else "multiclass"
