"""What a person reads of a run while it trains: a line per epoch, and how long it will take."""

import math
import time
from collections.abc import Mapping
from typing import Any

from fourview.train.state import Position
from fourview.train.validate import Validation


class Told:
    """How fast a run is, from when this process began on it.

    Args:
        total: Steps of the whole run.
        done: Steps that were done before.
    """

    def __init__(self, total: int, *, done: int) -> None:
        self.total, self.before, self.began = total, done, time.perf_counter()

    def seconds_left(self, done: int) -> float:
        """Seconds until all steps are done, at the speed so far; NaN before the first."""
        steps = done - self.before
        if steps < 1:
            return math.nan
        return (time.perf_counter() - self.began) / steps * (self.total - done)


def line_of_epoch(
    epoch: int,
    epochs: int,
    means: Mapping[str, Any],
    validation: Validation,
    position: Position,
    seconds: float,
    left: float,
) -> str:
    """One line: training loss and its parts, validation, the best so far, time and time left."""
    parts = {k: v for k, v in means["parts"].items() if v is not None}
    of_parts = ", ".join(f"{name} {value:.4f}" for name, value in parts.items())
    loss = "none" if means["loss"] is None else f"{means['loss']:.4f}"
    shown = f" ({of_parts})" if len(parts) > 1 else ""
    measured = [] if math.isnan(validation.loss) else [f"loss {validation.loss:.4f}"]
    measured += [] if math.isnan(validation.auc) else [f"AUC {validation.auc:.3f}"]
    best = "best" if position.best_epoch == epoch else f"best in epoch {position.best_epoch + 1}"
    return (
        f"epoch {epoch + 1} of {epochs}: loss {loss}{shown}; validation "
        f"{', '.join(measured) or 'undefined'}; {best}; {duration(seconds)}, "
        f"{duration(left)} left"
    )


def duration(seconds: float) -> str:
    """A time in words, such as ``41 s``, ``12 min`` or ``3 h 20 min``."""
    if math.isnan(seconds):
        return "unknown"
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
