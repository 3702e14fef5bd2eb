"""What is near the kinds that were seen: its own numbers, or a refusal."""

import pytest

from sigmoid_models.activation import NAMES
from tests.models.kinds.all_kinds import write_all
from tests.models.kinds.check import (
    HALF_TOLERANCE,
    TOLERANCE,
    all_logits,
    engine_logits,
    is_near,
    load,
    message,
    proper_subsets,
)
from tests.models.kinds.kind import File
from tests.models.kinds.neighbours import NEIGHBOURS
from tests.models.kinds.strangers import STRANGE_KINDS, STRANGERS


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, File]:
    folder = tmp_path_factory.mktemp("neighbours")
    return write_all({**NEIGHBOURS, **STRANGE_KINDS}, folder)


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_it_gives_its_own_numbers_once_all_is_named(
    neighbours: dict[str, File], name: str
) -> None:
    kind, file = NEIGHBOURS[name], neighbours[name]
    assert kind.named is not None
    assert file.rows is not None
    for named in proper_subsets(kind.named):
        message(file, named)
    checkpoint = load(file, kind.named)
    tolerance = HALF_TOLERANCE if "float16" in name else TOLERANCE
    for way, logits in all_logits(checkpoint, file.rows).items():
        assert is_near(logits, file, tolerance), way


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_the_engine_gives_the_same(neighbours: dict[str, File], name: str) -> None:
    kind, file = NEIGHBOURS[name], neighbours[name]
    assert kind.named is not None
    assert file.rows is not None
    logits = engine_logits(load(file, kind.named), file.rows)
    tolerance = HALF_TOLERANCE if "float16" in name else TOLERANCE
    assert is_near(logits, file, tolerance)


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_is_refused_by_name(neighbours: dict[str, File], name: str) -> None:
    _, word = STRANGERS[name]
    for activation in NAMES:
        told = message(neighbours[name], {"activation": (activation,)})
        assert word in told
