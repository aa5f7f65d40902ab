"""The stage that trains DMV-CNN's patch classifier: which squares, and what moves."""

from dataclasses import replace

import pytest
import torch

from factory import box_batch, exam_batch
from fourview.contract import ExamBatch
from fourview.errors import RecipeError
from fourview.models.dmv.model import TINY, Dmv
from fourview.models.dmv.patch_objective import (
    NEGATIVE,
    OUTSIDE,
    PatchObjective,
    PatchObjectiveConfig,
)
from fourview.models.dmv.patches import BENIGN, MALIGNANT, TINY_PATCHES

SIDE, SIZE = TINY_PATCHES.side_px, (192, 96)
CONFIG = replace(TINY, cc_size=SIZE, mlo_size=SIZE)


def marked_batch(slots: str) -> ExamBatch:
    """On every image a malignant box and a benign one, with room between them for a square."""
    batch = box_batch(slots, size=SIZE)
    boxes = torch.tensor([[10.0, 14.0, 44.0, 50.0], [30.0, 90.0, 80.0, 150.0]])
    patches = replace(batch.patches, box=boxes.repeat(batch.num_images, 1))
    return replace(batch, patches=patches)


def objective_with(**settings) -> PatchObjective:
    torch.manual_seed(0)
    return PatchObjective(Dmv(CONFIG), PatchObjectiveConfig(tries=50, **settings))


def pixels_of(row, col, y0, x0, y1, x1):
    """By counting: pixels that a square shares with a box."""
    square = {(y, x) for y in range(row, row + SIDE) for x in range(col, col + SIDE)}
    return len(square & {(y, x) for y in range(int(y0), int(y1)) for x in range(int(x0), int(x1))})


def test_squares_keep_the_rules_of_their_kind():
    batch = marked_batch("0")  # a malignant and a benign box that lie apart
    drawn = objective_with(per_finding=8, per_image=8).draw(batch, 0, SIZE)
    assert sorted(set(drawn.kind.tolist())) == [MALIGNANT, BENIGN, OUTSIDE]
    (a0, b0, a1, b1), (c0, d0, c1, d1) = batch.patches.box.tolist()
    for kind, (row, col) in zip(drawn.kind.tolist(), drawn.corner.tolist(), strict=True):
        assert 0 <= row <= SIZE[0] - SIDE and 0 <= col <= SIZE[1] - SIDE
        malignant = pixels_of(row, col, b0, a0, b1, a1)
        benign = pixels_of(row, col, d0, c0, d1, c1)
        assert (malignant > 0) == (kind == MALIGNANT)
        assert (benign > 0) == (kind == BENIGN)


def test_a_breast_without_findings_is_negative_and_the_other_view_of_one_with_some_is_nothing():
    objective = objective_with()
    batch = marked_batch("0213")
    on_right_cc = batch.patches.image == 0
    patches = replace(
        batch.patches,
        image=batch.patches.image[on_right_cc],
        box=batch.patches.box[on_right_cc],
        targets={k: v[on_right_cc] for k, v in batch.patches.targets.items()},
    )
    batch = replace(batch, patches=patches)
    kinds = [set(objective.draw(batch, image, SIZE).kind.tolist()) for image in range(4)]
    assert kinds == [{MALIGNANT, BENIGN, OUTSIDE}, set(), {NEGATIVE}, {NEGATIVE}]


def test_findings_of_unknown_nature_are_avoided():
    nan = float("nan")
    objective = objective_with(per_image=20)
    batch = marked_batch("0")
    unknown = {"malignant": torch.tensor([nan, nan])}
    batch = replace(batch, patches=replace(batch.patches, targets=unknown))
    drawn = objective.draw(batch, 0, SIZE)
    assert set(drawn.kind.tolist()) == {NEGATIVE}
    for row, col in drawn.corner.tolist():
        for x0, y0, x1, y1 in batch.patches.box.tolist():
            assert pixels_of(row, col, y0, x0, y1, x1) == 0


def test_only_the_patch_classifier_is_trained_and_no_other_statistics_move():
    objective = objective_with()
    before = {k: v.clone() for k, v in objective.model.state_dict().items()}
    objective.train()
    optimizer = torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.1)
    objective(marked_batch("0123")).total.backward()
    optimizer.step()
    moved = {k for k, v in objective.model.state_dict().items() if not torch.equal(v, before[k])}
    assert "patch_network.classifier.weight" in moved
    assert any("running_mean" in name for name in moved)
    assert all(name.startswith("patch_network.") for name in moved)


def test_each_kind_counts_alike_however_many_squares_show_it():
    objective = objective_with(per_finding=2, per_image=9).eval()
    batch = marked_batch("0")
    torch.manual_seed(3)
    with torch.no_grad():
        total = objective(batch).total
        torch.manual_seed(3)
        drawn = objective.draw(batch, 0, SIZE)
        window = objective.model.window(batch.pixels, 0)[0, 0]
        squares = torch.stack(
            [window[row : row + SIDE, col : col + SIDE] for row, col in drawn.corner.tolist()]
        )
        losses = -objective.network(squares[:, None]).log_softmax(dim=1)
    losses = losses[torch.arange(len(squares)), drawn.kind]
    assert torch.bincount(drawn.kind).tolist() == [2, 2, 9]
    means = [losses[drawn.kind == kind].mean() for kind in (MALIGNANT, BENIGN, OUTSIDE)]
    torch.testing.assert_close(total, torch.stack(means).mean())


def test_says_what_it_lacks():
    with pytest.raises(RecipeError, match=r"set model\.patches"):
        PatchObjective(Dmv(replace(TINY, patches=None)), PatchObjectiveConfig())
    with pytest.raises(RecipeError, match="feed 'boxes'"):
        objective_with()(exam_batch("0123", size=SIZE))
