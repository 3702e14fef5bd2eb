"""The benchmark: what it sends, how it finds two trees, how it compares them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest

from benchmark import BenchmarkError, report, wrk
from benchmark.client import JSON, Connection, Request
from benchmark.comparison import all_pairs, comparison_table
from benchmark.earlier import Results, read_results, renewed, require_same_machine
from benchmark.figures import Figures, Key
from benchmark.payloads import (
    asked,
    classifier,
    large_classifier,
    wide_classifier,
    write_checkpoint,
)
from benchmark.programs import EMPTY, OTHER, OURS, ours, references
from benchmark.servers import cpu_seconds
from benchmark.session import Session
from benchmark.trees import INSTALLED, Tree, copy_tree, find_packages
from benchmark.ways import short_tasks
from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "bench"
ROW = Request("POST", "/predict", b'{"inputs":[[1]]}', (("Content-Type", JSON),))
HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
)
CHUNKED = Request(ROW.method, ROW.path, ROW.body, ROW.headers, is_chunked=True)
CHUNKED_MESSAGE = (
    HEAD + b'Transfer-Encoding: chunked\r\n\r\n10\r\n{"inputs":[[1]]}\r\n0\r\n\r\n'
)


def test_a_request_is_written_whole_or_chunked() -> None:
    assert ROW.message() == HEAD + b'Content-Length: 16\r\n\r\n{"inputs":[[1]]}'
    assert CHUNKED.message() == CHUNKED_MESSAGE


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.parametrize("request_", [ROW, CHUNKED])
def test_wrk_sends_what_the_client_sends(request_: Request) -> None:
    message = request_.message()
    received = bytearray()

    def answer(listener: socket.socket) -> None:
        # The first connection is only wrk's trial whether anyone is there.
        with listener, listener.accept()[0]:
            connection = listener.accept()[0]
        with connection, suppress(ConnectionError):  # wrk ends amid an answer
            while data := connection.recv(65536):
                received.extend(data)
                if len(received) % len(message) == 0:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    listener = socket.create_server(("127.0.0.1", 0))
    thread = Thread(target=answer, args=(listener,))
    thread.start()
    load = wrk.run(listener.getsockname()[1], request_, 1, 1, cores=[0])
    thread.join()
    assert load.rate > 0
    count, rest = divmod(len(received), len(message))
    assert received == message * count + message[:rest]


def test_each_way_gets_the_same_answer(tmp_path: Path) -> None:
    network = wide_classifier()
    file = write_checkpoint(tmp_path / "wide.pt", network)
    tasks = short_tasks("wide", network)
    with serve(Settings(activation=("sigmoid",)), [file]) as client:
        connection = Connection(client.base_url.port or 0)
        answers = {name: asked(connection, task) for name, task in tasks.items()}
        connection.close()
    assert list(answers) == ["whole", "chunked", "versioned"]
    assert len(set(answers.values())) == 1


def test_the_large_network_is_not_computed_on_the_event_loop() -> None:
    sizes = [parameter.numel() for parameter in large_classifier().parameters()]
    assert sum(sizes) > 2**23


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"print({name!r}, __file__)\n")
    return root


OLD = ("service/__init__.py", "service/__main__.py", "models/__init__.py")
NEW = (
    "service/sigmoid_serve/__init__.py",
    "service/sigmoid_serve/__main__.py",
    "models/sigmoid_models/__init__.py",
)


def test_the_layout_of_a_tree_is_found(tmp_path: Path) -> None:
    old, new = touch(tmp_path / "old", *OLD), touch(tmp_path / "new", *NEW)
    assert find_packages(old) == Tree("service", (old,))
    assert find_packages(new) == Tree(
        "sigmoid_serve", (new / "service", new / "models")
    )
    assert find_packages(ROOT).module == "sigmoid_serve"
    with pytest.raises(BenchmarkError, match=r"neither service/sigmoid_serve nor"):
        find_packages(tmp_path)


@pytest.mark.parametrize("files", [OLD, NEW])
def test_a_copy_is_compiled_and_is_what_runs(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    root = touch(tmp_path / "tree", *files, "service/__pycache__/old.pyc", "README.md")
    tree = copy_tree(root, tmp_path / "copy")
    command = ours([], tree).command(80)
    assert command[:4] == [sys.executable, "-m", tree.module, "serve"]
    said = subprocess.run(
        command, env=dict(tree.environment), capture_output=True, text=True, check=True
    )
    main = tmp_path / "copy" / files[1]
    assert said.stdout.splitlines()[-1] == f"{files[1]} {main}"
    caches = {path.parent.parent for path in (tmp_path / "copy").rglob("*.pyc")}
    assert caches == {(tmp_path / "copy" / file).parent for file in files}
    assert not (tmp_path / "copy" / "README.md").exists()
    assert not (tmp_path / "copy" / "service/__pycache__/old.pyc").exists()


def test_what_is_installed_needs_no_path() -> None:
    assert INSTALLED.environment == {}
    assert find_packages(ROOT).environment == {
        "PYTHONPATH": f"{ROOT / 'service'}:{ROOT / 'models'}"
    }


def test_the_cpu_time_of_a_server_is_that_of_its_children_too() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    start = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', code])\n"
    code = (
        f"code = {burn + 'print(flush=True); time.sleep(60)'!r}\n{start}{burn}input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as leader:
        assert leader.stdout
        leader.stdout.readline()
        deadline = monotonic() + 60
        while cpu_seconds(leader.pid) < 0.5 and monotonic() < deadline:
            sleep(0.05)
        assert 0.5 <= cpu_seconds(leader.pid) < 5
        os.killpg(leader.pid, signal.SIGKILL)
    assert cpu_seconds(2**30) == 0


def test_programs_that_do_not_take_part_are_left_out(tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path / "model.pt", classifier())
    programs = [ours([file]), ours([file], name=OTHER), *references(file)]

    def order(number: int) -> list[str]:
        session = Session(
            {program.name: program for program in programs[:2]},
            tmp_path,
            seconds=1,
            number=number,
            show=print,
            figures={},
        )
        return [program.name for program in session.in_turn(OURS, OTHER, EMPTY)]

    assert [order(number) for number in range(3)] == [
        [OURS, OTHER],
        [OTHER, OURS],
        [OURS, OTHER],
    ]


def figures_of_two_trees() -> Figures:
    rate, memory = "requests per second", "idle bytes"
    mebibyte = 2.0**20
    return {
        Key("W1", "32", OURS, rate): [100.0, 300.0, 220.0],
        Key("W1", "32", OURS, "p50 ms"): [1.0, 1.0, 1.0],
        Key("W1", "32", OURS, "CPU us per request"): [20.0, 20.0, 20.0],
        Key("W1", "32", OTHER, "CPU us per request"): [25.0, 20.0, 10.0],
        Key("W1", "32", OTHER, rate): [200.0, 200.0, 200.0],
        Key("W1", "32", OTHER, "p50 ms"): [1.0, 1.0, 1.0],
        Key("W4", "1", OURS, "p50 ms"): [0.5, 0.4, 0.5],
        Key("W4", "1", OURS, "p99 ms"): [9.0, 9.0, 9.0],
        Key("W4", "1", OTHER, "p50 ms"): [0.25, 0.6, 0.5],
        Key("W4", "1", OTHER, "p99 ms"): [9.0, 9.0, 9.0],
        Key("memory", "", OTHER, memory): [30 * mebibyte, 60 * mebibyte],
        Key("memory", "", OURS, memory): [40 * mebibyte, 40 * mebibyte],
    }


def test_the_ratio_is_above_one_where_this_tree_is_better() -> None:
    ratios = {pairs.key: pairs.ratios for pairs in all_pairs(figures_of_two_trees())}
    assert ratios == {
        Key("W1", "32", OURS, "requests per second"): [0.5, 1.5, 1.1],
        Key("W1", "32", OURS, "CPU us per request"): [1.25, 1.0, 0.5],
        Key("W4", "1", OURS, "p50 ms"): [0.5, pytest.approx(1.5), 1.0],
        Key("memory", "", OURS, "idle bytes"): [0.75, 1.5],
    }


def test_the_median_of_the_ratios_is_shown_with_the_least_and_the_largest() -> None:
    assert comparison_table(figures_of_two_trees()).rows == [
        ["W1", "32", "requests per second", "220", "200", "1.100", "0.500", "1.500"],
        ["W1", "32", "CPU us per request", "20.0", "20.0", "1.000", "0.500", "1.250"],
        ["W4", "1", "p50 ms", "0.500", "0.500", "1.000", "0.500", "1.500"],
        ["memory", "", "idle MiB", "40.0", "45.0", "1.125", "0.750", "1.500"],
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--only", "w3"], "--against measures no w3"),
        (["--output", "out"], "--against goes with neither --output nor --peers"),
    ],
)
def test_what_does_not_go_with_another_tree(arguments: list[str], error: str) -> None:
    command = [sys.executable, str(SCRIPT), "--against", str(ROOT), *arguments]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert error in said.stderr


def key(workload: str) -> Key:
    return Key(workload, "", OURS, "seconds")


def test_workloads_measured_anew_replace_their_own_results_alone(
    tmp_path: Path,
) -> None:
    machine = {"cores": "2", "torch": "2"}
    path = tmp_path / "results.json"
    kept = {key("start"): [1.0, 2.0], key("livez"): [3.0, 4.0]}
    report.write_json(path, machine, {"date": "today"}, kept, [])
    old = read_results(path)
    assert old == Results(machine, {"date": "today"}, kept)
    new = Results(
        {**machine, "GPU": "none"}, {"date": "later", "rounds": 1}, {key("livez"): [5]}
    )
    assert renewed(old, new, "livez") == (
        {**machine, "GPU": "none"},
        {"date": "today", "livez anew:": "date later, rounds 1"},
        {key("start"): [1.0, 2.0], key("livez"): [5]},
    )
    assert renewed(read_results(tmp_path / "missing.json"), new, "livez") == new
    require_same_machine(old.machine, new.machine)
    with pytest.raises(BenchmarkError, match="are of torch 2, and this is 3"):
        require_same_machine(old.machine, {**machine, "torch": "3"})
