"""Learning rates and what is decayed."""

import math

import pytest
import torch

from fourview.models.mama.model import TINY, Mama
from fourview.train.optimise import Schedule, make_optimizer
from fourview.train.recipe import OptimizerConfig, ScheduleConfig


def test_warm_up_is_a_line_and_the_rest_half_a_cosine():
    """MaMA: 40,000 steps, 4,000 of warm-up, 4e-5 down to 1e-8."""
    config = ScheduleConfig(name="warmup_cosine", warmup=0.1, lowest=2.5e-4)
    schedule = Schedule(config, 4e-5, 40_000)
    for step in (0, 1, 2_000, 3_999):
        assert schedule.rate(step) == pytest.approx(1e-8 + (4e-5 - 1e-8) * step / 4_000)
    for step in (4_000, 22_000, 39_999):
        part = (step - 4_000) / 36_000
        want = 1e-8 + (4e-5 - 1e-8) * (1 + math.cos(math.pi * part)) / 2
        assert schedule.rate(step) == pytest.approx(want)


def test_vectors_and_temperatures_are_not_decayed():
    torch.manual_seed(0)
    model = Mama(TINY)
    config = OptimizerConfig(name="adamw", lr=1e-2, weight_decay=0.5, decay="matrices")
    optimizer = make_optimizer(model, config)
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for name, weight in model.named_parameters():
        shrunk = weight.ndim > 1 and before[name].abs().sum() > 0
        want = before[name] * (1 - 1e-2 * 0.5) if shrunk else before[name]
        torch.testing.assert_close(weight.detach(), want, msg=lambda m, n=name: f"{n}: {m}")
