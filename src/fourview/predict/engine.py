"""How a network is computed: device, precision, compilation. Never what it computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._inductor import config as inductor

from fourview.nn.encoder import Encoder
from fourview.nn.memory import keep_memory


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

    @property
    def all_in_bfloat16(self) -> bool:
        """Whether what comes after the encoder is in bfloat16 too; see ``context``."""
        return self.bfloat16 and torch.device(self.device).type != "cpu"

    def for_model(self, model: nn.Module) -> "Engine":
        """This engine, or in float32 where that is faster for the network and exact besides.

        On a processor that multiplies bfloat16 but has no tiles for it, networks that name their
        heavy parts (few channels, many pixels) are faster compiled in float32: GMIC takes 0.6 of
        the seconds that it takes in bfloat16.
        """
        on_cpu = torch.device(self.device).type == "cpu"
        return replace(self, bfloat16=False) if on_cpu and hasattr(model, "heavy") else self

    def prepare(self, model: nn.Module) -> nn.Module:
        """The network on its device, in evaluation mode, channels last, compiled where asked.

        What takes the time is its ``encoder``, or the parts that it names as ``heavy``. On a
        processor this process keeps its memory from here on (``nn.memory``).
        """
        if torch.device(self.device).type == "cpu":
            keep_memory()
        model = model.to(self.device).eval()
        encoder = getattr(model, "encoder", None)
        names = ("encoder",) if isinstance(encoder, Encoder) else getattr(model, "heavy", ())
        for name in names:
            part = getattr(model, name, None)
            if isinstance(part, nn.Module):
                setattr(model, name, _FastPart(part, self))
        return model

    @contextmanager
    def context(self) -> Iterator[None]:
        """Where to call the network in: on a GPU all of it is in bfloat16.

        On a processor only the encoder is (``_FastPart``): what comes after it is small, and was
        slower in bfloat16 (0.52 s against 0.32 s for an exam of MVCCL at 1536 x 768).
        """
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.all_in_bfloat16):
            yield


class _FastPart(nn.Module):
    """A part of a network computed as the engine says; what it gives is float32 again.

    Compiled for a processor, weights are frozen into the code, with batch norm folded in and laid
    out as the kernels want: 1.05 s instead of 1.70 s for four images of 1536 x 768.
    """

    def __init__(self, part: nn.Module, engine: Engine) -> None:
        super().__init__()
        self.part = part.to(memory_format=torch.channels_last)
        self.kind = torch.device(engine.device).type
        self.reduced = engine.bfloat16
        self.compute = torch.compile(self.part, dynamic=False) if engine.compiled else self.part

    def __getattr__(self, name: str) -> Any:
        """What the part says of itself: its stride, its width."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("part"), name)

    def forward(self, pixels: Tensor) -> Any:
        """What the part gives: a tensor, or several."""
        with (
            inductor.patch(freezing=self.kind == "cpu"),  # as an option of compile it does nothing
            torch.autocast(self.kind, torch.bfloat16, enabled=self.reduced),
        ):
            found = self.compute(pixels)
        return found.float() if isinstance(found, Tensor) else [each.float() for each in found]


PLAIN = Engine()


def best_engine(*, many: bool, fast: bool = False) -> Engine:
    """A GPU where there is one, compiled for many exams; in float32 unless speed is asked for.

    bfloat16 moves the scores of a trained EfficientNet by up to 0.1, most of it by rounding what
    its first layer reads (docs/performance.md), so nobody gets it without asking.

    Args:
        many: So many exams that compiling pays.
        fast: Compute in bfloat16 where the machine multiplies it.
    """
    if torch.cuda.is_available():
        reduced = fast and torch.cuda.is_bf16_supported()
        return Engine(device="cuda", bfloat16=reduced, compiled=many)
    return Engine(bfloat16=fast and _has_bfloat16(), compiled=many and _has_avx512())


def _has_avx512() -> bool:
    return bool(torch.backends.cpu.get_cpu_capability() == "AVX512")


def _has_bfloat16() -> bool:
    return _has_avx512() and bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
