"""Random rows of layers in blocks, or in two stacks behind each other."""

import random

from torch import nn

from tests.models.random_chains import (
    LAST_NAMES,
    Made,
    Piece,
    made_of,
    make_chain,
    random_sizes,
)


def blocks(rng: random.Random) -> Made:
    """Each layer in a block of its own, of what stands around it."""
    chain, root = make_chain(rng), nn.Module()
    last = len(chain.activations)
    groups: list[list[Piece]] = [[] for _ in range(last + 1)]
    for piece in chain.pieces:
        groups[piece.index].append(piece)
    is_list = rng.random() < 0.5
    is_sequential = rng.random() < 0.6
    names = [f"block{n}" for n in range(1, last + 1)]
    if rng.random() < 0.3 and last < 4:
        names = ["encoder", "middle", "decoder", "extra"][:last]
    inner = rng.choice(["fc", "linear", "lin"])

    def block(pieces: list[Piece]) -> nn.Module:
        if is_sequential:
            return nn.Sequential(*(piece.module for piece in pieces))
        made = nn.Module()
        for piece in pieces:
            if piece.kind in ("linear", "norm"):
                name = inner if piece.kind == "linear" else "bn"
                made.add_module(
                    name if not hasattr(made, name) else f"{name}2", piece.module
                )
        return made

    made = [block(group) for group in groups[:-1]]
    if is_list:
        root.add_module(rng.choice(["blocks", "layers", "hidden"]), nn.ModuleList(made))
    else:
        for name, each in zip(names, made, strict=True):
            root.add_module(name, each)
    if rng.random() < 0.5:
        for piece in groups[-1]:
            name = {"linear": "head", "norm": "last_norm"}.get(piece.kind, piece.kind)
            root.add_module(
                name if not hasattr(root, name) else f"{name}2", piece.module
            )
    else:
        root.add_module(rng.choice(LAST_NAMES), block(groups[-1]))
    return made_of(chain, root)


def two_stacks(rng: random.Random) -> Made:
    """An encoder and a decoder, or features and a classifier."""
    chain = make_chain(rng, random_sizes(rng, 2))
    cut = rng.randint(1, max(1, len(chain.activations)))
    front = [p.module for p in chain.pieces if p.index < cut]
    back = [p.module for p in chain.pieces if p.index >= cut]
    names = rng.choice(
        [
            ("encoder", "decoder"),
            ("features", "classifier"),
            ("body", "head"),
            ("a", "b"),
        ]
    )
    parts = [(names[0], nn.Sequential(*front)), (names[1], nn.Sequential(*back))]
    if names != ("a", "b") and rng.random() < 0.3:
        parts.reverse()
    root = nn.Module()
    for name, part in parts:
        root.add_module(name, part)
    return made_of(chain, root, "/".join(names))
