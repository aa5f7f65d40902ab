"""Learning rates and what is decayed."""

import json
import math

import pytest
import torch

from fourview.models.mama.model import TINY, Mama
from fourview.train.optimise import Schedule, make_optimizer
from fourview.train.recipe import OptimizerConfig, ScheduleConfig


def schedule_of(config, total, lr=1.0):
    """A schedule over an optimiser with two groups, as ``decay: matrices`` makes them."""
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    groups = [{"params": [weights[0]]}, {"params": [weights[1]], "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr)
    return Schedule(config, optimizer, total), optimizer


def rates(schedule, optimizer, count):
    """The rates of the next steps; all groups have the same."""
    got = []
    for _ in range(count):
        assert len({group["lr"] for group in optimizer.param_groups}) == 1
        got.append(schedule.rate)
        optimizer.step()
        schedule.after_step()
    return got


def test_warm_up_is_a_line_and_the_rest_half_a_cosine():
    """MaMA: 40,000 steps, 4,000 of warm-up, 4e-5 down to 1e-8; here a tenth of the steps."""
    config = ScheduleConfig(name="warmup_cosine", warmup=0.1, lowest=2.5e-4)
    got = rates(*schedule_of(config, 4_000, 4e-5), 4_000)
    for step in (0, 1, 200, 399):
        assert got[step] == pytest.approx(1e-8 + (4e-5 - 1e-8) * step / 400)
    for step in (400, 2_200, 3_999):
        part = (step - 400) / 3_600
        want = 1e-8 + (4e-5 - 1e-8) * (1 + math.cos(math.pi * part)) / 2
        assert got[step] == pytest.approx(want)


@pytest.mark.parametrize(("total", "warmup"), [(1, 0.3), (7, 0.3), (200, 0.3), (50, 0.0), (9, 1.0)])
def test_one_cycle_rises_and_falls_as_cosines(total, warmup):
    """From 0.04 of the highest rate at step 0 to it at warmup * total, and back at total."""
    config = ScheduleConfig(name="one_cycle", warmup=warmup)
    got = rates(*schedule_of(config, total, 2e-3), total)
    for step, rate in enumerate(got):
        done = step / total
        part = done / warmup if done < warmup else (1 - done) / (1 - warmup)
        want = 2e-3 * (0.04 + 0.96 * (1 - math.cos(math.pi * part)) / 2)
        assert rate == pytest.approx(want, rel=1e-9)


def test_plateau_waits_for_its_patience_and_ignores_what_is_undefined():
    nan = math.nan
    losses = [3, 2, 2, 2.5, nan, 2, 1.999999999, 2, 2, nan, 2, 2, 2, 2, 2, 1, 1, 1, 1]
    config = ScheduleConfig(name="plateau", factor=0.1, patience=2)
    schedule, optimizer = schedule_of(config, 100, 1e-6)
    rate, best, waited = 1e-6, math.inf, 0
    for loss in losses:
        schedule.after_epoch(loss)
        if loss < best:
            best, waited = loss, 0
        elif not math.isnan(loss):
            waited += 1
        if waited > 2:
            rate, waited = rate * 0.1, 0
        assert rates(schedule, optimizer, 2) == pytest.approx([rate, rate], rel=1e-9)
    assert rate == pytest.approx(1e-10)  # four reductions


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_a_rate_falls_after_one_epoch_more_than_the_patience(patience):
    schedule, _ = schedule_of(ScheduleConfig(name="plateau", factor=0.5, patience=patience), 9)
    schedule.after_epoch(1.0)  # the best
    for _ in range(patience):
        schedule.after_epoch(1.0)
        assert schedule.rate == 1.0
    schedule.after_epoch(1.0)
    assert schedule.rate == 0.5


@pytest.mark.parametrize("name", ["plateau", "one_cycle", "warmup_cosine", "constant"])
@pytest.mark.parametrize("stop", [1, 8, 15])
def test_a_restored_schedule_goes_on_with_the_same_rates(name, stop):
    def run(schedule, optimizer, first, last):
        got = []
        for epoch in range(first, last):
            got += rates(schedule, optimizer, 3)
            schedule.after_epoch([5.0, 4.0, 4.0, 4.0, 4.5, 4.0][epoch % 6])
        return got

    config = ScheduleConfig(name=name, patience=1, factor=0.5)
    whole = run(*schedule_of(config, 60), 0, 20)
    schedule, optimizer = schedule_of(config, 60)
    run(schedule, optimizer, 0, stop)
    kept = json.loads(json.dumps([optimizer.state_dict()["param_groups"], schedule.state()]))
    again, other = schedule_of(config, 60)
    other.load_state_dict({"state": {}, "param_groups": kept[0]})
    again.restore(kept[1])
    assert run(again, other, stop, 20) == whole[3 * stop :]  # bit for bit


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
