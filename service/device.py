"""Which device a setting means, on this machine."""

import torch


class DeviceError(Exception):
    """A device that was asked for and is not there."""


def resolve_device(setting: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:N` into a device.

    `auto` is the first CUDA device, or the CPU where there is none; it alone ever
    falls back.

    Raises:
        DeviceError: CUDA was asked for, and that device is not there.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if setting == "auto":
        setting = "cuda" if count else "cpu"
    device = torch.device(setting)
    if device.type == "cuda" and (device.index or 0) >= count:
        found = f"{count} CUDA devices" if count else "no CUDA device"
        raise DeviceError(
            f"the device {setting} was asked for, but there is {found}; "
            "use --device cpu or --device auto"
        )
    return device
