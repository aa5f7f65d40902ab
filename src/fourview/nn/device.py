"""Where networks are computed: the device that a person names, or the best there is."""

import re

import torch

from fourview.errors import DeviceError

KINDS = ("cpu", "cuda", "mps", "xpu")


def find_device(name: str | None = None) -> torch.device:
    """A device that this machine has.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ``xpu``; None or ``best`` takes an NVIDIA or
            AMD GPU (``cuda``) where there is one, else the processor.

    Raises:
        DeviceError: The name is no device, or this machine has none such; the message says which
            there are.
    """
    if name is None or name == "best":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in KINDS or (":" in name and not re.fullmatch(r"\d+", index)):
        raise DeviceError(
            f"device '{name}': need one of {', '.join(KINDS)}, with the number of a GPU after a "
            "colon where there are several, such as cuda:1"
        )
    count = _count(kind)
    if count == 0 or (index and int(index) >= count):
        raise DeviceError(f"device '{name}': this machine has {', '.join(devices())} only")
    return torch.device(name)


def devices() -> list[str]:
    """All devices of this machine that a network can be computed on, the best first."""
    gpus = [f"{kind}:{i}" for kind in ("cuda", "xpu") for i in range(_count(kind))]
    return [*gpus, *(["mps"] if _count("mps") else []), "cpu"]


def _count(kind: str) -> int:
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "xpu":
        return torch.xpu.device_count() if torch.xpu.is_available() else 0
    return 1 if kind == "cpu" or torch.backends.mps.is_available() else 0
