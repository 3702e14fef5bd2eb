"""Models and versions that cannot be loaded: others serve, and these are named."""

import os
import shutil
import signal
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import ServingError, Settings
from tests.cli.test_cli import call
from tests.conftest import serve
from tests.process.test_workers import until
from tests.registry.test_reloading import ADMIN, ROWS, Served, put
from tests.running import BARE, TIMEOUT, serving, settings_of, until_ready

TEXT = "it is text, which begins with “no checkpoint”"
LISTED = {"bad/1", "good/2", "my model", "gone", "twice"}


def damage(path: Path) -> Path:
    """Put a file in place that is no whole checkpoint."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no checkpoint")
    return path


def fill(models: Path) -> None:
    """Put a good model among much that is none."""
    put(models / "good" / "1" / "model.safetensors", 1)
    damage(models / "good" / "2" / "model.safetensors")
    damage(models / "bad" / "1" / "model.safetensors")
    for version in ("1", "01"):
        put(models / "twice" / version / "model.safetensors", 2)
    put(models / "my model.safetensors", 2)
    (models / "lost+found").mkdir()
    (models / "empty").mkdir()
    (models / "gone").symlink_to("nowhere")
    (models / "same").symlink_to("good")


class Running(Served):
    """A running service, all of whose workers are asked."""

    def __init__(
        self, client: httpx.Client, models: Path, process: Any, workers: int
    ) -> None:
        super().__init__(client, models, process)
        self.workers = workers
        # Each of its requests is on a connection of its own.
        self.apart = httpx.Client(
            base_url=client.base_url,
            headers=ADMIN,
            timeout=TIMEOUT,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask until each worker has answered, all of them alike."""
        answers: dict[str, tuple[int, Any]] = {}
        for _ in range(100):
            answer = self.apart.request(method, path, **options)
            body = answer.json()
            if isinstance(body, dict):
                body.pop("request_id", None)
            process = answer.headers["x-request-id"][:20]
            answers[process] = answer.status_code, body
            if len(answers) == self.workers:
                break
        assert len(answers) == self.workers
        outcomes = list(answers.values())
        assert all(outcome == outcomes[0] for outcome in outcomes), outcomes
        return answer

    def code(self, path: str) -> str:
        """Return the code of the problem that all workers answer with."""
        method = "POST" if path.endswith("predict") else "GET"
        body = {"json": {"inputs": ROWS}} if method == "POST" else {}
        answer = self.ask(method, path, **body)
        return "" if answer.status_code == 200 else str(answer.json()["code"])

    def labels(self) -> set[str]:
        """Name what is passed over, and see that probe and list name the same."""
        listed = self.ask("GET", "/models").json().get("passed_over", [])
        probe = self.ask("GET", "/readyz")
        assert (probe.status_code, probe.json()["status"]) == (200, "ok")
        assert self.ask("GET", "/startupz").json() == {"status": "ok"}
        labels = [
            f"{each['name']}/{each['version']}" if each["version"] else each["name"]
            for each in listed
        ]
        told = [
            f"{label}: {each['reason']}"
            for label, each in zip(labels, listed, strict=True)
        ]
        assert probe.json().get("reasons", []) == told
        assert str(self.models) not in probe.text
        assert len(set(labels)) == len(labels)
        return set(labels)

    def hang_up(self, name: str) -> None:
        """Reload all, and wait until a model has been dealt with."""
        path = f"/models/{name}/reload"
        before = self.log_lines()
        self.process.send_signal(signal.SIGHUP)
        ends = f"model {name} reloaded", f"reload of {name} failed"

        def is_over() -> bool:
            new = "".join(self.log_lines()[len(before) :])
            return any(end in new for end in ends)

        until(is_over)
        self.client.post(path, headers=ADMIN)  # whatever was under way is over then

    def log_lines(self) -> list[str]:
        return (self.models.parent / "log").read_text().splitlines(keepends=True)


@pytest.fixture(scope="module", params=[1, 2], ids=["1 worker", "2 workers"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    models = tmp_path_factory.mktemp("served") / "models"
    fill(models)
    yield from started(models, request.param, SIGMOID_MODELS=str(models))


def started(
    models: Path, workers: int, *checkpoints: Path, **variables: str
) -> Iterator[Running]:
    """Run a service that may be told to reload, until all its workers serve."""
    folder = models.parent
    log, keys = folder / "log", folder / "keys"
    keys.write_text(f"root {sha256(b'secret').hexdigest()} admin\n")
    given = {"SIGMOID_WORKERS": str(workers), "SIGMOID_API_KEYS_FILE": str(keys)}
    with (
        serving(log, *checkpoints, **given, **variables, **BARE) as (process, address),
        httpx.Client(base_url=address, timeout=TIMEOUT, headers=ADMIN) as client,
    ):
        until_ready(client)
        until(lambda: log.read_text().count("Started server") == workers)
        running = Running(client, models, process, workers)
        with running.apart:
            yield running


@pytest.fixture
def fresh(running: Running) -> Running:
    """The service with the folder as it was at the start."""
    shutil.rmtree(running.models)
    fill(running.models)
    shutil.rmtree(running.models / "good" / "2")
    running.hang_up("good")
    damage(running.models / "good" / "2" / "model.safetensors")
    assert running.reload("good").status_code == 503
    return running


def test_the_start(running: Running) -> None:
    assert running.labels() == LISTED
    models = running.ask("GET", "/models").json()
    assert models["default"] == "good"
    assert [(m["name"], m["versions"]) for m in models["models"]] == [("good", ["1"])]
    log = "".join(running.log_lines())
    for label in (*LISTED, "lost+found", "empty"):
        assert log.count(f"WARNING [-] passed over: {label}: {running.models}") == 1
    assert log.count("INFO [-] passed over: same: ") == 1
    assert "Traceback" not in log


def test_asking_for_what_is_passed_over(fresh: Running) -> None:
    for name in ("bad", "twice", "gone", "my%20model"):
        assert fresh.code(f"/models/{name}") == "not_ready"
        assert fresh.code(f"/models/{name}/predict") == "not_ready"
        answer = fresh.reload(name)
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert TEXT in fresh.client.get("/models/bad").text
    assert "its versions 01 and 1 are one number" in fresh.reload("twice").text
    assert fresh.code("/models/good/versions/2/predict") == "not_ready"
    for name in ("nobody", "empty", "lost+found", "same"):
        assert fresh.code(f"/models/{name}") == "model_not_found"
        assert fresh.reload(name).status_code == 404
    assert fresh.code("/models/good/versions/9/predict") == "version_not_found"
    assert fresh.code("/predict") == ""
    assert fresh.labels() == LISTED


def test_a_model_that_became_good(fresh: Running) -> None:
    file = damage(fresh.models / "late" / "1" / "model.safetensors")
    for version in ("7", "007"):
        put(fresh.models / "both" / version / "model.safetensors", 2)
    assert fresh.code("/models/late") == "model_not_found"
    fresh.hang_up("good")
    assert fresh.labels() == LISTED | {"late/1", "both"}
    assert fresh.code("/models/late/predict") == "not_ready"
    put(file, 5)
    shutil.rmtree(fresh.models / "both" / "7")
    assert fresh.reload("late").json() == {"model": "late", "version": "1"}
    assert fresh.labels() == LISTED | {"both"}
    assert fresh.code("/models/late/predict") == ""
    assert fresh.reload("both").json() == {"model": "both", "version": "007"}
    assert fresh.labels() == LISTED


def test_a_model_of_which_a_version_became_good(fresh: Running) -> None:
    damage(fresh.models / "half" / "1" / "model.safetensors")
    put(fresh.models / "half" / "2" / "model.safetensors", 3)
    assert fresh.reload("half").json() == {"model": "half", "version": "2"}
    assert fresh.labels() == LISTED | {"half/1"}
    assert fresh.code("/models/half/versions/1/predict") == "not_ready"
    put(fresh.models / "half" / "1" / "model.safetensors", 4)
    assert fresh.reload("half").json() == {"model": "half", "version": "2"}
    assert fresh.labels() == LISTED
    assert fresh.code("/models/half/versions/1/predict") == ""


def test_a_good_version_above_a_broken_one(fresh: Running) -> None:
    put(fresh.models / "good" / "003" / "model.safetensors", 6)
    assert fresh.reload("good").json() == {"model": "good", "version": "003"}
    assert fresh.labels() == LISTED
    card = fresh.ask("GET", "/models/good").json()
    assert (card["version"], card["versions"]) == ("003", ["003", "1"])
    assert fresh.code("/models/good/versions/003/predict") == ""


def test_a_served_version_that_is_damaged(fresh: Running) -> None:
    before = fresh.answer("/models/good/predict")
    put(fresh.models / "good" / "3" / "model.safetensors", 6)
    path = damage(fresh.models / "good" / "1" / "model.safetensors")
    answer = fresh.reload("good")
    assert answer.status_code == 503
    assert (
        "reload of good failed, keeping the running version" in answer.json()["detail"]
    )
    assert f"version 1: {TEXT}" in answer.json()["detail"]
    assert fresh.labels() == LISTED | {"good/1"}
    assert fresh.answer("/models/good/predict") == before
    put(path, 1)
    assert fresh.reload("good").json() == {"model": "good", "version": "3"}
    assert fresh.labels() == LISTED


def test_hangup(fresh: Running) -> None:
    shutil.rmtree(fresh.models / "good" / "2")
    put(fresh.models / "good" / "3" / "model.safetensors", 7)
    put(fresh.models / "dawn" / "1" / "model.safetensors", 5)
    shutil.rmtree(fresh.models / "twice")
    shutil.rmtree(fresh.models / "bad")
    (fresh.models / "gone").unlink()
    damage(fresh.models / "new.safetensors")
    fresh.hang_up("good")
    assert fresh.labels() == {"my model", "new/1"}
    assert fresh.answer("/models/good/predict")["version"] == "3"
    assert fresh.code("/models/dawn/predict") == ""
    assert fresh.code("/models/bad") == "model_not_found"
    assert fresh.code("/models/twice") == "model_not_found"
    assert TEXT in fresh.client.get("/models/new").text


def test_the_root_is_gone_for_a_while(fresh: Running) -> None:
    before = fresh.answer("/models/good/predict")
    moved = fresh.models.rename(fresh.models.with_name("moved"))
    answer = fresh.reload("good")
    assert "its checkpoint is not there any more" in answer.json()["detail"]
    fresh.hang_up("good")
    assert fresh.labels() == {"models"}
    moved.rename(fresh.models)
    fresh.hang_up("good")
    assert fresh.labels() == LISTED
    assert fresh.answer("/models/good/predict") == before


@pytest.fixture(scope="module", params=[1, 2], ids=["1 worker", "2 workers"])
def named(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A service of several paths that were named, one of them a link.

    The tests that share it change models of their own.
    """
    folder = tmp_path_factory.mktemp("named")
    damage(folder / "b" / "a.safetensors")
    put(folder / "b" / "n.safetensors", 1)
    put(folder / "a" / "b.safetensors", 1)
    for name, seed in (("rev-a", 1), ("rev-b", 2)):
        put(folder / name / "1" / "model.safetensors", seed)
    (folder / "current").symlink_to("rev-a")
    models = folder / "models"
    put(models / "m" / "1" / "model.safetensors", 1)
    damage(models / "m" / "2" / "model.safetensors")
    put(models / "m" / "latest" / "model.safetensors", 1)
    z = Path(f"z={folder}/a/b.safetensors")
    paths = (folder / "b", z, folder / "current", models)
    yield from started(models, request.param, *paths)


def test_the_first_that_can_be_served_is_the_default(named: Running) -> None:
    listed = named.ask("GET", "/models").json()
    assert listed["default"] == "n"
    assert [model["name"] for model in listed["models"]] == ["current", "m", "n", "z"]
    assert "a" in [each["name"] for each in listed["passed_over"]]


def test_problems_known_from_the_start_do_not_stop_a_reload(named: Running) -> None:
    first, second = named.file(1), named.file(2)
    assert named.reload().json() == {"model": "m", "version": "1"}
    before = named.answer()
    put(first, 2)
    assert named.reload().json() == {"model": "m", "version": "1"}
    after = named.answer()
    assert after["logits"] != before["logits"]
    second.write_bytes(b"other damage")
    put(first, 3)
    for _ in range(2):
        assert "version 2: it is text" in named.reload().json()["detail"]
        assert named.answer() == after
    assert named.labels() == {"a/1", "m/2", "m/latest"}
    put(second, 4)
    assert named.reload().json() == {"model": "m", "version": "2"}
    assert named.labels() == {"a/1", "m/latest"}


def test_a_named_link_that_is_swapped(named: Running) -> None:
    folder = named.models.parent

    def sha() -> str:
        return str(named.client.get("/models/current").json()["sha256"])

    files = [folder / f"rev-{n}" / "1" / "model.safetensors" for n in "ab"]
    old, new = (sha256(file.read_bytes()).hexdigest() for file in files)
    assert sha() == old
    before = named.ask("GET", "/models").json()
    (folder / "next").symlink_to("rev-b")
    os.replace(folder / "next", folder / "current")
    named.process.send_signal(signal.SIGHUP)
    until(lambda: sha() == new)
    named.reload("m")  # whatever was under way is over then
    after = named.ask("GET", "/models").json()
    assert after["default"] == before["default"] == "n"
    names = [model["name"] for model in after["models"]]
    assert names == [model["name"] for model in before["models"]]
    assert after["passed_over"] == before["passed_over"]
    named.labels()


def test_nothing_can_be_served(tmp_path: Path) -> None:
    """Nor do workers serve it: the command ends with the sentence of one process."""
    root = tmp_path / "models"
    file = damage(root / "a" / "1" / "model.safetensors")
    (root / "lost+found").mkdir()
    with pytest.raises(ServingError) as caught:
        create_app(Settings(), [root])
    told = str(caught.value)
    assert told.startswith("there is nothing to serve: ")
    assert f"{root}/lost+found: the folder has no versions; " in told
    assert f"{file}: {TEXT}" in told
    outcome = call("serve", "--port", "0", "--workers", "2", root)
    assert outcome.returncode == 1
    assert "Traceback" not in outcome.stderr
    assert outcome.stderr.splitlines()[-1] == f"sigmoid-serve: {told}"


def test_a_named_model_without_a_good_version(tmp_path: Path) -> None:
    good = put(tmp_path / "good.safetensors", 1)
    file = damage(tmp_path / "a" / "1" / "model.safetensors")
    with pytest.raises(ServingError) as caught:
        create_app(Settings(activation=("sigmoid",)), [good, tmp_path / "a"])
    assert str(caught.value).startswith(f"{file}: it is text, which begins with ")


def test_the_application_follows_the_same_rules(tmp_path: Path) -> None:
    put(tmp_path / "models" / "good.safetensors", 1)
    bad = damage(tmp_path / "models" / "bad.safetensors")
    settings = Settings(models=(tmp_path / "models",), activation=("sigmoid",))
    registry = create_app(settings).state.context
    assert list(registry.registry.models) == ["good"]
    assert [each.label for each in registry.registry.passed_over] == ["bad/1"]
    with pytest.raises(ServingError, match="it is text, which begins with"):
        create_app(Settings(), [bad])


def test_many_are_told_of_in_bounds(tmp_path: Path) -> None:
    good = put(tmp_path / "good.safetensors", 1)
    for number in range(23):
        damage(tmp_path / "more" / f"{'é' * 60}{number:02}.safetensors")
    named = f"{tmp_path}/more:best={good}"
    with serve(settings_of(SIGMOID_MODELS=named, **BARE)) as client:
        reasons = client.get("/readyz").json()["reasons"]
        assert len(reasons) == 21
        assert reasons[-1] == "and 3 more"
        listed = client.get("/models").json()
        assert [model["name"] for model in listed["models"]] == ["best"]
        assert len(listed["passed_over"]) == 20
        assert listed["more_passed_over"] == 3
        assert max(map(len, reasons)) < 600
