"""Several processes that train one run, as ``torchrun`` or ``accelerate launch`` starts them.

Process 0 alone writes: the folder of a run, and what a person sees. All take the same steps, and
what one of them decides from files (which run is done, where to go on) it decides for all, or the
others would wait for it for ever.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

from fourview.errors import TrainingError
from fourview.nn.device import find_device

T = TypeVar("T")
PATIENCE = timedelta(hours=12)  # process 0 may score a large test part while the others wait
_SWITCHES = {  # what accelerate launch sets, and the name that people know
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
}
_OF_LAUNCHERS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that train together, as one of them sees it.

    Attributes:
        device: Device of this process.
        rank: Number of this process; 0 writes.
        count: Number of processes, on all hosts.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes files and tells a person."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        """Its number and how many there are: item i is for number i % count."""
        return self.rank, self.count

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def mean(self, values: Tensor) -> Tensor:
        """Mean over all processes; ``values`` are changed."""
        if self.count > 1:
            distributed.all_reduce(values)
            values /= self.count
        return values

    def all(self, value: T) -> list[T]:
        """What every process has, in their order."""
        if self.count == 1:
            return [value]
        values: list[T | None] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values  # type: ignore[return-value]  # all are there now

    def of_first(self, value: T) -> T:
        """What process 0 has."""
        if self.count == 1:
            return value
        holder = [value]
        distributed.broadcast_object_list(holder, src=0)
        return holder[0]


def join_processes(device: str | None = None, *, precision: str = "float32") -> Processes:
    """Meet the processes that were started together; alone where there are no others.

    Args:
        device: Where to compute; None takes the best there is, of several GPUs each process its
            own.
        precision: Precision of the recipe, which decides it: ``accelerate launch
            --mixed_precision`` may only say the same.

    Raises:
        DeviceError: This machine has no such device.
        TrainingError: The launcher asks for something that would not be done.
    """
    _refuse_switches(os.environ, precision)
    if max(int(os.environ.get(name, "1")) for name in _OF_LAUNCHERS) <= 1:
        return Processes(find_device(device))
    if device is not None and ":" in device:
        raise TrainingError(
            f"--device {device}: with several processes each takes a GPU of its own; leave it "
            "out, or choose GPUs with CUDA_VISIBLE_DEVICES"
        )
    on_cpu = find_device(device).type == "cpu" or os.environ.get("ACCELERATE_USE_CPU") == "true"
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if not on_cpu and local >= torch.cuda.device_count():
        raise TrainingError(
            f"process {local} of this host has no GPU: there are {torch.cuda.device_count()}; "
            "start as many processes as there are GPUs, or add --device cpu"
        )
    from accelerate import PartialState

    state = PartialState(cpu=on_cpu, timeout=PATIENCE)
    return Processes(state.device, state.process_index, state.num_processes)


@contextmanager
def told_if_lost(processes: Processes) -> Iterator[None]:
    """Say what to do where another process ended in the middle of a step.

    Raises:
        TrainingError: It did.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        if processes.count == 1 or not any(name in text for name in ("gloo", "nccl", "peer")):
            raise
        raise TrainingError(
            "another process of this run ended; start them all again, with --resume, and the run "
            "goes on where it was saved"
        ) from error


def leave_processes() -> None:
    """Leave the other processes, at the end of a program."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that tells a person, before it has met the others."""
    return all(
        int(os.environ.get(name, "0")) == 0 for name in ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK")
    )


def _refuse_switches(environment: Mapping[str, str], precision: str) -> None:
    """Refuse what a launcher was told and this package would ignore."""
    for name, what in _SWITCHES.items():
        if environment.get(name, "false").lower() == "true":
            raise TrainingError(
                f"accelerate launch asks for {what}, which is not supported: every process holds "
                "the whole network. Use torchrun, or accelerate launch --multi_gpu; for a large "
                "text tower --set model.text.lora.rank=8 and "
                "--set frozen_precision=bfloat16, see docs/gpu.md"
            )
    mixed = environment.get("ACCELERATE_MIXED_PRECISION", "no").lower()
    ours = "bf16" if precision == "bfloat16" else "no"
    if mixed not in ("no", ours):
        raise TrainingError(
            f"accelerate launch asks for --mixed_precision {mixed}, the recipe for {precision}; "
            "leave it out and say --set precision=bfloat16 or float32"
        )
    if environment.get("ACCELERATE_DYNAMO_BACKEND", "no").lower() != "no":
        raise TrainingError(
            "accelerate launch asks for --dynamo_backend, which is not supported; leave it out"
        )
    alone = not any(name in environment for name in _OF_LAUNCHERS)
    if alone and "MASTER_ADDR" in environment and "ACCELERATE_USE_CPU" in environment:
        raise TrainingError(
            "accelerate launch was asked for several processes and started one, as it does on "
            "processors; use: torchrun --nproc-per-node 2 -m fourview train ... "
            "--device cpu"
        )
