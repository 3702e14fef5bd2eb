"""The doctor: what it finds, what it says about it, and what a terminal shows."""

import io
import os
import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console, RenderableType

from sigmoid_serve.configuration.settings import Settings, read_settings
from sigmoid_serve.diagnostics import doctor
from sigmoid_serve.diagnostics.doctor import findings
from sigmoid_serve.diagnostics.machine import Machine, find_machine, memory_bytes
from sigmoid_serve.engine.cpus import Cpus
from sigmoid_serve.engine.device import DeviceError, resolve_device

CALM = Machine(
    cpus=Cpus(4),
    memory_bytes=2**34,
    open_files=4096,
    device="cpu",
    device_error=None,
    cuda={},
    in_container=False,
    unreadable=(),
)
MOUNTS = (
    "30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("SIGMOID_") or name in (
            *doctor.THREAD_VARIABLES,
            "PORT",
        ):
            monkeypatch.delenv(name)


def rendered(what: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def rows(text: str, title: str) -> list[list[str]]:
    """Read a table back, the parts of each folded cell joined."""
    read: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if line[:1] not in "┌┏┡├└│┃":
            inside = line.strip() == title
        elif inside and line.startswith("│"):
            cells = [cell[1:-1] for cell in line.split("│")[1:-1]]
            if title == "Findings" and not cells[0].strip():
                read[-1][1] += " " + cells[1].strip()
            elif not cells[0].strip():
                read[-1] = [a + b.strip() for a, b in zip(read[-1], cells, strict=True)]
            else:
                read.append([cell.strip() for cell in cells])
    return read


def test_nothing_to_find() -> None:
    settings = Settings(device="cpu")
    assert findings(settings, CALM, {}, []) == []
    text = rendered(doctor.render(settings, CALM, {}, []))
    assert text.endswith("\nNo findings.\n")


@pytest.mark.parametrize(
    ("settings", "machine", "environment", "sentence"),
    [
        ({"workers": 5}, {}, {}, "SIGMOID_WORKERS is 5, .* use 4 CPUs: .* most 4"),
        ({"workers": 2}, {"cpus": Cpus(8, 1.0)}, {}, "use 1 CPU: .* at most 1"),
        ({}, {"cpus": Cpus(4, 0.25)}, {}, "cgroups allow 0.25 of a CPU's time"),
        ({"threads": 5}, {}, {}, "SIGMOID_THREADS=5 in 1 worker makes 5 .* for 4 in"),
        ({"threads": 3, "workers": 2}, {}, {}, "in 2 workers makes 6 .* for 2 in"),
        ({}, {"open_files": 1023}, {}, "open files is 1023, .* 1024 or more"),
        ({}, {"in_container": True}, {}, "HOST is 127.0.0.1 in a container, .*0.0.0.0"),
        ({"host": "::1"}, {"in_container": True}, {}, "HOST is ::1 in a container"),
        ({"device": "auto"}, {}, {}, "no CUDA device was found, so the CPU computes"),
        ({"device": "cuda"}, {"device": "", "device_error": "gone"}, {}, "gone"),
        ({"workers": 2}, {"device": "cuda:0"}, {}, "each of the 2 workers holds its"),
        ({}, {}, {"OMP_NUM_THREADS": "2"}, "OMP_NUM_THREADS is '2', but SIGMOID_"),
        ({}, {}, {"MKL_NUM_THREADS": "9" * 500}, "MKL_NUM_THREADS is '9{127}…'"),
        ({}, {"memory_bytes": 2**29 - 1}, {}, "full queues would hold 0.50 GiB, but"),
        (
            {"api_keys_file": Path("keys"), "host": "0.0.0.0"},
            {},
            {},
            "API keys are sent unencrypted without SIGMOID_TLS_CERT_FILE",
        ),
        (
            {},
            {"unreadable": (("SIGMOID_TLS_KEY_FILE", Path("/a\nb")),)},
            {},
            r"SIGMOID_TLS_KEY_FILE names /a\\nb, which cannot be read",
        ),
        ({}, {"errors": ("SIGMOID_UDS is in \n",)}, {}, r"^SIGMOID_UDS is in \\n$"),
    ],
)
def test_one_finding(
    settings: dict[str, Any],
    machine: dict[str, Any],
    environment: Mapping[str, str],
    sentence: str,
) -> None:
    given = Settings(**{"device": "cpu", **settings})
    (found,) = findings(given, CALM._replace(**machine), environment, [])
    assert re.search(sentence, found)
    assert len(found) < 300


@pytest.mark.parametrize(
    ("settings", "machine"),
    [
        ({"workers": 4, "threads": 1}, {}),
        ({"workers": 2, "threads": 2}, {}),
        ({"threads": 4}, {}),
        ({}, {"cpus": Cpus(4, 1.0)}),
        ({}, {"open_files": 1024}),
        ({}, {"open_files": None, "memory_bytes": None}),
        ({}, {"memory_bytes": 2**29}),
        ({"host": "0.0.0.0"}, {"in_container": True}),
        ({"device": "auto"}, {"device": "cuda"}),
        ({"api_keys_file": Path("keys")}, {}),
        ({"uds": Path("/s"), "api_keys_file": Path("keys")}, {"in_container": True}),
        (
            {
                "host": "0.0.0.0",
                "api_keys_file": Path("keys"),
                "tls_cert_file": Path("cert"),
            },
            {},
        ),
    ],
)
def test_no_finding(settings: dict[str, Any], machine: dict[str, Any]) -> None:
    given = Settings(**{"device": "cpu", **settings})
    assert findings(given, CALM._replace(**machine), {}, []) == []


def test_ignored_variables() -> None:
    ignored = ["SIGMOID_PROT is no setting and is ignored; did you mean SIGMOID_PORT?"]
    assert findings(Settings(device="cpu"), CALM, {}, ignored) == ignored


@pytest.mark.parametrize(
    ("new", "old", "limit"),
    [
        ("1048576\n", "9223372036854771712\n", 2**20),
        ("max\n", "4096\n", 4096),
        ("8192\n", "4096\n", 4096),
        ("0\n", "4096\n", 0),
        ("max\n", "9223372036854771712\n", None),
        ("", "x\n", None),
        ("9" * 5000, "-1\n", None),
    ],
)
def test_memory(new: str, old: str, limit: int | None, tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "3:memory:/a\n0::/b\n",
        "proc/self/mountinfo": MOUNTS,
        "sys/fs/cgroup/memory/a/memory.limit_in_bytes": old,
        "sys/fs/cgroup/unified/b/memory.max": new,
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory_bytes(tmp_path) == (physical if limit is None else limit)


@pytest.mark.parametrize("mark", [None, ".dockerenv", "run/.containerenv"])
def test_found_machine(mark: str | None, tmp_path: Path) -> None:
    if mark:
        (tmp_path / mark).parent.mkdir(exist_ok=True)
        (tmp_path / mark).touch()
    keys = tmp_path / "keys"
    keys.touch()
    settings = Settings(
        device="cpu",
        models=(tmp_path, Path(f"here={tmp_path}"), Path(f"m={tmp_path}/absent")),
        api_keys_file=keys,
    )
    machine = find_machine(settings, tmp_path)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert machine.open_files == (None if soft == resource.RLIM_INFINITY else soft)
    assert machine.cpus == Cpus(len(os.sched_getaffinity(0)))
    assert machine.in_container == bool(mark)
    assert machine.unreadable == (("SIGMOID_MODELS", tmp_path / "absent"),)
    assert (machine.device, machine.device_error) == ("cpu", None)


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate"
    certificate.write_text("none")
    settings = Settings(
        device="cpu", tls_cert_file=certificate, uds=tmp_path / "absent" / "s"
    )
    machine = find_machine(settings, tmp_path)
    assert machine.unreadable == ()
    first, second = machine.errors
    assert first.startswith("SIGMOID_TLS_CERT_FILE: expected PEM files that fit ")
    assert second.startswith(f"SIGMOID_UDS is in {tmp_path}/absent, where this process")
    certificate.unlink()
    machine = find_machine(settings, tmp_path)
    assert machine.unreadable == (("SIGMOID_TLS_CERT_FILE", certificate),)
    assert machine.errors == (second,)
    fine = Settings(device="cpu", uds=tmp_path / "s")
    assert find_machine(fine, tmp_path).errors == ()


def test_device_that_is_not_there() -> None:
    settings = Settings(device="cuda:99")
    with pytest.raises(DeviceError) as caught:
        resolve_device(settings.device)
    machine = find_machine(settings)
    assert (machine.device, machine.device_error) == ("", str(caught.value))
    shown = rows(rendered(doctor.render(settings, machine, {}, []), 200), "Device")
    assert shown[:2] == [
        ["SIGMOID_DEVICE", "cuda:99"],
        ["computes on", str(caught.value)],
    ]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_devices() -> None:
    machine = find_machine(Settings())
    assert machine.device == "cuda"
    assert len(machine.cuda) == torch.cuda.device_count()
    assert torch.cuda.get_device_name(0) in machine.cuda["cuda:0"]
    assert machine.cuda["cuda:0"].endswith(" GiB")


def test_what_is_shown() -> None:
    settings = Settings(device="auto", workers=2)
    machine = CALM._replace(
        cpus=Cpus(8, 2.5), device="cuda", cuda={"cuda:0": "Some GPU, 15.00 GiB"}
    )
    text = rendered(doctor.render(settings, machine, {}, []))
    versions = dict(rows(text, "Versions"))
    assert versions["sigmoid-serve"] == version("sigmoid-serve")
    assert versions["PyTorch"] == version("torch")
    assert versions["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert rows(text, "Device") == [
        ["SIGMOID_DEVICE", "auto"],
        ["computes on", "cuda"],
        ["cuda:0", "Some GPU, 15.00 GiB"],
    ]
    assert rows(text, "Processors") == [
        ["affinity", "8 CPUs"],
        ["quota of the cgroups", "2.5 CPUs"],
        ["workers", "2"],
        ["threads per worker", "1, its share of the CPUs"],
    ]
    assert rows(text, "Limits of the process") == [
        ["memory", "16.00 GiB"],
        ["open files", "4096"],
    ]
    ((number, sentence),) = rows(text, "Findings")
    assert number == "1"
    assert [sentence] == findings(settings, machine, {}, [])


def test_where_settings_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_HOST", "[::1]")
    monkeypatch.setenv("PORT", "81")
    monkeypatch.setenv("SIGMOID_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("sigmoid_max_rows", "7")
    monkeypatch.setenv("SIGMOID_MAX_RANK", "")
    settings = read_settings(device="cpu")
    text = rendered(doctor.render(settings, CALM, os.environ, []), 120)
    shown = {name: (value, origin) for name, value, origin in rows(text, "Settings")}
    assert list(shown) == [f"SIGMOID_{name.upper()}" for name in Settings.model_fields]
    origins = "https://a.example,https://b.example"
    assert shown["SIGMOID_HOST"] == ("::1", "environment")
    assert shown["SIGMOID_PORT"] == ("81", "PORT")
    assert shown["SIGMOID_MAX_ROWS"] == (str(2**20), "default")
    assert shown["SIGMOID_MAX_RANK"] == ("32", "default")
    assert shown["SIGMOID_CORS_ORIGINS"] == (origins, "environment")
    assert shown["SIGMOID_DEVICE"] == ("cpu", "option")
    assert shown["SIGMOID_WORKERS"] == ("1", "default")
    assert shown["SIGMOID_THREADS"] == ("none", "default")
    assert shown["SIGMOID_MODELS"] == ("none", "default")
    assert shown["SIGMOID_MAX_QUEUE_ELEMENTS"] == (str(2**26), "default")


@pytest.mark.parametrize("width", [40, 80, 90, 200])
def test_no_width_loses_text(width: int) -> None:
    models = tuple(Path(f"/{'long' * 30}/{index}.pt") for index in range(3))
    settings = Settings(device="cpu", models=models)
    machine = CALM._replace(unreadable=tuple(("SIGMOID_MODELS", m) for m in models))
    text = rendered(doctor.render(settings, machine, {}, []), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    names = [f"SIGMOID_{name.upper()}" for name in Settings.model_fields]
    shown = rows(text, "Settings")
    variables, values, origins = (
        "".join(column) for column in zip(*shown, strict=True)
    )
    assert variables == "".join(names)
    assert values.startswith(":".join(map(str, models)))
    assert origins.count("option") == 2
    assert origins.count("default") == len(names) - 2
    if width >= 90:
        assert [row[0] for row in shown] == names
    assert len(rows(text, "Findings")) == 3


def test_odd_text_is_shown_as_it_is(tmp_path: Path) -> None:
    keys = tmp_path / "[red]\x1b[31m\udcff:smile:"
    keys.write_text("secret-key")
    settings = Settings(device="cpu", api_keys_file=keys)
    machine = find_machine(settings, tmp_path)
    text = rendered(doctor.render(settings, machine, {}, []), 300)
    shown = {row[0]: row[1] for row in rows(text, "Settings")}
    expected = rf"{tmp_path}/[red]\x1b[31m\udcff:smile:"
    assert shown["SIGMOID_API_KEYS_FILE"] == expected
    assert "secret-key" not in text
    assert text.encode()


def test_report_of_this_process() -> None:
    program = (
        "import resource; from rich.console import Console;"
        "from sigmoid_serve.diagnostics import doctor;"
        "from sigmoid_serve.configuration.settings import read_settings;"
        "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE);"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard));"
        "Console(width=80).print(doctor.report(read_settings()))"
    )
    text = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "SIGMOID_WORKER": "2", "SIGMOID_DEVICE": "cpu"},
    ).stdout
    assert ["open files", "200"] in rows(text, "Limits of the process")
    assert ["SIGMOID_DEVICE", "cpu", "environment"] in rows(text, "Settings")
    sentences = [sentence for _, sentence in rows(text, "Findings")]
    assert any(s.startswith("the limit of open files is 200,") for s in sentences)
    assert any(s.endswith("ignored; did you mean SIGMOID_WORKERS?") for s in sentences)
