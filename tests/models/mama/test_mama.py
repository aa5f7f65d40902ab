"""MaMA: what counts when, and the temperature."""

import math
from dataclasses import replace

import pytest
import torch

from factory import caption_batch
from fourview.losses.contrastive import nt_xent, two_way_info_nce
from fourview.models.mama.model import TINY, Mama
from fourview.models.mama.objective import MamaObjective, MamaObjectiveConfig

BATCH = caption_batch("02", "13", "0", "02")


def objective(**settings) -> MamaObjective:
    torch.manual_seed(0)
    return MamaObjective(Mama(TINY), MamaObjectiveConfig(**settings)).train()


@pytest.mark.parametrize(
    ("gates", "early"),
    [("local", {"image_text", "other_text", "image_image"}), ("all", {"image_text"})],
)
def test_delta_adds_the_local_alignment(gates, early):
    made = objective(delta=0.2, delta_gates=gates)
    made.progress = 0.199
    made(BATCH).total.backward()
    assert set(made(BATCH).parts) == early
    assert all(p.grad is None for p in made.model.local_text.parameters())
    made.progress = 0.2
    assert set(made(BATCH).parts) == {"image_text", "other_text", "image_image", "local"}
    made.progress = 0.0
    assert "local" in made.eval()(BATCH).parts  # validation is the same before and after


def test_the_whole_is_the_sum_of_its_parts():
    terms = objective()(BATCH)
    assert terms.total.item() == pytest.approx(sum(v.item() for v in terms.parts.values()))


def test_the_reference_doubles_text_terms_and_quadruples_the_local_one():
    paper = objective().eval()(BATCH).parts
    reference = objective(loss_scale="reference").eval()(BATCH).parts
    times = {name: (reference[name] / paper[name]).item() for name in paper}
    assert times == pytest.approx(
        {"image_text": 2, "other_text": 2, "image_image": 1, "local": 4}, rel=1e-5
    )


def test_parts_are_the_losses_of_the_right_rows():
    """The anchor is the image with the caption; an item of one image has no pair."""
    made = objective().eval()
    model = made.model
    pooled = model.image_tower(BATCH.pixels).pooled
    anchors, others, patient = [0, 2, 4, 5], [1, 3, 6], BATCH.patient
    texts = model.text_head(model.text_tower(BATCH.text).pooled)
    scale = 1 / 0.07
    terms = made(BATCH).parts
    first = two_way_info_nce(model.image_head(pooled[anchors]), texts, scale, patient)
    paired = [0, 1, 3]
    second = two_way_info_nce(
        model.image_head(pooled[others]), texts[paired], scale, patient[paired]
    )
    views = nt_xent(
        model.projector(pooled[others]), model.projector(pooled[[0, 2, 5]]), 2.0, patient[paired]
    )
    torch.testing.assert_close(terms["image_text"], first)
    torch.testing.assert_close(terms["other_text"], second)
    torch.testing.assert_close(terms["image_image"], views)


def test_the_temperature_moves_under_autocast():
    made = objective(delta=0.0)
    before = made.model.logit_scale.item()
    optimizer = torch.optim.AdamW(made.parameters(), lr=4e-5, weight_decay=0.0)
    for _ in range(3):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            terms = made(BATCH)
        assert terms.total.dtype == torch.float32
        terms.total.backward()
        optimizer.step()
    moved = abs(made.model.logit_scale.item() - before)
    assert 5e-5 < moved < 2e-4  # three steps of 4e-5; bfloat16 weights of 2.66 are 0.016 apart


def test_the_temperature_stops_at_its_bound_and_can_come_back():
    model = Mama(TINY).train()
    with torch.no_grad():
        model.logit_scale.fill_(9.0)
    scale = model.scale(model.logit_scale)
    assert scale.item() == pytest.approx(100.0, rel=1e-5)
    (gradient,) = torch.autograd.grad(scale, model.logit_scale)
    assert gradient > 0
    free = Mama(replace(TINY, max_scale=None)).train()
    with torch.no_grad():
        free.logit_scale.fill_(9.0)
    assert free.scale(free.logit_scale).item() == pytest.approx(math.exp(9.0), rel=1e-5)


def test_maps_are_cosines_of_sentences_with_tokens():
    torch.manual_seed(0)
    model = Mama(TINY).eval()
    batch = caption_batch("0", "1")
    maps = model.sentence_maps(batch.pixels, batch.text)
    words = model.text_tower(batch.text)
    assert maps.shape[:2] == words.sentence_mask.shape
    assert maps.shape[2:] == (8, 4)  # 64 x 32 pixels, cells of 8
    known = maps[words.sentence_mask]
    assert known.isfinite().all() and known.abs().max() <= 1 + 1e-6
    assert maps[~words.sentence_mask].isnan().all()
    image = model.image_tower(batch.pixels)
    head = model.local_image(image.tokens[1])
    said = model.local_text(words.sentences[1, :1])
    want = torch.cosine_similarity(head, said, dim=1).reshape(image.grid)
    torch.testing.assert_close(maps[1, 0], want, rtol=1e-4, atol=1e-5)
