"""Random networks whose linear layers are no row, though their shapes may fit."""

import random
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sigmoid_models.functions import function_of
from tests.models.random_chains import (
    FUNCTIONS,
    WORDS,
    Made,
    Step,
    layer_names,
    make_chain,
    register,
)


def _tower(rng: random.Random, sizes: Sequence[int], name: str) -> nn.Sequential:
    pieces: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        if index:
            pieces.append(function_of(name).module())
        pieces.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*pieces)


def _written(rng: random.Random, tower: nn.Sequential) -> nn.Module:
    """Write a tower as a Sequential, or its layers as attributes."""
    if rng.random() < 0.5:
        if rng.random() < 0.5:
            tower.append(rng.choice([nn.Tanh(), nn.Softmax(-1), nn.ReLU()]))
        return tower
    made, layers = nn.Module(), [m for m in tower if isinstance(m, nn.Linear)]
    for name, layer in zip(layer_names(rng, len(layers)), layers, strict=True):
        made.add_module(name, layer)
    return made


TWINS = (
    ("actor", "critic"),
    ("policy", "value"),
    ("pi", "v"),
    ("generator", "discriminator"),
    ("policy_net", "target_net"),
    ("online", "target"),
    ("student", "teacher"),
    ("q1", "q2"),
    ("mean_net", "std_net"),
    ("s", "t"),
    ("model", "ema_model"),
    ("tower_a", "tower_b"),
    ("experts.0", "experts.1"),
)


def twins(rng: random.Random) -> Made:
    """Two networks in one module; the first is what it computes."""
    name = rng.choice(FUNCTIONS)
    number = rng.choice([1, 2, 3])
    width = rng.choice([3, 4])
    sizes = (
        [width] * (number + 1) if rng.random() < 0.6 else [4, *[8] * (number - 1), 4]
    )
    other = [*sizes[:-1], rng.choice([1, sizes[-1]])]
    first, second = _tower(rng, sizes, name), _tower(rng, other, name)
    one, two = rng.choice(TWINS)
    root = nn.Module()
    state = rng.getstate()
    written = _written(rng, nn.Sequential(*first))
    rng.setstate(state)
    for path, part in ((one, written), (two, _written(rng, nn.Sequential(*second)))):
        outer, _, inner = path.rpartition(".")
        if outer and not hasattr(root, outer):
            root.add_module(outer, nn.Module())
        (getattr(root, outer) if outer else root).add_module(inner, part)
    style = f"{one}/{two} {sizes}"
    return Made(style, root, first, (name,) * (2 * number - 1))


def heads(rng: random.Random) -> Made:
    """A shared trunk with two heads; the first head is the answer."""
    name, width = rng.choice(FUNCTIONS), rng.choice([4, 8])
    outputs = rng.choice([width, 1, 2])
    trunk = nn.Linear(rng.choice([3, width]), width)
    one, two = nn.Linear(width, outputs), nn.Linear(width, rng.choice([1, outputs]))
    names = rng.choice(
        [
            ("fc1", "policy", "value"),
            ("shared", "actor", "critic"),
            ("fc1", "mu", "logvar"),
            ("fc1", "fc21", "fc22"),
            ("trunk", "mean", "log_std"),
            ("fc1", "advantage", "value"),
            ("body", "head1", "head2"),
            ("fc1", "action_head", "value_head"),
            ("base", "out_a", "out_b"),
        ]
    )
    root = nn.Module()
    register(rng, root, list(zip(names, (trunk, one, two), strict=True)))
    function = function_of(name).module()

    def logits(rows: Tensor) -> Tensor:
        result: Tensor = one(function(trunk(rows)))
        return result

    return Made("/".join(names), root, logits, (name,) * 2)


def links(rng: random.Random) -> Made:
    """Residual links with weights, and inputs that come again by torch.cat."""
    name, width = rng.choice(FUNCTIONS), rng.choice([4, 8])
    inputs, outputs = rng.choice([3, width]), rng.choice([1, 2, width])
    function = function_of(name).module()
    root, style = nn.Module(), rng.choice(["projected", "cat", "dense", "critic"])
    names = layer_names(rng, 3)
    if style == "projected":
        layers = [nn.Linear(inputs, width), nn.Linear(width, width)]
        last, link = nn.Linear(width, outputs), nn.Linear(inputs, width)
        called = rng.choice(["shortcut", "skip", "downsample", "res_proj", "residual"])
        register(rng, root, [*zip(names, (*layers, last), strict=True), (called, link)])

        def logits(rows: Tensor) -> Tensor:
            inner = layers[1](function(layers[0](rows))) + link(rows)
            result: Tensor = last(function(inner))
            return result

        return Made(style, root, logits, (name,) * 3)
    one = nn.Linear(inputs, rng.choice([width, inputs]))
    two = nn.Linear(one.out_features + inputs, rng.choice([outputs, inputs]))
    three = nn.Linear(two.out_features, outputs)
    used = [one, two] if style == "dense" else [one, two, three]
    register(rng, root, list(zip(names, used, strict=False)))

    def joined(rows: Tensor) -> Tensor:
        inner = function(two(torch.cat([function(one(rows)), rows], -1)))
        result: Tensor = three(inner)
        return result

    def dense(rows: Tensor) -> Tensor:
        result: Tensor = two(torch.cat([function(one(rows)), rows], -1))
        return result

    logits = dense if style == "dense" else joined
    return Made(style, root, logits, (name,) * (len(used) - 1))


class Transposed(nn.Module):
    """A layer of one's own: `x @ weight`."""

    def __init__(self, inputs: int, outputs: int, *, has_bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.randn(outputs)) if has_bias else None

    def forward(self, rows: Tensor) -> Tensor:
        made = rows @ self.weight
        return made if self.bias is None else made + self.bias


def transposed(rng: random.Random) -> Made:
    """Layers of one's own, whose weights stand the other way round."""
    sizes = [rng.randint(2, 5), 6, 7, rng.randint(8, 9)][: rng.choice([3, 4])]
    has_bias, name = rng.random() < 0.3, rng.choice(FUNCTIONS)
    layers = [Transposed(i, o, has_bias=has_bias) for i, o in pairwise(sizes)]
    function = function_of(name).module()
    root = nn.Module()
    names = layer_names(rng, len(layers))
    while set(names) <= set(WORDS):
        names = layer_names(rng, len(layers))
    register(rng, root, list(zip(names, layers, strict=True)))

    def logits(rows: Tensor) -> Tensor:
        for layer in layers[:-1]:
            rows = function(layer(rows))
        result: Tensor = layers[-1](rows)
        return result

    return Made(str(sizes), root, logits, (name,) * (len(layers) - 1))


def extras(rng: random.Random) -> Made:
    """A chain that also has buffers, parameters, a LayerNorm or an Embedding."""
    chain, root = make_chain(rng), nn.Module()
    stack = nn.Sequential(*(piece.module for piece in chain.pieces))
    root.add_module(rng.choice(["net", "model"]), stack)
    inner = chain.logits()
    linear = [p.module for p in chain.pieces if isinstance(p.module, nn.Linear)]
    inputs, outputs = linear[0].in_features, linear[-1].out_features
    norm, table = nn.LayerNorm(outputs), nn.Embedding(inputs, inputs)
    nn.init.normal_(norm.weight)
    name = rng.choice(["pos", "position", "pos_embedding", "weight", "bias", "scale"])
    shift = torch.rand(1, inputs) if name == "weight" else torch.rand(inputs)
    mean, std = torch.rand(2, inputs, dtype=torch.float64) + 0.5
    style = rng.choice(["buffers", "scale", "position", "norm", "embedding"])
    if style == "buffers":
        names = rng.choice([("mean", "std"), ("mu", "sigma"), ("x_mean", "x_std")])
        for called, buffer in zip(names, (mean, std), strict=True):
            root.register_buffer(called, buffer)
    elif style == "norm":
        root.add_module(rng.choice(["norm", "ln", "final"]), norm)
    elif style == "embedding":
        root.add_module(rng.choice(["emb", "tok_emb", "wte", "embed"]), table)
    else:
        root.register_parameter(name, nn.Parameter(shift))
    steps: dict[str, Step] = {
        "buffers": lambda rows: inner((rows - mean) / std),
        "scale": lambda rows: inner(rows * root.get_parameter(name)),
        "position": lambda rows: inner(rows + root.get_parameter(name)),
        "norm": lambda rows: norm(inner(rows)),
        "embedding": lambda rows: inner(rows + table.weight.mean(0)),
    }
    return Made(style, root, steps[style], chain.activations or ("relu",))


PARTS = (
    ("attention", ("query", "key", "value", "out")),
    ("attention", ("q_proj", "k_proj", "v_proj", "o_proj")),
    ("attention", ("q", "k", "v", "o")),
    ("attention", ("W_q", "W_k", "W_v", "fc")),
    ("attention", ("to_q", "to_k", "to_v", "to_out")),
    ("gate", ("fc1", "gate", "fc2", "out")),
    ("gate", ("gate_proj", "up_proj", "down_proj", "head")),
    ("gate", ("transform", "gate", "fc", "out")),
    ("recurrent", ("i2h", "h2h", "h2o", "extra")),
    ("recurrent", ("W_xh", "W_hh", "W_hy", "fc")),
    ("graph", ("conv1.lin", "conv2.lin", "conv3.lin", "conv4.lin")),
    ("graph", ("gcn1.lin", "gcn2.lin", "gcn3.lin", "fc")),
    ("adapter", ("fc1.base_layer", "fc1.lora_A.default", "fc1.lora_B.default", "fc2")),
    ("adapter", ("fc1.base_layer", "fc1.lora_down", "fc1.lora_up", "fc2")),
)


def strangers(rng: random.Random) -> Made:
    """Linear layers that are parts of something else, square as they often are."""
    width, name = rng.choice([4, 8]), rng.choice(FUNCTIONS)
    function = function_of(name).module()
    style, names = rng.choice(PARTS)
    one, last = nn.Linear(width, width), nn.Linear(width, width)
    inner = 2 if style == "adapter" else width
    two, three = nn.Linear(width, inner), nn.Linear(inner, width)
    root = nn.Module()
    for path, layer in zip(names, (one, two, three, last), strict=True):
        *outer, called = path.split(".")
        holder = root
        for part in outer:
            if not hasattr(holder, part):
                holder.add_module(part, nn.Module())
            holder = holder.get_submodule(part)
        holder.add_module(called, layer)
    steps: dict[str, Step] = {
        "attention": lambda x: last(torch.softmax(one(x) * two(x), -1) * three(x)),
        "gate": lambda x: last(function(three(function(one(x)) * two(x).sigmoid()))),
        "recurrent": lambda x: last(three(function(one(x) + two(torch.zeros_like(x))))),
        "graph": lambda x: last(three(function(two(one(x))).mean(0, keepdim=True))),
        "adapter": lambda x: last(function(one(x) + three(two(x)))),
    }
    return Made(f"{style} {names}", root, steps[style], (name,) * 3)
