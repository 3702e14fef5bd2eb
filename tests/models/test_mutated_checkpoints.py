"""A damaged file is read or refused; nothing else happens."""

import io
import tempfile
from contextlib import chdir
from pathlib import Path
from random import Random

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing.files.file import FUNCTIONS
from fuzzing.files.instructions import damage_instructions
from fuzzing.files.malice import malicious, ran
from fuzzing.files.people import Saved, saved_files, written
from fuzzing.files.structures import damage_structure
from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard, Scaler
from sigmoid_models.checkpoint import CheckpointError, load_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_models.intake.named import Named

pytestmark = pytest.mark.usefixtures("uncounted")

SIGMOID = Named(activation=("sigmoid",))
CARD = ModelCard(
    architecture=Architecture(kind="Classifier", sizes=(4, 5, 3)),
    activation="sigmoid",
    task="multiclass",
    features=("a", "b", "c", "d"),
    classes=("x", "y", "z"),
    scaler=Scaler(mean=(0, 0, 0, 0), scale=(1, 1, 1, 1)),
    golden=Golden(inputs=((1, 2, 3, 4),), logits=((0, 0, 0),)),
)
WEIGHTS = dict(Classifier(4, 5, 3).state_dict())
METADATA = {"sigmoid_serve": CARD.model_dump_json(exclude_none=True)}
OURS = safetensors.torch.save(WEIGHTS, metadata=METADATA)

Mutation = tuple[str, float, bytes]
MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "delete", "insert", "replace", "truncate"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=6,
)


def pickled(legacy: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(WEIGHTS, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


ZIPPED, LEGACY = pickled(legacy=False), pickled(legacy=True)


def mutate(content: bytes, mutations: list[Mutation]) -> bytes:
    data = bytearray(content)
    for kind, place, noise in mutations:
        at = int(place * len(data))
        if kind == "flip" and data:
            data[at] ^= noise[0] or 1
        elif kind == "delete":
            del data[at : at + len(noise)]
        elif kind == "insert":
            data[at:at] = noise
        elif kind == "replace":
            data[at : at + len(noise)] = noise
        elif kind == "truncate" and noise[0] < 64:
            del data[at:]
    return bytes(data)


def read(content: bytes, suffix: str = ".pt", named: Named = SIGMOID) -> bool:
    """Read a file; return whether it is served."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        path = Path(folder) / f"model{suffix}"
        path.write_bytes(content)
        error_message = ""
        try:
            card = load_checkpoint(path, named=named).card
            assert card.architecture.features > 0
            assert card.activation_source != "named by the user" or named.activation
        except CheckpointError as error:
            error_message = str(error)
        assert len(error_message.splitlines()) <= 1
        assert not ran()
        return not error_message


@settings(max_examples=300, deadline=None)
@given(MUTATIONS)
def test_safetensors(mutations: list[Mutation]) -> None:
    read(mutate(OURS, mutations), ".safetensors")


@settings(max_examples=300, deadline=None)
@given(MUTATIONS)
def test_safetensors_header(mutations: list[Mutation]) -> None:
    """The header alone, its length kept right, so that damage gets further."""
    length = int.from_bytes(OURS[:8], "little")
    header = mutate(OURS[8 : 8 + length], mutations)
    read(
        len(header).to_bytes(8, "little") + header + OURS[8 + length :], ".safetensors"
    )


@settings(max_examples=300, deadline=None)
@given(MUTATIONS)
def test_zipped_state_dict(mutations: list[Mutation]) -> None:
    read(mutate(ZIPPED, mutations), ".pt")


@settings(max_examples=300, deadline=None)
@given(MUTATIONS)
def test_legacy_state_dict(mutations: list[Mutation]) -> None:
    read(mutate(LEGACY, mutations), ".pth")


SAVED = st.sampled_from(saved_files())
SEEDS = st.integers(0, 2**40).map(Random)
NAMED = st.builds(
    Named,
    activation=st.sampled_from([None, *((name,) for name in FUNCTIONS)]),
    batchnorm=st.sampled_from([None, "before", "after"]),
)


@settings(max_examples=300, deadline=None)
@given(SAVED, NAMED, MUTATIONS)
def test_bytes(saved: Saved, named: Named, mutations: list[Mutation]) -> None:
    """Of all that programs save around their weights."""
    read(mutate(written(saved.content, saved.options), mutations), named=named)


@settings(max_examples=300, deadline=None)
@given(SAVED, NAMED, SEEDS)
def test_instructions(saved: Saved, named: Named, random: Random) -> None:
    content = written(saved.content, saved.options or {})
    read(damage_instructions(random, content), named=named)


@settings(max_examples=300, deadline=None)
@given(SAVED, NAMED, SEEDS)
def test_structures(saved: Saved, named: Named, random: Random) -> None:
    content = damage_structure(random, saved.content)
    read(written(content, saved.options), named=named)


@settings(max_examples=300, deadline=None)
@given(SAVED, NAMED, SEEDS)
def test_code_in_them(saved: Saved, named: Named, random: Random) -> None:
    content = malicious(random, saved.content)
    assert not read(written(content, saved.options or {}), named=named)
