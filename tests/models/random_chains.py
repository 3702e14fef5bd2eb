"""Random rows of layers, written in the many ways in which people write them."""

import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from sigmoid_models.functions import function_of

FUNCTIONS = ("sigmoid", "relu", "tanh", "elu", "gelu", "silu", "softplus", "leaky_relu")
LINEAR_NAMES = ("fc", "linear", "lin", "layer", "l", "hidden", "dense", "fc_", "dense_")
FIRST_NAMES = ("input_layer", "fc_in", "inp", "first", "input", "embedding_in", "enter")
LAST_NAMES = ("out", "output", "head", "fc_out", "output_layer", "logits", "classifier")
WORDS = ("a", "big", "core", "wide", "mid", "prep", "own", "mix", "body", "neck")
STACKS = ("net", "model", "layers", "main", "seq", "mlp", "fc", "hidden", "stack", "f")

Step = Callable[[Tensor], Tensor]


@dataclass
class Made:
    """A network, and what is true of it.

    Attributes:
        style: How it was written, for messages.
        module: Its weights, in float64.
        logits: What it computes before the link.
        activations: The function behind each hidden layer.
        places: Where its BatchNorms stand.
        order: The names of its layers in the order of their use.
    """

    style: str
    module: nn.Module
    logits: Step
    activations: tuple[str, ...]
    places: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()

    @property
    def is_regular(self) -> bool:
        """Whether one BatchNorm stands at each hidden layer, all at one place."""
        norms = [m for m in self.module.modules() if isinstance(m, nn.BatchNorm1d)]
        return self.places in ({"before"}, {"after"}) and len(norms) == len(
            self.activations
        )


@dataclass
class Piece:
    """One step of a network; `index` counts the layers before it."""

    kind: Literal["linear", "norm", "function", "gap", "link"]
    module: nn.Module
    index: int


@dataclass
class Chain:
    """Steps in the order of their use."""

    pieces: list[Piece] = field(default_factory=list)
    activations: tuple[str, ...] = ()
    places: set[str] = field(default_factory=set)

    def logits(self) -> Step:
        steps = [piece.module for piece in self.pieces if piece.kind != "link"]
        return nn.Sequential(*steps).double().eval()


def random_sizes(rng: random.Random, least: int = 1) -> list[int]:
    layers = rng.choice([least, 2, 2, 3, 3, 4, 5])
    if rng.random() < 0.35:
        return [rng.choice([3, 4])] * (layers + 1)
    if rng.random() < 0.4:
        width = rng.choice([6, 8])
        return [
            rng.choice([3, 4, width]),
            *[width] * (layers - 1),
            rng.choice([1, 2, 4]),
        ]
    return [rng.randint(2, 9) for _ in range(layers + 1)]


def make_chain(rng: random.Random, sizes: Sequence[int] | None = None) -> Chain:
    sizes = random_sizes(rng) if sizes is None else sizes
    chain, pieces, last = Chain(), [], len(sizes) - 2
    norms = rng.choice([None, None, "before", "after", "input", "output", "mixed"])
    one = rng.choice(FUNCTIONS)
    has_bias, has_gaps = rng.random() < 0.8, rng.random() < 0.4
    names = [one if rng.random() < 0.85 else rng.choice(FUNCTIONS) for _ in sizes[2:]]

    def norm(width: int, index: int) -> None:
        affine = rng.random() < 0.85
        pieces.append(Piece("norm", nn.BatchNorm1d(width, affine=affine), index))

    if norms == "input" or (norms == "mixed" and rng.random() < 0.3):
        norm(sizes[0], 0)
        chain.places.add("input")
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        layer = nn.Linear(inputs, outputs, bias=has_bias or rng.random() < 0.2)
        pieces.append(Piece("linear", layer, index))
        if index == last:
            break
        place = rng.choice(["before", "after", None]) if norms == "mixed" else norms
        if has_gaps and rng.random() < 0.2:
            pieces.append(_gap(rng, index))
        if place == "before":
            norm(outputs, index)
            chain.places.add("before")
        pieces.append(Piece("function", function_of(names[index]).module(), index))
        if has_gaps and rng.random() < 0.5:
            pieces.append(_gap(rng, index))
        if place == "after":
            norm(outputs, index)
            chain.places.add("after")
        if has_gaps and rng.random() < 0.3:
            pieces.append(_gap(rng, index))
    if norms == "output":
        norm(sizes[-1], last)
        chain.places.add("output")
    if rng.random() < 0.3:
        link = nn.Softmax(-1) if sizes[-1] > 1 else nn.Sigmoid()
        pieces.append(Piece("link", link, last))
    chain.pieces, chain.activations = pieces, tuple(names)
    return chain


def _gap(rng: random.Random, index: int) -> Piece:
    return Piece("gap", rng.choice([nn.Dropout(), nn.Identity(), nn.Flatten()]), index)


def made_of(chain: Chain, module: nn.Module, style: str = "") -> Made:
    names = {each: name for name, each in module.named_modules()}
    order = [names[piece.module] for piece in chain.pieces if piece.kind == "linear"]
    places = frozenset(chain.places)
    logits = chain.logits()
    return Made(style, module, logits, chain.activations, places, tuple(order))


def layer_names(rng: random.Random, number: int) -> list[str]:
    """Name layers, so that the names or the order of their making tell the order."""
    style = rng.randrange(5)
    first = rng.choice([0, 1, 1])
    stem = rng.choice(LINEAR_NAMES)
    names = [f"{stem}{n + first}" for n in range(number)]
    if style == 1 and number > 1:
        names[-1] = rng.choice(LAST_NAMES)
    if style == 2 and number > 1:
        names[0], names[-1] = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    if style == 3:
        names = rng.sample(WORDS, number)
    return names


def register(
    rng: random.Random, root: nn.Module, named: list[tuple[str, nn.Module]]
) -> None:
    for name, module in named:
        root.add_module(name, module)


def attributes(rng: random.Random) -> Made:
    """Layers as attributes, and norms beside or behind them."""
    chain, root = make_chain(rng), nn.Module()
    layers = [piece.module for piece in chain.pieces if piece.kind == "linear"]
    names = layer_names(rng, len(layers))
    linear = list(zip(names, layers, strict=True))
    says_order = not (set(names) <= set(WORDS))
    if says_order and rng.random() < 0.2:
        rng.shuffle(linear)
    norms = [piece for piece in chain.pieces if piece.kind == "norm"]
    first, stem = rng.choice([0, 1, 1]), rng.choice(["bn", "batchnorm", "norm", "bn_"])
    called = [
        (f"{stem}{number + first}" if len(norms) > 1 or rng.random() < 0.5 else stem, n)
        for number, n in enumerate(norms)
    ]
    named: list[tuple[str, nn.Module]] = [*linear]
    if rng.random() < 0.5:
        named += [(name, piece.module) for name, piece in called]
    else:  # each behind its layer
        for name, piece in called:
            at = next(i for i, (_, m) in enumerate(named) if m is layers[piece.index])
            named.insert(at + 1, (name, piece.module))
    if chain.activations and rng.random() < 0.5:
        name = rng.choice(["act", "activation", chain.activations[0], "dropout", "f"])
        if name not in dict(named) and {*chain.activations} == {chain.activations[0]}:
            named.append((name, function_of(chain.activations[0]).module()))
    register(rng, root, named)
    return made_of(chain, root)


def sequential(rng: random.Random) -> Made:
    """One Sequential, bare, under a name, or with names inside."""
    chain = make_chain(rng)
    modules = [piece.module for piece in chain.pieces]
    style = rng.randrange(3)
    if style == 2:
        layers = iter(layer_names(rng, len(chain.activations) + 1))
        stem = rng.choice(["bn", "norm"])
        named = OrderedDict(
            (
                next(layers)
                if p.kind == "linear"
                else f"{stem if p.kind == 'norm' else p.kind}_{at}",
                p.module,
            )
            for at, p in enumerate(chain.pieces)
        )
        return made_of(chain, nn.Sequential(named), "named")
    stack = nn.Sequential(*modules)
    if style == 0:
        return made_of(chain, stack, "bare")
    return made_of(chain, _under(rng.choice(STACKS), stack), "under a name")


def _under(name: str, module: nn.Module) -> nn.Module:
    root = nn.Module()
    root.add_module(name, module)
    return root


def lists(rng: random.Random) -> Made:
    """ModuleLists: of layers, of layers and norms in one, or one of each."""
    chain, root = make_chain(rng), nn.Module()
    kept = [piece for piece in chain.pieces if piece.kind in ("linear", "norm")]
    linear = [piece.module for piece in kept if piece.kind == "linear"]
    norms = [piece.module for piece in kept if piece.kind == "norm"]
    name = rng.choice(STACKS)
    style = rng.choice(["one", "two", "head", "dict"])
    if style == "one":
        root.add_module(name, nn.ModuleList(piece.module for piece in kept))
    elif style == "dict":
        keys = layer_names(rng, len(linear))
        root.add_module(name, nn.ModuleDict(dict(zip(keys, linear, strict=True))))
        if norms:
            root.add_module("bns", nn.ModuleList(norms))
    else:
        inside = linear if style == "two" else linear[:-1]
        lists = [(name, nn.ModuleList(inside)), ("bns", nn.ModuleList(norms))]
        if not norms:
            del lists[1]
        if rng.random() < 0.3:
            lists.reverse()
        for key, value in lists:
            root.add_module(key, value)
        if style == "head":
            root.add_module(rng.choice(LAST_NAMES), linear[-1])
    return made_of(chain, root, style)
