"""End2end: which patches are drawn, what stays as it is, and how flips are averaged."""

from dataclasses import replace

import torch

from factory import box_batch, exam_batch
from fourview.models.end2end.model import TINY, End2end
from fourview.models.end2end.objective import (
    ImageObjectiveConfig,
    PatchObjective,
    PatchObjectiveConfig,
    TopObjective,
)

SIDE = 12


def shared_over_smaller(box, row, col):
    """By counting pixels."""
    x0, y0, x1, y1 = (int(v) for v in box)
    finding = {(y, x) for y in range(y0, y1) for x in range(x0, x1)}
    patch = {(y, x) for y in range(row, row + SIDE) for x in range(col, col + SIDE)}
    return len(finding & patch) / min(len(finding), len(patch))


def test_patches_show_their_finding_or_hardly_any():
    torch.manual_seed(0)
    config = PatchObjectiveConfig(patch_px=SIDE, per_finding=6, background=5, tries=50)
    objective = PatchObjective(End2end(TINY), config)
    batch = box_batch("01")
    image, corner, kind = objective.draw(batch)
    assert len(kind) == 2 * (2 * 6 + 5)
    boxes = batch.patches.box.reshape(2, 2, 4)
    # malignant first, then benign; masses on the first image, calcifications on the second
    names = {0: {4: 0, 3: 1}, 1: {2: 0, 1: 1}}
    for i, (row, col), k in zip(image.tolist(), corner.tolist(), kind.tolist(), strict=True):
        assert 0 <= row <= 64 - SIDE and 0 <= col <= 32 - SIDE
        shared = [shared_over_smaller(box, row, col) for box in boxes[i]]
        if k == 0:
            assert max(shared) < 0.35
        else:
            assert shared[names[i][k]] >= 0.75


def test_the_encoder_stays_while_the_top_is_trained():
    torch.manual_seed(0)
    model = End2end(TINY)
    before = {k: v.clone() for k, v in model.encoder.state_dict().items()}
    objective = TopObjective(model, ImageObjectiveConfig())
    objective.train()
    objective(exam_batch("0123", "0123")).total.backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert model.head.weight.grad.abs().sum() > 0
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_measuring_averages_four_flips():
    torch.manual_seed(0)
    model, batch = End2end(TINY).eval(), exam_batch("02")
    plain = End2end(replace(TINY, average_flips=False)).eval()
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        got = model(batch).image_scores
        one_by_one = [
            plain(replace(batch, pixels=torch.flip(batch.pixels, dims))).image_scores
            for dims in ([], [2], [3], [2, 3])
        ]
    torch.testing.assert_close(got, torch.stack(one_by_one).mean(dim=0))


def test_pixels_reach_the_encoder_as_the_paper_scales_them():
    pixels = torch.rand(1, 1, 16, 16)
    encoder = End2end(TINY).encoder
    seen = []
    encoder.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(pixels)
    # float32 of values up to 255
    torch.testing.assert_close(
        seen[0], (pixels * 255 - 52.18).expand(1, 3, 16, 16), atol=1e-4, rtol=1e-5
    )
