"""The doctor's report: versions, devices, limits and settings, and findings on them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from platform import platform, python_version

from rich.console import Group
from rich.table import Table
from rich.text import Text

from sigmoid_models.messages import one_line
from sigmoid_serve.configuration.environment import (
    PLATFORM_PORT,
    Given,
    given_settings,
    variable,
)
from sigmoid_serve.configuration.settings import Settings, ignored_variables
from sigmoid_serve.diagnostics.checks import Check, would_start
from sigmoid_serve.diagnostics.machine import Machine, find_machine, gibibytes
from sigmoid_serve.engine.cpus import Cpus, threads_per_worker
from sigmoid_serve.errors import shown

PACKAGES = {
    "sigmoid-serve": "sigmoid-serve",
    "PyTorch": "torch",
    "NumPy": "numpy",
    "uvicorn": "uvicorn",
    "FastAPI": "fastapi",
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Set by `sigmoid_serve` itself, as NumPy's threads are not to compute.
_OWN_THREADS = ("OPENBLAS_NUM_THREADS", "1")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FEW_FILES = 1024


def report(settings: Settings, checks: Sequence[Check] = ()) -> Group:
    """Report what a server with these settings would find on this machine.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        checks: Of the start.
    """
    machine, ignored = find_machine(settings), ignored_variables()
    return render(settings, machine, os.environ, ignored, checks)


def as_json(settings: Settings, checks: Sequence[Check]) -> dict[str, object]:
    """Report the same for programs."""
    machine, environment = find_machine(settings), os.environ
    rows = _settings_rows(settings, environment)
    heads = ("variable", "value", "comes_from")
    return {
        "would_start": would_start(checks),
        "checks": [check._asdict() for check in checks],
        "findings": _findings_beside(
            checks, findings(settings, machine, environment, ignored_variables())
        ),
        "versions": _versions(),
        "device": _device(settings, machine),
        "processors": _processors(settings, machine.cpus),
        "limits": _limits(machine),
        "settings": [dict(zip(heads, row, strict=True)) for row in rows],
    }


def _findings_beside(checks: Sequence[Check], found: Sequence[str]) -> list[str]:
    """Leave out what a check has told already."""
    told = {check.finding for check in checks}
    return [sentence for sentence in found if sentence not in told]


def render(
    settings: Settings,
    machine: Machine,
    environment: Mapping[str, str],
    ignored: list[str],
    checks: Sequence[Check] = (),
) -> Group:
    """Render a table for each subject, then the checks and the findings.

    Of files that the settings name only the paths are shown, not the contents.
    """
    found = findings(settings, machine, environment, ignored)
    found = _findings_beside(checks, found)
    listed = [(str(number), sentence) for number, sentence in enumerate(found, 1)]
    return Group(
        _table("Versions", _versions().items()),
        _table("Device", _device(settings, machine).items()),
        _table("Processors", _processors(settings, machine.cpus).items()),
        _table("Limits of the process", _limits(machine).items()),
        _table(
            "Settings",
            _settings_rows(settings, environment),
            *("variable", "value", "comes from"),
        ),
        *([_table("Start", checks, "step", "", "")] if checks else ()),
        _table("Findings", listed) if listed else Text("No findings."),
    )


def findings(
    settings: Settings,
    machine: Machine,
    environment: Mapping[str, str],
    ignored: list[str],
) -> list[str]:
    """List what is likely wrong or worth knowing, in a sentence each.

    Args:
        settings: In force.
        machine: On which the server would run.
        environment: Of the process.
        ignored: Findings on variables that look like settings and are none.
    """
    return [
        *ignored,
        *_setting_findings(settings, machine),
        *_cpu_findings(settings, machine.cpus, environment),
        *_device_findings(settings, machine),
        *_limit_findings(settings, machine),
    ]


def _setting_findings(settings: Settings, machine: Machine) -> Iterator[str]:
    for name, path in machine.unreadable:
        yield f"{name} names {shown(str(path))}, which cannot be read"
    yield from map(one_line, machine.errors)
    if settings.uds:
        return
    local = settings.host in LOOPBACK
    if machine.in_container and local:
        yield (
            f"SIGMOID_HOST is {settings.host} in a container, which nothing outside of "
            "it can reach; set SIGMOID_HOST=0.0.0.0 and publish the port"
        )
    if settings.api_keys_file and not settings.tls_cert_file and not local:
        yield (
            "API keys are sent unencrypted without SIGMOID_TLS_CERT_FILE, unless a "
            "proxy before the server speaks HTTPS"
        )


def _cpu_findings(
    settings: Settings, cpus: Cpus, environment: Mapping[str, str]
) -> Iterator[str]:
    workers, threads = settings.workers, settings.threads
    usable = _counted(cpus.count, "CPU")
    if cpus.quota is not None and cpus.quota < 1:
        yield (
            f"the cgroups allow {cpus.quota:.3g} of a CPU's time: once that is spent, "
            "requests wait for the next period; raise the container's limit of CPUs"
        )
    if workers > cpus.count:
        yield (
            f"SIGMOID_WORKERS is {workers}, but this process may use {usable}: workers "
            f"wait for each other; set at most {cpus.count}"
        )
    if threads is not None and threads > 1 and threads * workers > cpus.count:
        yield (
            f"SIGMOID_THREADS={threads} in {_counted(workers, 'worker')} makes "
            f"{threads * workers} threads, but this process may use {usable}; leave it "
            f"out for {threads_per_worker(None, workers, cpus)} in each worker"
        )
    for name in THREAD_VARIABLES:
        if name in environment and (name, environment[name]) != _OWN_THREADS:
            yield (
                f"{name} is {shown(environment[name])!r}, but SIGMOID_THREADS is what "
                "sets the threads of the computation; remove it"
            )


def _device_findings(settings: Settings, machine: Machine) -> Iterator[str]:
    if machine.device_error:
        yield machine.device_error
    if settings.device == "auto" and machine.device == "cpu":
        yield (
            "no CUDA device was found, so the CPU computes; SIGMOID_DEVICE=cuda would "
            "refuse to start instead, SIGMOID_DEVICE=cpu says that this is meant"
        )
    if machine.device.startswith("cuda") and settings.workers > 1:
        yield (
            f"each of the {settings.workers} workers holds its own models and CUDA "
            "context in the GPU's memory; one worker is mostly enough for a GPU"
        )


def _limit_findings(settings: Settings, machine: Machine) -> Iterator[str]:
    files, memory = machine.open_files, machine.memory_bytes
    if files is not None and files < FEW_FILES:
        yield (
            f"the limit of open files is {files}, and each connection is one; raise it "
            f"to {FEW_FILES} or more, as with ulimit -n"
        )
    # Each queued element is a float64.
    queued = settings.workers * settings.max_queue_elements * 8
    if memory is not None and queued > memory:
        yield (
            f"full queues would hold {gibibytes(queued)}, but the memory is "
            f"{gibibytes(memory)}; lower SIGMOID_MAX_QUEUE_ELEMENTS or SIGMOID_WORKERS"
        )


def _versions() -> dict[str, str]:
    rows = {name: version(package) for name, package in PACKAGES.items()}
    return {**rows, "Python": python_version(), "system": platform()}


def _device(settings: Settings, machine: Machine) -> dict[str, str]:
    computes = machine.device_error or machine.device
    return {"SIGMOID_DEVICE": settings.device, "computes on": computes, **machine.cuda}


def _processors(settings: Settings, cpus: Cpus) -> dict[str, str]:
    quota = "none" if cpus.quota is None else f"{cpus.quota:.3g} CPUs"
    threads = threads_per_worker(settings.threads, settings.workers, cpus)
    origin = "its share of the CPUs" if settings.threads is None else "SIGMOID_THREADS"
    return {
        "affinity": _counted(cpus.affinity, "CPU"),
        "quota of the cgroups": quota,
        "workers": str(settings.workers),
        "threads per worker": f"{threads}, {origin}",
    }


def _limits(machine: Machine) -> dict[str, str]:
    memory, files = machine.memory_bytes, machine.open_files
    return {
        "memory": "not known" if memory is None else gibibytes(memory),
        "open files": "no limit known" if files is None else str(files),
    }


def _settings_rows(
    settings: Settings, environment: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    given = given_settings(type(settings).model_fields, environment, {})
    for name, value in settings:
        origin = "default"
        if name in settings.model_fields_set:
            origin = _origin(given[name]) if name in given else "option"
            if settings.spelling(name).startswith("--"):
                origin = "option"
        yield variable(name), _value(name, value), origin


def _origin(given: Given) -> str:
    return PLATFORM_PORT if given.origin == PLATFORM_PORT else "environment"


def _value(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return (":" if name == "models" else ",").join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _table(title: str, rows: Iterable[Sequence[str]], *heads: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=bool(heads))
    cells = [[Text(one_line(cell)) for cell in row] for row in rows]
    for position in range(len(cells[0])):
        # Folding shows all of a long path.
        head = heads[position] if heads else ""
        table.add_column(head, style="" if position else "bold", overflow="fold")
    for row in cells:
        table.add_row(*row)
    return table


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
