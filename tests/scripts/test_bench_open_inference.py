"""The benchmark by the Open Inference Protocol: requests, who gets them, targets."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import orjson
import pytest

from benchmark import BenchmarkError
from benchmark.client import Connection
from benchmark.figures import RATE, Figures, Key
from benchmark.open_inference import passes
from benchmark.open_inference.targets import v2_targets
from benchmark.open_inference.tasks import (
    HEADER_LENGTH,
    binary_predict_task,
    json_predict_task,
    read_output,
)
from benchmark.payloads import asked, classifier, write_checkpoint
from benchmark.programs import KSERVE, MLSERVER, OURS, PEERS, PYTRITON, peers
from benchmark.servers import ALL_CORES, on_all_cores
from benchmark.tables import all_tables
from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "tasks",
    [passes.rows_tasks, passes.batch_tasks, passes.sigmoid_tasks],
    ids=["rows", "batch", "sigmoid"],
)
def test_ours_answers_by_the_protocol_and_natively(
    tmp_path: Path, tasks: Callable[[], passes.Tasks]
) -> None:
    file = write_checkpoint(tmp_path / "model.pt", classifier())
    with serve(Settings(activation=("sigmoid",)), [file]) as client:
        connection = Connection(client.base_url.port or 0)
        for _, task in tasks()[OURS]:
            asked(connection, task)
        connection.close()


def test_who_is_asked_for_what() -> None:
    by_workload = [passes.rows_tasks(), passes.batch_tasks(), passes.sigmoid_tasks()]
    assert [[*tasks] for tasks in by_workload] == [
        [OURS, MLSERVER, KSERVE, PYTRITON],
        [OURS, KSERVE, PYTRITON],
        [OURS, PYTRITON],
    ]
    for tasks in by_workload:
        paths = {task.request.path for named in tasks.values() for _, task in named}
        assert len(paths) == 2  # of the protocol, and our native one
        messages = {named[0][1].request.message() for named in tasks.values()}
        assert len(messages) == 1  # every server gets the same bytes


def test_a_binary_request_says_where_its_json_ends() -> None:
    request = binary_predict_task(3).request
    head = request.body[: int(dict(request.headers)[HEADER_LENGTH])]
    (tensor,) = orjson.loads(head)["inputs"]
    assert tensor["shape"] == [3, 10]
    assert tensor["parameters"]["binary_data_size"] == len(request.body) - len(head)
    assert len(request.body) - len(head) == 4 * 3 * 10


def answer(*outputs: dict[str, object], raw: bytes = b"") -> bytes:
    return orjson.dumps({"model_name": "µ", "outputs": outputs}) + raw


def output(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "datatype": "FP32", "shape": [1, 2], **more}


def binary(name: str) -> dict[str, object]:
    return output(name, parameters={"binary_data_size": 8})


RAW = np.array([1, 2, 3, 4], "<f4").tobytes()


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (answer(output("logits", data=[3, 4])), [[3, 4]]),
        (answer(output("logits", data=[[3, 4]], parameters=None)), [[3, 4]]),
        (answer(output("other", data=[0, 0]), binary("logits"), raw=RAW), [[1, 2]]),
        (answer(binary("other"), binary("logits"), raw=RAW), [[3, 4]]),
        (answer(binary("other"), raw=RAW), None),
        (answer({**output("logits", data=[3, 4]), "datatype": "FP64"}), None),
    ],
    ids=["flat", "nested", "mixed", "second", "another", "datatype"],
)
def test_an_output_is_read_from_json_or_from_the_bytes_behind_it(
    body: bytes, wanted: list[list[float]] | None
) -> None:
    got = read_output(body, "logits")
    assert (None if got is None else got.tolist()) == wanted


def test_a_wrong_answer_is_noticed() -> None:
    for task in (json_predict_task(1), binary_predict_task(1)):
        assert not task.is_right(answer(output("logits", data=[3, 4])))
        assert not task.is_right(answer(output("probabilities", data=[3, 4])))


@pytest.mark.parametrize("part", [1, 7, 65536])
def test_an_answer_in_chunks_is_read_like_one_of_a_declared_length(part: int) -> None:
    body = bytes(range(256)) * 300
    head = OK + b"Transfer-Encoding: Chunked\r\n\r\n"
    chunks = b"a;name=value\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
    whole = OK + b"Content-Length: 2\r\n\r\nok"
    chunked = head + chunks % (body[:10], len(body) - 10, body[10:])

    def send(listener: socket.socket) -> None:
        with listener, listener.accept()[0] as peer:
            for message in (chunked, whole):
                peer.recv(65536)
                for start in range(0, len(message), part):
                    peer.sendall(message[start : start + part])

    listener = socket.create_server(("127.0.0.1", 0))
    thread = Thread(target=send, args=(listener,))
    thread.start()
    connection = Connection(listener.getsockname()[1])
    connection.ask(b"first")
    assert connection.body() == body
    connection.ask(b"second")
    assert connection.body() == b"ok"
    connection.close()
    thread.join()


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (OK, "a server's answer has no Content-Length"),
        (b"HTTP/1.1 400 Bad Request\r\n", "answered 'HTTP/1.1 400 Bad Request'"),
    ],
    ids=["length", "status"],
)
def test_an_answer_that_cannot_be_timed_ends_the_benchmark(
    head: bytes, fault: str
) -> None:
    def send(listener: socket.socket) -> None:
        with listener, listener.accept()[0] as peer:
            peer.recv(65536)
            peer.sendall(head + b"\r\n")

    listener = socket.create_server(("127.0.0.1", 0))
    thread = Thread(target=send, args=(listener,))
    thread.start()
    connection = Connection(listener.getsockname()[1])
    with pytest.raises(BenchmarkError, match=fault):
        connection.ask(b"any")
    connection.close()
    thread.join()


def test_each_peer_has_a_script_and_an_interpreter(tmp_path: Path) -> None:
    pythons = {peer.package: sys.executable for peer in PEERS}
    programs = peers(tmp_path / "model.pt", pythons)
    assert [program.name for program in programs] == [peer.name for peer in PEERS]
    for program in programs:
        python, _, script, *rest = program.command(80)
        assert python == sys.executable
        assert Path(script).is_file()
        assert rest[:2] == [str(tmp_path / "model.pt"), "80"]
    with pytest.raises(BenchmarkError, match="kserve: there is no nowhere"):
        peers(tmp_path / "model.pt", {"kserve": "nowhere"})


def test_the_client_may_use_all_cores_for_a_while() -> None:
    before = os.sched_getaffinity(0)
    if not set(ALL_CORES) <= before:
        pytest.skip("two cores are needed")
    with on_all_cores():
        assert os.sched_getaffinity(0) == set(ALL_CORES)
    assert os.sched_getaffinity(0) == before


def v2_figures(suffix: str) -> Figures:
    def rates(workload: str, case: str, **values: float) -> Figures:
        return {
            Key(workload + suffix, case, name.replace("_", ", "), RATE): [value]
            for name, value in values.items()
        }

    def seconds(server: str, value: float) -> Figures:
        return {Key(passes.SIGMOID + suffix, "", server, "seconds"): [value]}

    return {
        **rates("v2 rows", "32", ours=800.0, ours_native=1000.0, kserve=161.0),
        **rates("v2 batch", "4", ours=200.0, pytriton=100.0),
        **seconds(OURS, 0.012),
        **seconds(passes.NPY, 0.010),
        **seconds(PYTRITON, 0.0119),
    }


@pytest.mark.parametrize("suffix", ["", " as started"], ids=["pinned", "started"])
def test_what_was_measured_is_judged_and_shown(suffix: str) -> None:
    figures = v2_figures(suffix)
    judged = {
        target.name.removeprefix("v2 "): (target.bound, target.met)
        for target in v2_targets(figures)
        if target.measured is not None
    }
    assert judged == {
        f"rows{suffix}: requests/s, ours ÷ native": (0.8, True),
        f"rows{suffix}: requests/s, ours ÷ kserve": (5, False),
        f"batch{suffix}: requests/s, ours ÷ pytriton": (2, True),
        f"sigmoid{suffix}: seconds, ours ÷ .npy": (1.2, True),
        f"sigmoid{suffix}: seconds, ours ÷ pytriton": (1, False),
    }
    rows, batch, sigmoid = all_tables(figures)
    assert [row[1] for row in rows.rows] == [OURS, passes.NATIVE, KSERVE]
    assert [row[-1] for row in batch.rows] == ["1", "2"]
    assert [row[0] for row in sigmoid.rows] == [OURS, passes.NPY, PYTRITON]
    assert [("as started" in table.title) for table in (rows, batch, sigmoid)] == [
        bool(suffix)
    ] * 3
