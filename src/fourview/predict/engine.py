"""How a network is computed: device, precision, compilation. Never what it computes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fourview.nn.device import find_device
from fourview.nn.memory import keep_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The way of computing; compiled or not, scores differ by less than 0.0001.

    Attributes:
        device: cpu, cuda, cuda:1, ...
        compiled: Compile the encoder; costs half a minute once, so for many exams.
    """

    device: str = "cpu"
    compiled: bool = False

    @property
    def description(self) -> str:
        """The engine in words, for the report."""
        return f"float32 on {self.device}" + (", compiled" if self.compiled else "")

    def prepare(self, model: nn.Module, heavy: Sequence[str] = ()) -> nn.Module:
        """The network on its device, in evaluation mode, channels last, compiled where asked.

        On a processor this process keeps its memory from here on (``nn.memory``).

        Args:
            model: Network, which is changed in place.
            heavy: Names of its parts that take the time (``ModelFamily.heavy``).
        """
        if torch.device(self.device).type == "cpu":
            keep_memory()
        model = model.to(self.device).eval()
        for name, part in list(model.named_children()):
            if name in heavy:
                model.add_module(name, _FastPart(part, self).eval())
        return model


class _FastPart(nn.Module):
    """A part of a network computed as the engine says; what it gives is float32.

    Compiled for a processor, weights are frozen into the code, with batch norm folded in and laid
    out as the kernels want.
    """

    def __init__(self, part: nn.Module, engine: Engine) -> None:
        super().__init__()
        self.part = part.to(memory_format=torch.channels_last)
        self.freezing = engine.compiled and torch.device(engine.device).type == "cpu"
        self.compute = torch.compile(self.part, dynamic=False) if engine.compiled else self.part

    def __getattr__(self, name: str) -> Any:
        """What the part says of itself: its stride, its width."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("part"), name)

    def forward(self, pixels: Tensor) -> Any:
        """What the part gives: a tensor, or several."""
        output = self._frozen(pixels) if self.freezing else self.compute(pixels)
        return output.float() if isinstance(output, Tensor) else [each.float() for each in output]

    def _frozen(self, pixels: Tensor) -> Any:
        from torch._inductor import config as inductor

        with inductor.patch(freezing=True):  # as an option of compile it does nothing
            return self.compute(pixels)


PLAIN = Engine()


def best_engine(*, many: bool) -> Engine:
    """A GPU where there is one, in float32, compiled for many exams.

    Args:
        many: So many exams that compiling pays.
    """
    if torch.cuda.is_available():
        return Engine(device="cuda", compiled=many)
    return Engine(compiled=many and _has_avx512())


def engine_on(device: str | None, *, many: bool = False, exact: bool = False) -> Engine:
    """The engine that a command asks for.

    Args:
        device: Device as ``nn.device.find_device`` takes it; None takes the best there is, and the
            processor where ``exact``.
        many: So many exams that compiling pays.
        exact: Whether to compute as plainly as can be: not compiled.

    Raises:
        DeviceError: This machine has no such device.
    """
    if exact:
        return Engine(device=str(find_device(device or "cpu")))
    if device is None:
        return best_engine(many=many)
    chosen = find_device(device)
    compiled = many and (chosen.type == "cuda" or (chosen.type == "cpu" and _has_avx512()))
    return Engine(device=str(chosen), compiled=compiled)


def _has_avx512() -> bool:
    return bool(torch.backends.cpu.get_cpu_capability() == "AVX512")
