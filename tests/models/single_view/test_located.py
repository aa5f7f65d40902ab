"""Cells that are told by boxes whether they show a cancer, against a loop over single cells."""

import math
from dataclasses import replace

import pytest
import torch

from factory import box_batch, exam_batch
from fourview.contract import PatchBatch
from fourview.errors import RecipeError
from fourview.models.single_view.located import (
    LocatedObjective,
    LocatedObjectiveConfig,
    cell_targets,
    image_targets,
)
from fourview.models.single_view.model import TINY, SingleView

TOP = replace(TINY, pool="top", top=0.1)
STRIDE, FIRST = 8, 4.0


def marked(exams, *rows, size=(64, 32)):
    """Images with boxes: rows of image, box, malignant."""
    image, box, malignant = zip(*rows, strict=True)
    patches = PatchBatch(
        image=torch.tensor(image),
        box=torch.tensor(box, dtype=torch.float32),
        targets={"malignant": torch.tensor(malignant, dtype=torch.float32)},
    )
    return replace(exam_batch(*exams, size=size), patches=patches)


def targets_of(batch):
    images = image_targets(batch, "cancer")
    return cell_targets(batch, images, grid=(8, 4), stride=STRIDE, first_center=FIRST)


def test_cells_in_the_ellipse_are_positive_and_those_around_it_unknown():
    box = (3.0, 9.0, 27.0, 41.0)
    batch = replace(marked(["0"], (0, box, 1)), targets={"cancer": torch.tensor([[1.0, math.nan]])})
    cells = targets_of(batch)[0]
    middle, half = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), (12.0, 16.0)
    kinds = set()
    for row in range(8):
        for col in range(4):
            x, y = FIRST + STRIDE * col - middle[0], FIRST + STRIDE * row - middle[1]
            inside = (x / half[0]) ** 2 + (y / half[1]) ** 2 <= 1
            near = abs(x) <= half[0] + STRIDE and abs(y) <= half[1] + STRIDE
            want = 1.0 if inside else math.nan if near else 0.0
            got = cells[row, col].item()
            assert got == want or (math.isnan(got) and math.isnan(want)), (row, col)
            kinds.add(str(want))
    assert kinds == {"1.0", "nan", "0.0"}


def test_a_finding_smaller_than_a_cell_has_one():
    batch = marked(["0"], (0, (17.0, 17.0, 18.0, 18.0), 1))  # between four cells' places
    batch = replace(batch, targets={"cancer": torch.tensor([[1.0, math.nan]])})
    cells = targets_of(batch)[0]
    assert cells[2, 2] == 1 and (cells == 1).sum() == 1  # 20 is nearer to 17.5 than 12 is


def test_benign_findings_are_background_and_those_of_unknown_nature_are_not_told():
    benign = (0, (0.0, 0.0, 16.0, 16.0), 0)
    unknown = (0, (16.0, 40.0, 32.0, 64.0), math.nan)
    batch = replace(
        marked(["0"], benign, unknown), targets={"cancer": torch.tensor([[0.0, math.nan]])}
    )
    cells = targets_of(batch)[0]
    assert (cells[:2, :2] == 0).all()
    assert cells[5:, 2:].isnan().all()
    assert (cells == 1).sum() == 0


def test_a_view_in_which_the_cancer_is_hidden_says_nothing():
    cc_and_mlo = "02"  # of the right breast
    batch = marked([cc_and_mlo], (0, (4.0, 4.0, 20.0, 20.0), 1))
    batch = replace(batch, targets={"cancer": torch.tensor([[1.0, math.nan]])})
    images = image_targets(batch, "cancer")
    assert images[0] == 1 and images[1].isnan()
    cells = targets_of(batch)
    assert (cells[0] == 1).any() and cells[1].isnan().all()


def test_a_breast_without_any_box_is_known_as_a_whole_only():
    batch = marked(["01"], (0, (4.0, 4.0, 20.0, 20.0), 0))
    batch = replace(batch, targets={"cancer": torch.tensor([[1.0, 0.0]])})
    assert image_targets(batch, "cancer").tolist() == [1.0, 0.0]
    cells = targets_of(batch)
    assert cells[0].isnan().all() and (cells[1] == 0).all()


def test_an_image_is_the_mean_of_its_highest_cells_and_the_map_has_its_score():
    torch.manual_seed(0)
    model = SingleView(TOP).eval()
    torch.nn.init.normal_(model.head.weight)
    batch = exam_batch("0123")
    output = model.explain(batch)
    values = output.cell_logits.flatten(1)
    three = values.sort(dim=1, descending=True).values[:, :3]  # a tenth of 32 cells
    torch.testing.assert_close(output.logits[:, 0], three.mean(dim=1))
    peaks = output.heatmaps.amax(dim=(2, 3))
    torch.testing.assert_close(peaks, output.image_scores)


def test_training_finds_what_the_boxes_mark():
    """Bright squares: after some steps the highest cell of an image lies on its square."""
    torch.manual_seed(0)
    model = SingleView(TOP)
    objective = LocatedObjective(model, LocatedObjectiveConfig())
    corner = torch.randint(0, 6, (40, 8, 2)) * torch.tensor([8, 4])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(40):
        optimizer.zero_grad()
        objective(bright(corner[step])).total.backward()
        optimizer.step()
    model.eval()
    unseen = torch.tensor([[8, 4], [40, 12], [24, 8], [16, 16]])
    with torch.no_grad():
        cells = model(bright(unseen)).cell_logits[:, 0]
    for (row, col), grid in zip(unseen.tolist(), cells, strict=True):
        y, x = divmod(int(grid.argmax()), grid.shape[1])
        assert row <= y * 8 <= row + 16 and col <= x * 8 <= col + 16  # looks at pixel 8 i


def bright(corner):
    """One breast each, with a square of 16 pixels."""
    exams = ["0"] * len(corner)
    rows = [(i, (x, y, x + 16, y + 16), 1) for i, (y, x) in enumerate(corner.tolist())]
    batch = marked(exams, *rows)
    pixels = torch.rand(len(exams), 1, 64, 32) * 0.4 + 0.01
    for i, (y, x) in enumerate(corner.tolist()):
        pixels[i, 0, y : y + 16, x : x + 16] += 0.5
    known = torch.tensor([[1.0, math.nan]]).repeat(len(exams), 1)
    return replace(batch, pixels=pixels, targets={"cancer": known})


def test_layers_that_stay_do_not_move_nor_do_their_statistics():
    torch.manual_seed(0)
    model = SingleView(TOP)
    names = ("encoder.body.0.", "encoder.body.1.")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    objective = LocatedObjective(model, LocatedObjectiveConfig(still=names))
    objective.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    objective(box_batch("0123")).total.backward()
    optimizer.step()
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert not any(name.startswith(names) for name in moved)
    assert {"encoder.body.3.weight", "encoder.body.4.running_mean", "head.weight"} <= moved


@pytest.mark.parametrize(
    ("model", "config", "message"),
    [
        (replace(TINY, task="density"), LocatedObjectiveConfig(), "no task 'density'; take cancer"),
        (TOP, LocatedObjectiveConfig(still=("encoder.head",)), "names 'encoder.head', of no layer"),
    ],
)
def test_what_cannot_be_told_is_refused(model, config, message):
    with pytest.raises(RecipeError, match=message):
        LocatedObjective(SingleView(model), config)


def test_classes_that_exclude_each_other_have_no_highest_cells():
    with pytest.raises(ValueError, match="task 'density' has classes"):
        replace(TOP, task="density")
