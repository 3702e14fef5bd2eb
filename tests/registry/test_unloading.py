"""Models that are served no more until somebody loads them by name."""

import asyncio
import gc
import shutil
import weakref
from collections.abc import Awaitable
from pathlib import Path

import pytest

from sigmoid_serve.app import SingleProcess, make_single_process
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.health import bounded
from sigmoid_serve.monitoring.metrics import exposition, merged_cells
from sigmoid_serve.registry.registry import ModelRegistry
from sigmoid_serve.registry.reloading import require_another, unloaded_after
from sigmoid_serve.registry.startup import read_at_startup
from tests.registry.test_reloading import put

VERSIONS = (2, 10)


def file(folder: Path, name: str, version: int) -> Path:
    return folder / name / str(version) / "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Models `m`, of two versions and a damaged one, and `other`."""
    for number in VERSIONS:
        put(file(tmp_path, "m", number), number)
    put(file(tmp_path, "m", 3), 3).write_bytes(b"damaged")
    put(file(tmp_path, "other", 1), 9)
    return tmp_path


@pytest.fixture
def single(folder: Path) -> SingleProcess:
    single = make_single_process(Settings(activation=("sigmoid",)), [folder])
    single.models.start(*read_at_startup(single.model_repository))
    return single


def do(*changes: Awaitable[None]) -> list[str]:
    """Make changes at once; return the code of each, or `ok`."""

    async def gather() -> list[BaseException | None]:
        return await asyncio.gather(*changes, return_exceptions=True)

    def told(outcome: BaseException | None) -> str:
        assert outcome is None or isinstance(outcome, ServiceError), outcome
        return outcome.code if outcome else "ok"

    return list(map(told, asyncio.run(gather())))


def code(single: SingleProcess, name: str, version: str | None = None) -> str:
    try:
        single.context.registry.find(name, version)
    except ServiceError as error:
        return error.code
    return "ok"


def test_a_model_that_is_unloaded(single: SingleProcess) -> None:
    registry, reloader = single.context.registry, single.reloader
    assert [each.label for each in registry.passed_over] == ["m/3"]
    assert do(reloader.unload("m")) == ["ok"]
    assert list(registry.models) == ["other"]
    assert registry.unloaded == {"m": ("10", "2")}
    assert registry.default == "m"
    for version in (None, "2", "3", "4"):
        with pytest.raises(
            ServiceError,
            match="m is not served: it was unloaded; POST "
            "/v2/repository/models/m/load loads it",
        ) as caught:
            registry.find("m", version)
        assert caught.value.code == "not_ready"
    # Nobody misses it.
    readiness = single.context.readiness
    assert (readiness.reasons(), bounded(readiness.remarks())) == ([], [])
    assert do(reloader.unload("m")) == ["ok"]
    assert do(reloader.reload("m")) == ["ok"]
    assert list(registry.models["m"]) == ["10", "2"]
    assert registry.unloaded == {}
    assert [each.label for each in registry.passed_over] == ["m/3"]


def test_names_that_cannot_be_unloaded(single: SingleProcess) -> None:
    reloader = single.reloader
    assert do(reloader.unload("nobody")) == ["model_not_found"]
    assert do(reloader.unload("m")) == ["ok"]
    assert do(reloader.unload("other")) == ["last_model"]
    assert code(single, "other") == "ok"
    assert do(reloader.reload("m"), reloader.unload("other")) == ["ok", "last_model"]
    assert do(reloader.unload("other")) == ["ok"]


def test_nothing_is_unloaded_before_it_is_loaded(folder: Path) -> None:
    single = make_single_process(Settings(activation=("sigmoid",)), [folder])
    assert do(single.reloader.unload("m")) == ["not_ready"]


def test_two_at_once_leave_one(single: SingleProcess) -> None:
    outcomes = do(single.reloader.unload("m"), single.reloader.unload("other"))
    assert sorted(outcomes) == ["last_model", "ok"]
    assert len(single.context.registry.models) == 1
    assert not single.context.registry.is_loading


@pytest.mark.parametrize("order", ["reload first", "unload first"])
def test_a_reload_of_the_same_model_meanwhile(
    single: SingleProcess, order: str
) -> None:
    """They come one after the other, as they were asked for."""
    changes = [single.reloader.reload("m"), single.reloader.unload("m")]
    if order == "unload first":
        changes.reverse()
    assert do(*changes) == ["ok", "ok"]
    is_served = order == "unload first"
    assert code(single, "m") == ("ok" if is_served else "not_ready")
    assert ("m" in single.context.registry.unloaded) is not is_served


def test_a_reload_of_all_passes_over_it(single: SingleProcess, folder: Path) -> None:
    put(file(folder, "other", 2), 1)
    put(file(folder, "new", 1), 2)

    async def reload_all() -> None:
        await single.reloader.unload("m")
        single.reloader.reload_all()
        await single.reloader.reload("new")  # which waits for it

    asyncio.run(reload_all())
    registry = single.context.registry
    assert {n: list(v) for n, v in registry.models.items()} == {
        "new": ["1"],
        "other": ["2", "1"],
    }
    assert list(registry.unloaded) == ["m"]


def test_a_load_that_fails_leaves_it_unloaded(
    single: SingleProcess, folder: Path
) -> None:
    reloader, registry = single.reloader, single.context.registry
    assert do(reloader.unload("m")) == ["ok"]
    for number in VERSIONS:
        file(folder, "m", number).write_bytes(b"damaged")
    assert do(reloader.reload("m")) == ["not_ready"]
    assert [each.label for each in registry.passed_over] == ["m/10", "m/2", "m/3"]
    assert list(registry.unloaded) == ["m"]
    shutil.rmtree(folder / "m")
    assert do(reloader.reload("m")) == ["model_not_found"]
    assert registry.passed_over == ()
    assert (list(registry.unloaded), code(single, "m")) == (["m"], "not_ready")
    put(file(folder, "m", 1), 1)
    assert do(reloader.reload("m")) == ["ok"]
    assert registry.find("m").number == "1"


def test_its_weights_are_freed(single: SingleProcess) -> None:
    engine = weakref.ref(single.context.registry.find("m").engine)
    gc.disable()  # no cycle keeps them, as what is frozen is never collected
    try:
        do(single.reloader.unload("m"))
        assert engine() is None
    finally:
        gc.enable()


def test_the_metrics_do_not_grow(single: SingleProcess) -> None:
    memory = single.context.telemetry.memory

    def served() -> set[tuple[str, ...]]:
        text = exposition(memory).decode()
        found = [line for line in text.splitlines() if "_load_seconds{" in line]
        return {tuple(line.split('"')[1::2]) for line in found}

    def count() -> int:
        return sum(map(len, merged_cells(memory).values()))

    do(single.reloader.unload("m"))
    assert served() == {("other", "1")}
    do(single.reloader.reload("m"))
    assert served() == {("other", "1"), ("m", "2"), ("m", "10")}
    before = count()
    for _ in range(5):
        do(single.reloader.unload("m"))
        do(single.reloader.reload("m"))
    assert count() == before
    cells = merged_cells(memory)["sigmoid_unloads_total"]
    assert cells == {("m", "success"): [6.0]}


class Watched(ModelRegistry):
    """Finds a model after each step of a change, as other threads may.

    Attributes:
        told: What it was told.
    """

    told: list[str]

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if "told" in vars(self) and name != "told":
            try:
                self.told.append(self.find("m", "2").number)
            except ServiceError as error:
                self.told.append(error.code)


def test_at_any_time_it_is_served_or_unloaded(single: SingleProcess) -> None:
    versions = list(single.context.registry.models["m"].values())
    others = list(single.context.registry.models["other"].values())
    registry = Watched()
    registry.put([*versions, *others], {}, "m")
    registry.told = []
    for _ in range(2):
        registry.put([], {"m": ("10", "2")})
        registry.put(versions, {})
    assert set(registry.told) == {"2", "not_ready"}
    assert registry.told[-1] == "2"


def test_it_is_found_where_it_is_loaded_meanwhile(single: SingleProcess) -> None:
    registry = single.context.registry
    versions = list(registry.models["m"].values())

    class Loading(dict[str, tuple[str, ...]]):
        def __contains__(self, name: object) -> bool:
            registry.put(versions, {})
            return False

    registry.put([], {"m": ("10", "2")})
    registry.unloaded = Loading()
    assert registry.find("m").number == "10"


def test_the_rules() -> None:
    assert unloaded_after({}, "m", ["9", "10"]) == {"m": ("10", "9")}
    assert unloaded_after({"m": ("1",), "n": ("2",)}, "m", []) == {"n": ("2",)}
    require_another("m", ["m", "n"])
    with pytest.raises(ServiceError) as caught:
        require_another("m", ["m"])
    assert caught.value.code == "last_model"
