"""The values of options that hold more than one."""

from pathlib import Path

import pytest

from sigmoid_models.messages import UserError
from sigmoid_serve.cli.values import read_functions, read_names, read_probabilities


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ("a",)),
        ("a,b c", ("a", "b c")),
        ("a, b ", ("a", "b")),
        ('"a, b","c ""d"""', ("a, b", 'c "d"')),
        ('"@a",b', ("@a", "b")),
    ],
)
def test_names(text: str, names: tuple[str, ...]) -> None:
    assert read_names(text, "--classes") == names


@pytest.mark.parametrize("text", ["a,b\nc\n", "\ufeffa,b\r\nc", "a,b \nc\n\n"])
def test_names_of_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "names").write_text(text, encoding="utf-8", newline="")
    assert read_names(f"@{tmp_path}/names", "--features") == ("a,b", "c")


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "--classes: a name is empty"),
        ("a,,b", "--classes: a name is empty"),
        ("a\nb", "--classes: expected names with commas between"),
        ('"a', "--classes: expected names with commas between"),
        ("@missing\n", "--classes: missing.n: No such file"),
        ("@/", "--classes: /: Is a directory"),
    ],
)
def test_no_names(text: str, finding: str) -> None:
    with pytest.raises(UserError, match=finding) as error:
        read_names(text, "--classes")
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "names").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="expected names"):
        read_names(f"@{tmp_path}/names", "--classes")


def test_numbers() -> None:
    assert read_probabilities("0.5", "--threshold") == (0.5,)
    assert read_probabilities("0, 1", "--threshold") == (0, 1)
    for text in ("", "x", "1.5", "-1", "nan", "0.5,", "0.5;0.2"):
        with pytest.raises(UserError, match="--threshold: expected numbers from 0"):
            read_probabilities(text, "--threshold")


def test_functions() -> None:
    assert read_functions("ReLU,nn.Tanh()") == ("relu", "tanh")
    assert read_functions("") is None
    with pytest.raises(UserError, match="--activation: expected sigmoid, relu"):
        read_functions("relu;")


def test_what_is_not_given() -> None:
    assert read_names(None, "--classes") is None
    assert read_probabilities(None, "--threshold") is None
    assert read_functions(None) is None
