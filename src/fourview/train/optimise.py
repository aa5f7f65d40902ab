"""Optimisers and learning-rate schedules, as a recipe names them."""

import math
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from fourview.train.recipe import OptimizerConfig, ScheduleConfig

ONE_CYCLE_START = 0.04  # first and last rate of one_cycle, as a part of the highest
MOMENTUM = 0.9  # of sgd


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """An optimiser over the parameters that are to be trained."""
    weights = _groups(model, config)
    if config.name == "sgd":
        return torch.optim.SGD(
            weights, config.lr, momentum=MOMENTUM, weight_decay=config.weight_decay
        )
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(weights, config.lr, weight_decay=config.weight_decay)


def _groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Two groups of weights: those that are decayed, and those that are not."""
    weights = [p for p in model.parameters() if p.requires_grad]
    if config.decay == "all":
        return [{"params": weights}]
    matrices = [p for p in weights if p.ndim > 1]
    vectors = [p for p in weights if p.ndim <= 1]
    return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]


class Schedule:
    """The learning rate of the next step, set in the optimiser by one of torch's schedulers.

    ``plateau`` is ``ReduceLROnPlateau`` and ``one_cycle`` ``OneCycleLR``; the rate of a step, of
    all but ``plateau``, is a function of how many steps were done.

    Attributes:
        optimizer: Optimiser whose rate is set, in every group.
    """

    def __init__(
        self, config: ScheduleConfig, optimizer: torch.optim.Optimizer, total_steps: int
    ) -> None:
        self.optimizer = optimizer
        self._plateau: ReduceLROnPlateau | None = None
        self._by_step: LRScheduler | None = None
        total = max(total_steps, 1)
        if config.name == "plateau":
            # threshold and eps 0: any fall of the loss counts, and so does any fall of the rate.
            self._plateau = ReduceLROnPlateau(
                optimizer, factor=config.factor, patience=config.patience, threshold=0.0, eps=0.0
            )
        elif config.name == "one_cycle" and config.warmup > 0:
            # torch has its peak a step before warmup * total, and its end a step before total: one
            # step more puts both where the definition has them.
            self._by_step = OneCycleLR(
                optimizer,
                max_lr=[group["lr"] for group in optimizer.param_groups],
                total_steps=total + 1,
                pct_start=(config.warmup * total + 1) / (total + 1),
                div_factor=1 / ONE_CYCLE_START,
                final_div_factor=1.0,
                cycle_momentum=False,
            )
        elif config.name != "constant":
            lowest = ONE_CYCLE_START if config.name == "one_cycle" else config.lowest
            share = partial(_warmup_cosine, total=total, warmup=config.warmup, lowest=lowest)
            self._by_step = LambdaLR(optimizer, share)

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def after_step(self) -> None:
        """A step of the optimiser is done."""
        if self._by_step is not None:
            self._by_step.step()

    def after_epoch(self, validation_loss: float) -> None:
        """Note an epoch's validation loss; only ``plateau`` acts on it, and NaN is ignored."""
        if self._plateau is not None and not math.isnan(validation_loss):
            self._plateau.step(validation_loss)

    def state(self) -> dict[str, float]:
        """What a saved state keeps beside the optimiser, which has the rate itself."""
        if self._plateau is not None:
            return {"best": self._plateau.best, "waited": self._plateau.num_bad_epochs}
        return {"steps": 0 if self._by_step is None else self._by_step.last_epoch}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from what ``state`` gave; the optimiser is restored by itself."""
        if self._plateau is not None:
            self._plateau.best = float(state["best"])
            self._plateau.num_bad_epochs = int(state["waited"])
        elif self._by_step is not None:
            self._by_step.last_epoch = int(state["steps"])


def _warmup_cosine(step: int, *, total: int, warmup: float, lowest: float) -> float:
    """The share of the highest rate: a straight line for ``warmup``, then half a cosine."""
    done = step / total
    if done < warmup:
        return lowest + (1 - lowest) * done / warmup
    part = min(1.0, (done - warmup) / (1 - warmup)) if warmup < 1 else 1.0
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * part)) / 2
