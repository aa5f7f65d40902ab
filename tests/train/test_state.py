"""A saved state gives weights, optimiser and position back to the bit, or says why not."""

import math

import pytest
import torch
from torch import nn

from fourview.errors import TrainingError
from fourview.train.frozen import digest_of_frozen
from fourview.train.state import Position, load_state, save_state

START = Position(epoch=2, step=3, total_steps=23, best_epoch=-1, best_value=math.inf, digest="d")


def made(seed=0, steps=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def one_more_step(model, optimizer):
    torch.manual_seed(9)
    optimizer.zero_grad()
    model(torch.randn(8, 3)).square().sum().backward()
    optimizer.step()
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_what_goes_on_is_what_would_have_gone_on(tmp_path):
    model, optimizer = made(steps=3)
    frozen = digest_of_frozen(model)
    save_state(
        tmp_path / "last", START, {"best": math.nan, "n": 3}, model, optimizer, frozen=frozen
    )
    again, other = made()
    position, schedule = load_state(tmp_path / "last", again, other, frozen=frozen)
    assert position == START and math.isnan(schedule["best"]) and schedule["n"] == 3
    want, got = one_more_step(model, optimizer), one_more_step(again, other)
    assert all(torch.equal(got[name], want[name]) for name in want)


def test_nothing_saved_is_none(tmp_path):
    assert load_state(tmp_path / "last", *made()) is None


def test_another_network_and_other_frozen_weights_are_refused(tmp_path):
    model, optimizer = made(steps=1)
    frozen = digest_of_frozen(model)
    save_state(tmp_path / "last", START, {}, model, optimizer, frozen=frozen)
    with pytest.raises(TrainingError, match=r"frozen weights .* are not those of today"):
        load_state(tmp_path / "last", *made(seed=1), frozen="another")
    wider = nn.Sequential(*made()[0], nn.Linear(1, 1))
    with pytest.raises(TrainingError, match=r"the weights differ at '3\.bias'"):
        load_state(tmp_path / "last", wider, optimizer, frozen=frozen)
    (tmp_path / "last" / "state.json").write_text("{")
    with pytest.raises(TrainingError, match="cannot be resumed from"):
        load_state(tmp_path / "last", *made(), frozen=frozen)
