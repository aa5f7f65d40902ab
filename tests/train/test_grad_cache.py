"""A contrastive batch computed in parts, or by two processes, is one big batch."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import contrastive_cases
from contrastive_cases import CASES, batch_of, batches_of_two, joined, loss_and_gradients
from contrastive_cases import objective_of as made
from fourview.contract import encoded_batch
from fourview.errors import TrainingError
from fourview.models.find import find_family
from fourview.train import grad_cache
from fourview.train.grad_cache import contrastive_backward, freeze_statistics

CLOSE = {"rtol": 1e-6, "atol": 1e-6}  # promised; float64 sums in another order reach about 1e-13
every_case = pytest.mark.parametrize("name", CASES)
TIMEOUT_S = 3600  # only so that a deadlock ends; it takes some seconds
EXAMS = ("0123", "02", "13", "0", "02")  # the last exam is of the first one's patient


def assert_same(gradients, wanted):
    assert gradients.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(
            gradients[name], value, **CLOSE, msg=lambda m, n=name: f"{n}: {m}"
        )


@every_case
@pytest.mark.parametrize("chunk", [1, 3])
def test_a_few_at_a_time_give_the_loss_and_gradients_of_the_whole(name, chunk):
    batch = batch_of(*EXAMS)
    whole = loss_and_gradients(made(name), batch, None)
    assert len(whole) > 10
    assert_same(loss_and_gradients(made(name), batch, chunk), whole)


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """What two gloo processes found, each with its own part of a batch."""
    folder = tmp_path_factory.mktemp("two")
    script = Path(contrastive_cases.__file__)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(script.parent)}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(folder / "meet"), str(folder / "found")],
            env=environment,
        )
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=TIMEOUT_S) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return torch.load(folder / "found", weights_only=True)


@every_case
@pytest.mark.parametrize("chunk", [None, 2])
def test_two_processes_give_the_loss_and_gradients_of_one(of_two, name, chunk):
    begin = f"{name}/{chunk}/"
    gradients = {k.removeprefix(begin): v for k, v in of_two.items() if k.startswith(begin)}
    assert_same(gradients, loss_and_gradients(made(name), joined(*batches_of_two()), None))


@every_case
def test_the_order_of_the_batch_does_not_matter(name):
    batch = batch_of(*EXAMS)
    order = torch.tensor([5, 2, 8, 0, 3, 1, 7, 4, 6])
    assert len(order) == batch.num_images
    one, other = (made(name)(b).total for b in (batch, batch.select(order)))
    torch.testing.assert_close(one, other, **CLOSE)


def test_random_numbers_of_an_encoder_are_drawn_again():
    """Dropout, and a sentence drawn for each text: the same in both forward passes of a chunk."""
    tiny = find_family("clip").tiny_config
    stage = find_family("clip").stages["pretrain"]

    def objective():
        torch.manual_seed(0)
        model = find_family("clip").build(replace(tiny, text=replace(tiny.text, dropout=0.5)))
        objective_of_stage = (
            stage.objective(model, stage.settings(text="sentence")).double().train()
        )
        freeze_statistics(objective_of_stage, chunk=2, frozen=True)
        return objective_of_stage

    batch = batch_of(*EXAMS)
    cached, kept = objective(), objective()
    torch.manual_seed(3)
    terms = contrastive_backward(cached, batch, chunk=2)
    torch.manual_seed(3)
    parts = list(grad_cache._parts(kept, batch, 2))
    for part in parts:
        part.outputs = part.encode()
    outputs = [grad_cache._joined([p for p in parts if p.kind == k]) for k in ("images", "texts")]
    total = kept.compare(encoded_batch(batch, *outputs)).total
    total.backward()
    torch.testing.assert_close(terms.total, total, **CLOSE)
    for (name, one), (_, other) in zip(
        cached.named_parameters(), kept.named_parameters(), strict=True
    ):
        torch.testing.assert_close(one.grad, other.grad, **CLOSE, msg=lambda m, n=name: f"{n}: {m}")


def test_batch_statistics_are_frozen_or_refused_by_name():
    objective = made("mama").train()
    with pytest.raises(TrainingError, match=r"images has batch normalisation \('body\.body\.1'\)"):
        freeze_statistics(objective, chunk=2, frozen=False)
    freeze_statistics(objective, chunk=None, frozen=False)  # one process, one piece: nothing is cut
    freeze_statistics(objective, chunk=2, frozen=True)
    before = objective.model.image_tower.body.body[1].running_mean.clone()
    contrastive_backward(objective, batch_of(*EXAMS), chunk=2)
    assert objective.model.image_tower.body.body[1].running_mean.equal(before)


def test_a_tower_that_is_frozen_runs_once():
    objective = made("clip")
    objective.model.text_tower.requires_grad_(False)
    runs = []
    objective.model.text_tower.register_forward_hook(lambda *_: runs.append(1))
    contrastive_backward(objective, batch_of(*EXAMS), chunk=1)
    assert len(runs) == len(EXAMS)


def test_without_a_chunk_all_images_are_encoded_at_once():
    objective, batch = made("clip"), batch_of("0123", "03")
    sizes = []
    encode = objective.encode_images
    objective.encode_images = lambda pixels: sizes.append(len(pixels)) or encode(pixels)
    contrastive_backward(objective, batch, chunk=None)
    assert sizes == [batch.num_images]
