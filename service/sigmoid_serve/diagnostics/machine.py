"""The machine around this process: CPUs, memory, devices, files."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import torch

from sigmoid_serve.configuration.environment import variable
from sigmoid_serve.configuration.settings import Settings, SettingsError
from sigmoid_serve.engine.cpus import Cpus, available_cpus, cgroup_folders, read_text
from sigmoid_serve.engine.device import DeviceError, resolve_device
from sigmoid_serve.repository.naming import read_named
from sigmoid_serve.sockets.certificates import tls_context

CONTAINER_FILES: Final = (".dockerenv", "run/.containerenv")


class Machine(NamedTuple):
    """What was found around this process.

    Attributes:
        cpus: That it may use.
        memory_bytes: That it may use; None if that is not known.
        open_files: Soft limit of its open files and connections; None if there is none,
            or it is not known.
        device: On which models would compute; empty if the set one is not there.
        device_error: Why the set device cannot be used, if so.
        cuda: Name and memory of each CUDA device, by `cuda:N`.
        in_container: Whether it runs in a container of Docker or Podman.
        unreadable: Files that the settings name and that cannot be read, by variable.
        errors: Other reasons why the settings cannot be used, a sentence each.
    """

    cpus: Cpus
    memory_bytes: int | None
    open_files: int | None
    device: str
    device_error: str | None
    cuda: dict[str, str]
    in_container: bool
    unreadable: tuple[tuple[str, Path], ...]
    errors: tuple[str, ...] = ()


def find_machine(settings: Settings, root: Path = Path("/")) -> Machine:
    """Look at the machine and at the limits of this process.

    Args:
        settings: Name the device and the files to look for.
        root: The folder of `proc`, the cgroups and the marker files of containers.
    """
    device, device_error = "", None
    try:
        device = str(resolve_device(settings.device))
    except DeviceError as error:
        device_error = str(error)
    open_files = _system_value("SC_OPEN_MAX")
    unreadable = tuple(
        (variable, path)
        for variable, path in _paths(settings)
        if not os.access(path, os.R_OK)
    )
    return Machine(
        cpus=available_cpus(root),
        memory_bytes=memory_bytes(root),
        open_files=None if open_files == -1 else open_files,
        device=device,
        device_error=device_error,
        cuda=dict(_cuda_devices()),
        in_container=any((root / name).exists() for name in CONTAINER_FILES),
        unreadable=unreadable,
        errors=tuple(_setting_errors(settings, {name for name, _ in unreadable})),
    )


def memory_bytes(root: Path = Path("/")) -> int | None:
    """Return the lowest memory limit of the cgroups, else the physical memory.

    None if neither is known. Source of the formats: the Linux kernel's
    Documentation/admin-guide/cgroup-v2.rst (`memory.max`, `max` for none) and
    Documentation/admin-guide/cgroup-v1/memory.rst (`memory.limit_in_bytes`, more than
    any machine has for none).
    """
    texts = [
        read_text(folder / name).strip()
        for folder in cgroup_folders("memory", root)
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    limits = [int(text) for text in texts if text.isdecimal() and len(text) < 20]
    pages, size = _system_value("SC_PHYS_PAGES"), _system_value("SC_PAGE_SIZE")
    if pages and size:
        limits.append(pages * size)
    return min(limits, default=None)


def _paths(settings: Settings) -> Iterator[tuple[str, Path]]:
    for name, value in settings:
        if name == "uds":  # it is made, not read
            continue
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path):
                is_model = name == "models"
                yield variable(name), read_named(path).path if is_model else path


def _setting_errors(settings: Settings, unreadable: set[str]) -> Iterator[str]:
    if not any(name.startswith(variable("tls_")) for name in unreadable):
        try:
            tls_context(settings)
        except SettingsError as error:
            yield str(error)
    if settings.uds and not os.access(settings.uds.parent, os.W_OK | os.X_OK):
        yield (
            f"{variable('uds')} is in {settings.uds.parent}, where this process cannot "
            "make a file"
        )


def _cuda_devices() -> Iterator[tuple[str, str]]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        device = torch.cuda.get_device_properties(index)
        yield f"cuda:{index}", f"{device.name}, {gibibytes(device.total_memory)}"


def _system_value(name: str) -> int | None:
    try:
        return os.sysconf(name)
    except (AttributeError, OSError, ValueError):  # it is not there on Windows
        return None


def gibibytes(count: int) -> str:
    """Format a number of bytes for people."""
    return f"{count / 2**30:,.2f} GiB"
