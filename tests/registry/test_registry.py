"""Which models are served under which names."""

import logging
import shutil
from pathlib import Path

import pytest
import torch

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard
from sigmoid_models.checkpoint import save_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_models.intake.named import Named
from sigmoid_serve.configuration.settings import ServingError
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.monitoring.metrics import new_memory
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.loading import Loader
from sigmoid_serve.registry.registry import ModelRegistry
from sigmoid_serve.registry.startup import read_at_startup
from sigmoid_serve.registry.updating import ModelUpdater
from sigmoid_serve.repository.model_repository import PRETRAINED, make_repository

CPU = torch.device("cpu")
CARD = ModelCard(
    architecture=Architecture(kind="Classifier", sizes=(4, 5, 3)),
    activation="sigmoid",
    task="multiclass",
)


def put(path: Path, card: ModelCard = CARD) -> Path:
    if path.suffix == ".safetensors":
        save_checkpoint(path, Classifier(4, 5, 3), card)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(Classifier(4, 5, 3).state_dict(), path)
    return path


def found(path: Path) -> list[tuple[str, str, Path]]:
    files, problems = make_repository((path,), ()).scan()
    assert not [each for each in problems if each.is_listed]
    return sorted((s.name, s.version, s.path) for s in files)


def load(*paths: Path, searched: tuple[Path, ...] = ()) -> ModelRegistry:
    telemetry = Telemetry(new_memory(1), 0)
    registry = ModelRegistry()
    named = Named(activation=("sigmoid",))
    loader = Loader(CPU, 1, 64, telemetry.on_batch, named)
    updater = ModelUpdater(registry, loader, telemetry)
    updater.start(*read_at_startup(make_repository(paths, searched)))
    return registry


def start_error(*paths: Path) -> str:
    with pytest.raises(ServingError) as caught:
        load(*paths)
    message = str(caught.value)
    assert "; " in message
    assert len(message.splitlines()) == 1
    return message


def test_a_file(tmp_path: Path) -> None:
    path = put(tmp_path / "my.model-2.pt")
    assert found(path) == [("my.model-2", "1", path)]


def test_a_folder_of_names(tmp_path: Path) -> None:
    b = put(tmp_path / "b" / "2" / "model.safetensors")
    a10 = put(tmp_path / "a" / "10" / "model.pt")
    a9 = put(tmp_path / "a" / "9" / "model.pth")
    (tmp_path / "README").write_text("passed over")
    assert found(tmp_path) == [("a", "10", a10), ("a", "9", a9), ("b", "2", b)]


def test_a_folder_that_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "name" / "0" / "model.safetensors")
    assert found(tmp_path / "name") == [("name", "0", path)]
    monkeypatch.chdir(tmp_path / "name")
    assert [each[:2] for each in found(Path())] == [("name", "0")]


def test_a_folder_of_loose_files(tmp_path: Path) -> None:
    paths = [put(tmp_path / f"{name}") for name in ("a.pt", "b.pth", "c.safetensors")]
    nested = put(tmp_path / "d" / "1" / "model.pt")
    assert found(tmp_path) == [
        ("a", "1", paths[0]),
        ("b", "1", paths[1]),
        ("c", "1", paths[2]),
        ("d", "1", nested),
    ]


def test_hidden_entries_are_passed_over(tmp_path: Path) -> None:
    path = put(tmp_path / "a" / "1" / "model.pt")
    put(tmp_path / ".git" / "1" / "model.pt")
    put(tmp_path / "a" / ".2" / "model.pt")
    (tmp_path / "._a.pt").write_bytes(b"what macOS leaves behind")
    assert found(tmp_path) == [("a", "1", path)]


def test_the_name_twice(tmp_path: Path) -> None:
    a, b = put(tmp_path / "x" / "m.pt"), put(tmp_path / "y" / "m.safetensors")
    assert start_error(a, b).startswith(f"{b}: {a} already gave a model the name m;")
    assert "already gave" in start_error(
        a, put(tmp_path / "z" / "m" / "1" / "model.pt").parents[1]
    )
    assert "already gave" in start_error(
        put(tmp_path / "z" / "m" / "1" / "model.pt").parent.parent,
        put(tmp_path / "w" / "m" / "2" / "model.pt").parent.parent,
    )


def test_the_same_path_twice(tmp_path: Path) -> None:
    path = put(tmp_path / "m.pt")
    assert start_error(path, path).startswith(f"{path}: {path} already gave a model")
    again = Path(str(path))
    assert start_error(path, again).startswith(f"{path}: {path} already gave a model")
    nested = put(tmp_path / "x" / "m" / "1" / "model.pt").parent.parent
    for second in (nested, nested.parent):
        assert "already gave a model the name m" in start_error(nested, second)


def test_the_first_with_a_name_is_told(tmp_path: Path) -> None:
    first = put(tmp_path / "x" / "m" / "1" / "model.pt")
    second = put(tmp_path / "y" / "m" / "2" / "model.pt")
    message = start_error(first.parents[1], second.parents[1])
    assert message.startswith(f"{second}: {first} already gave a model the name m; ")


@pytest.mark.parametrize("name", ["sigmoid", "stats", "a b", "é", "x" * 65])
def test_names_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    assert "a model cannot be called" in start_error(put(tmp_path / f"{name}.pt"))
    put(tmp_path / "in" / name / "1" / "model.pt")
    assert "a model cannot be called" in start_error(tmp_path / "in")


@pytest.mark.parametrize("name", [".", ".."])
def test_names_that_a_client_would_take_for_folders(tmp_path: Path, name: str) -> None:
    message = start_error(put(tmp_path / f"{name}.pt"))
    assert f"a model cannot be called {name}; use " in message
    assert "but not . .. sigmoid stats" in message


def test_names_with_dots(tmp_path: Path) -> None:
    paths = [put(tmp_path / f"{name}.pt") for name in ("...", "..a", "a..")]
    assert [found(path)[0][0] for path in paths] == ["...", "..a", "a.."]


@pytest.mark.parametrize("version", ["v1", "1.0", "latest", "-1", "１", "1" * 31])
def test_versions_that_cannot_be_used(tmp_path: Path, version: str) -> None:
    put(tmp_path / "a" / version / "model.pt")
    assert "a version is a decimal number" in start_error(tmp_path)


def test_not_one_checkpoint_in_a_version(tmp_path: Path) -> None:
    path = put(tmp_path / "a" / "1" / "model.pt")
    put(path.with_suffix(".safetensors"))
    assert "it has 2 checkpoints" in start_error(tmp_path)
    for file in path.parent.iterdir():
        file.rename(file.with_stem("other"))
    assert "it has 0 checkpoints" in start_error(tmp_path)


def test_nothing_to_serve(tmp_path: Path) -> None:
    assert "the folder has no model" in start_error(tmp_path)
    (tmp_path / "a").mkdir()
    assert "the folder has no versions" in start_error(tmp_path)
    assert "No such file" in start_error(tmp_path / "missing.pt")


def test_default_model(tmp_path: Path) -> None:
    a, b = put(tmp_path / "a.pt"), put(tmp_path / "b.pt")
    assert load(b, a).default == "b"
    assert load(searched=(b, a)).default == "a"
    assert load(b, searched=(a,)).default == "b"
    assert list(load(b, searched=(a,)).models) == ["b"]
    assert list(load(b, a).models) == ["a", "b"]


def test_newest_version_is_the_greatest_number(tmp_path: Path) -> None:
    for version in ("9", "10", "2"):
        put(tmp_path / "a" / version / "model.pt")
    registry = load(tmp_path)
    assert list(registry.models["a"]) == ["10", "9", "2"]
    assert registry.find("a").number == "10"
    assert registry.find("a", "9").number == "9"


def test_what_is_not_there(tmp_path: Path) -> None:
    registry = load(put(tmp_path / "a.pt"))
    for name, version, code in (
        ("b", None, "model_not_found"),
        ("b\n" * 500, "1", "model_not_found"),
        ("a", "2", "version_not_found"),
        ("a", "01", "version_not_found"),
    ):
        with pytest.raises(ServiceError) as caught:
            registry.find(name, version)
        assert caught.value.code == code
        assert "\n" not in caught.value.detail


def test_golden_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    golden = Golden(inputs=((1, 2, 3, 4),), logits=((9e9, 0, 0),))
    card = CARD.model_copy(update={"golden": golden})
    bad = put(tmp_path / "bad.safetensors", card)
    endless = Golden(inputs=((1e300, 2, 3, 4),), logits=((0, 0, 0),))
    far = put(tmp_path / "far.safetensors", CARD.model_copy(update={"golden": endless}))
    with caplog.at_level(logging.INFO):
        registry = load(bad, far, put(tmp_path / "good.pt"))
    states = {n: v["1"].state for n, v in registry.models.items()}
    assert states == {"bad": "failed", "far": "failed", "good": "ready"}
    first, second = registry.faults()
    assert first.startswith("model bad version 1: golden check failed: logits are off")
    assert second.startswith("model far version 1: golden check failed: expected")
    levels = [record.levelno for record in caplog.records]
    # The last are of the good one: its task is the usual one, and it has no scaler.
    assert levels[:2] == [logging.ERROR, logging.ERROR]
    assert levels[2:] == [logging.INFO, logging.INFO, logging.WARNING]


def test_the_pretrained_models(tmp_path: Path) -> None:
    registry = load(searched=(PRETRAINED,))
    assert registry.default == "breast-cancer"
    assert list(registry.models) == ["breast-cancer", "digits"]
    assert registry.faults() == []
    copy = tmp_path / "copy"
    shutil.copytree(PRETRAINED / "digits", copy)
    assert load(copy).find("copy").sha256 == registry.find("digits").sha256


def test_a_loader_gives_back_what_it_has_loaded(tmp_path: Path) -> None:
    path = put(tmp_path / "m.pt")
    contents, _ = read_at_startup(make_repository((path,), ()))
    named = Named(activation=("sigmoid",))
    loader = Loader(CPU, 1, 64, lambda *_: lambda _: None, named)
    (version,), problems = loader.load(contents, {})
    assert not problems
    with pytest.raises(ValueError, match="closed"):
        contents[0].data[:]
    contents, _ = read_at_startup(make_repository((path,), ()))
    kept = loader.load(contents, {"m": {"1": version}})
    assert kept.versions == [version]
    assert contents[0].data[:] == path.read_bytes()
