"""The card of a version: what `/openapi.json` shows of it, and how it is made."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from sigmoid_models.card import ModelCard
from sigmoid_serve.http.schemas import ServedModel
from sigmoid_serve.registry.registry import ModelVersion

# Of the examples of a card.
_MOST_ROWS: Final = 64
_MOST_NUMBERS: Final = 2**16


class LayerOfCard(BaseModel):
    """One linear layer of a network."""

    name: Annotated[
        str | None,
        Field(description="In the file it was converted from, where that is known."),
    ]
    inputs: int
    outputs: int
    activation: Annotated[
        str | None, Field(description="Behind it; null for the last layer.")
    ]


class ArchitectureOfCard(BaseModel):
    """The class and the widths of a network."""

    kind: Annotated[
        str, Field(description="`Sequential` is `Linear, function, …, Linear`.")
    ]
    sizes: Annotated[
        list[int],
        Field(description="Features, then units of hidden layers, then outputs."),
    ]


class ScalerOfCard(BaseModel):
    """What raw features go through: `(x - mean) / scale`."""

    mean: list[float]
    scale: list[float]


class DepthOfLayer(BaseModel):
    """What a hidden layer does to a gradient on its way back to the features."""

    derivative: Annotated[
        float,
        Field(
            description="Mean derivative of the function behind the layer, over the "
            "`examples` and its units."
        ),
    ]
    product: Annotated[
        float,
        Field(
            description="Of the `derivative`s from this layer to the last hidden one: "
            "what is left of a gradient that met the functions alone."
        ),
    ]
    gradient: Annotated[
        float,
        Field(
            description="Mean Frobenius norm of the derivative of the logits by the "
            "input of its function: what is left with the weights."
        ),
    ]


class TrainingOfCard(BaseModel):
    """How the weights came to be."""

    init: Annotated[
        Literal["sigmoid", "default"],
        Field(
            description="How weights were drawn: scaled by the sigmoid's slope, or as "
            "PyTorch does."
        ),
    ]
    rows: Annotated[
        list[int], Field(description="Number of training, validation and test rows.")
    ]
    gradient_norms_initial: Annotated[
        list[float],
        Field(
            description="Norm of the loss's gradient by each layer's weights, first to "
            "last, before the first step."
        ),
    ]
    gradient_norms_final: Annotated[
        list[float], Field(description="The same for the weights that were kept.")
    ]


class Card(ServedModel):
    """A version of a model, with what its checkpoint says of it."""

    version: Annotated[str, Field(description="Whose card it is.")]
    task: str
    features: int
    feature_names: list[str] | None
    classes: list[str] | None
    architecture: ArchitectureOfCard
    activation: Annotated[
        str | list[str],
        Field(description="Between the layers: one for all, or one per hidden layer."),
    ]
    activation_source: Annotated[str, Field(description="How it is known.")]
    link: Annotated[
        Literal["sigmoid", "softmax"],
        Field(description="What makes probabilities of the logits."),
    ]
    layers: Annotated[list[LayerOfCard], Field(description="First to last.")]
    folded: Annotated[
        list[str],
        Field(description="What was folded into the weights, such as a BatchNorm."),
    ]
    scaler: Annotated[
        ScalerOfCard | None,
        Field(
            description="Applied to the features; null where they must come as the "
            "network was trained on them."
        ),
    ]
    parameters: int
    sha256: Annotated[str, Field(description="Of the checkpoint file.")]
    metrics: dict[str, float] | None
    temperature: float
    thresholds: list[float] | None
    quantiles: Annotated[
        list[list[float]] | None,
        Field(
            description="Of each feature, its values at the probabilities 0, 1/31, …, "
            "1 in the training rows, before the scaler; null where none are known."
        ),
    ]
    examples: Annotated[
        list[list[float]],
        Field(
            description=f"At most {_MOST_ROWS} rows of raw features: the golden "
            "rows of the card."
        ),
    ]
    depth: Annotated[
        list[DepthOfLayer] | None,
        Field(
            description="Of each hidden layer, first to last, at up to 16 `examples` "
            "(without any, at the scaler's means); null where there is no such layer, "
            "and for large networks."
        ),
    ]
    training: Annotated[
        TrainingOfCard | None,
        Field(description="Null where `sigmoid-serve train` did not write the card."),
    ]


def served_model(
    versions: Mapping[str, ModelVersion], version: ModelVersion
) -> ServedModel:
    """Say of a model which version this is, and which there are."""
    return ServedModel(
        name=version.name,
        version=version.number,
        versions=list(versions),
        state=version.state,
        device=str(version.engine.device),
    )


def card_of(versions: Mapping[str, ModelVersion], version: ModelVersion) -> Card:
    """Show the card of a version.

    Args:
        versions: All of its model that are served, the newest first.
        version: One of them.
    """
    card = version.engine.card
    activation, scaler = card.activation, card.scaler
    return Card(
        **served_model(versions, version).model_dump(),
        task=card.task,
        features=card.architecture.features,
        feature_names=list(card.features) if card.features else None,
        classes=list(card.classes) if card.classes else None,
        architecture=ArchitectureOfCard(**card.architecture.model_dump()),
        activation=activation if isinstance(activation, str) else list(activation),
        activation_source=card.activation_source,
        link=card.link,
        layers=_layers(card),
        folded=list(card.folded or ()),
        scaler=(
            ScalerOfCard(mean=list(scaler.mean), scale=list(scaler.scale))
            if scaler
            else None
        ),
        parameters=card.architecture.parameters,
        sha256=version.sha256,
        metrics=card.metrics.model_dump(exclude_none=True) if card.metrics else None,
        temperature=card.temperature,
        thresholds=list(card.thresholds) if card.thresholds else None,
        quantiles=list(map(list, card.quantiles)) if card.quantiles else None,
        examples=_examples(card),
        depth=_depth(version),
        training=_training(card),
    )


def _layers(card: ModelCard) -> list[LayerOfCard]:
    sizes = card.architecture.sizes
    names = card.layers or (None,) * (len(sizes) - 1)
    return [
        LayerOfCard(name=name, inputs=inputs, outputs=outputs, activation=activation)
        for name, (inputs, outputs), activation in zip(
            names, pairwise(sizes), (*card.activations, None), strict=True
        )
    ]


def _examples(card: ModelCard) -> list[list[float]]:
    most = min(_MOST_ROWS, _MOST_NUMBERS // card.architecture.features)
    return [list(row) for row in card.golden.inputs[:most]] if card.golden else []


def _depth(version: ModelVersion) -> list[DepthOfLayer] | None:
    if version.depths is None:
        return None
    return [DepthOfLayer(**depth._asdict()) for depth in version.depths]


def _training(card: ModelCard) -> TrainingOfCard | None:
    training = card.training
    if training is None:
        return None
    return TrainingOfCard(
        init=training.init,
        rows=list(training.rows),
        gradient_norms_initial=list(training.gradient_norms_initial),
        gradient_norms_final=list(training.gradient_norms_final),
    )
