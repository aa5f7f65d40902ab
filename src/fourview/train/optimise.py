"""Optimisers and learning-rate schedules, as a recipe names them."""

import math
from typing import Any

import torch
from torch import nn

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
    """What is decayed, and what is not."""
    weights = [p for p in model.parameters() if p.requires_grad]
    if config.decay == "all":
        return [{"params": weights}]
    matrices = [p for p in weights if p.ndim > 1]
    vectors = [p for p in weights if p.ndim <= 1]
    return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]


class Schedule:
    """The learning rate, as a function of what has happened so far; all its state is plain.

    Attributes:
        factor: Of ``plateau``, the product of its reductions so far.
        best: Lowest validation loss so far.
        waited: Epochs since then.
    """

    def __init__(self, config: ScheduleConfig, lr: float, total_steps: int) -> None:
        self.config = config
        self.lr = lr
        self.total_steps = max(total_steps, 1)
        self.factor = 1.0
        self.best = math.inf
        self.waited = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted over the whole run from 0."""
        if self.config.name == "one_cycle":
            return self.lr * self._one_cycle(step / self.total_steps)
        if self.config.name == "warmup_cosine":
            return self.lr * self._warmup_cosine(step / self.total_steps)
        return self.lr * self.factor

    def after_epoch(self, validation_loss: float) -> None:
        """Note an epoch's validation loss; only ``plateau`` acts on it, and NaN is ignored."""
        if self.config.name != "plateau" or math.isnan(validation_loss):
            return
        if validation_loss < self.best:
            self.best, self.waited = validation_loss, 0
            return
        self.waited += 1
        if self.waited > self.config.patience:
            self.factor, self.waited = self.factor * self.config.factor, 0

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        """Go on from what ``state`` gave."""
        self.factor, self.best = float(state["factor"]), float(state["best"])
        self.waited = int(state["waited"])

    def _one_cycle(self, done: float) -> float:
        warmup = self.config.warmup
        rising = done < warmup
        part = done / warmup if rising else (1 - done) / (1 - warmup)
        return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * (1 - math.cos(math.pi * part)) / 2

    def _warmup_cosine(self, done: float) -> float:
        warmup, lowest = self.config.warmup, self.config.lowest
        if done < warmup:
            return lowest + (1 - lowest) * done / warmup
        part = (done - warmup) / (1 - warmup)
        return lowest + (1 - lowest) * (1 + math.cos(math.pi * part)) / 2
