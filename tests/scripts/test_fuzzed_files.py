"""The files of `scripts/fuzz checkpoints`, and those who judge what becomes of them."""

import os
import pickle
from contextlib import chdir
from pathlib import Path
from random import Random

import pytest

from fuzzing.checkpoints import read_outcome
from fuzzing.files import malice
from fuzzing.files.drawing import draw_file, good_files, make_sources
from fuzzing.files.file import FUNCTIONS, File
from fuzzing.files.people import written
from sigmoid_models.intake.named import NOTHING, Named
from tests.models.test_functions import EVERY

pytestmark = pytest.mark.usefixtures("uncounted")

SOURCES = make_sources()
GOOD = good_files(SOURCES)


def drawn(kind: str) -> File:
    """Return the first good file of a kind."""
    return next(file for file in GOOD if file.kind == f"{kind}, intact")


def test_a_good_file_must_load(tmp_path: Path) -> None:
    for file in GOOD:
        outcome = read_outcome(tmp_path, file)
        assert (outcome.code, outcome.fault) == ("accepted", None), file.kind
    broken = GOOD[0]._replace(content=b"broken")
    assert read_outcome(tmp_path, broken).fault


def test_every_function_is_named() -> None:
    assert {*FUNCTIONS} == {*EVERY}
    files = [draw_file(1, index, SOURCES) for index in range(2000)]
    named = {name for file in files for name in file.named.activation or ()}
    assert named == {*EVERY}
    assert {file.named.batchnorm for file in files} == {None, "before", "after"}
    assert sum(file.named == NOTHING for file in files) > 100
    kinds = {file.kind.partition(", ")[0] for file in files}
    assert kinds >= {saved.kind for saved in SOURCES.people}


@pytest.mark.parametrize("activation", EVERY)
def test_other_numbers_are_a_fault(activation: str, tmp_path: Path) -> None:
    file = drawn("any names")._replace(named=Named(activation=(activation,)))
    assert read_outcome(tmp_path, file).fault is None
    other = drawn("wrapped").network
    outcome = read_outcome(tmp_path, file._replace(network=other))
    assert "its logits are off by" in str(outcome.fault)


def test_files_that_must_be_refused(tmp_path: Path) -> None:
    file = drawn("any names")
    unnamed = file._replace(named=NOTHING, is_good=False, is_bad=True)
    outcome = read_outcome(tmp_path, unnamed)
    assert (outcome.code, outcome.fault) == ("CheckpointError", None)
    loaded = read_outcome(tmp_path, file._replace(is_good=False, is_bad=True))
    assert loaded.fault == "it loads, by the word of named by the user"


def test_code_would_be_seen(tmp_path: Path) -> None:
    """It would run, were it unpickled; in none of the files, by no way, it does."""
    with chdir(tmp_path):
        assert not malice.ran()
        evil = malice.Malice(lambda: (os.mkdir, (malice.MARKER,)))
        pickle.loads(pickle.dumps([{"a": evil}]))
        assert malice.ran()
    assert read_outcome(tmp_path, GOOD[0]).fault == "it ran code"


def test_no_code_runs(tmp_path: Path) -> None:
    for seed in range(400):
        random = Random(seed)
        saved = random.choice(SOURCES.people)
        content = (
            malice.malicious_program(random)
            if seed % 10 == 0
            else written(malice.malicious(random, saved.content), saved.options or {})
        )
        file = File("malice", ".pt", content, is_good=False, is_bad=True)
        outcome = read_outcome(tmp_path, file._replace(named=Named(("relu",))))
        assert (outcome.code, outcome.fault) == ("CheckpointError", None), seed
