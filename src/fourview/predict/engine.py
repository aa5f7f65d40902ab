"""How a network is computed: device, precision, compilation. Never what it computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The way of computing; scores of two ways differ by rounding only (docs/performance.md).

    Attributes:
        device: cpu, cuda, cuda:1, ...
        bfloat16: Convolutions and products in bfloat16, sums in float32.
        compiled: Compile the encoder; costs about a minute once, so for many exams.
    """

    device: str = "cpu"
    bfloat16: bool = False
    compiled: bool = False

    @property
    def description(self) -> str:
        """For the report."""
        precision = "bfloat16" if self.bfloat16 else "float32"
        return f"{precision} on {self.device}" + (", compiled" if self.compiled else "")

    def prepare(self, model: nn.Module) -> nn.Module:
        """The network on its device, in evaluation mode, channels last, compiled where asked."""
        model = model.to(self.device).eval()
        encoder = getattr(model, "encoder", None)
        if isinstance(encoder, nn.Module):
            model.encoder = encoder.to(memory_format=torch.channels_last)
            if self.compiled:
                model.encoder = cast("nn.Module", torch.compile(encoder, dynamic=False))
        return model

    @contextmanager
    def context(self) -> Iterator[None]:
        """Where to call the network in."""
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.bfloat16):
            yield


PLAIN = Engine()


def best_engine(*, many: bool) -> Engine:
    """What this machine gains by: bfloat16 where its processor multiplies it, compiled for many."""
    if torch.cuda.is_available():
        return Engine(device="cuda", bfloat16=torch.cuda.is_bf16_supported(), compiled=many)
    fast = torch.backends.cpu.get_cpu_capability() == "AVX512" and _has_bfloat16()
    return Engine(bfloat16=fast, compiled=many and fast)


def _has_bfloat16() -> bool:
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
