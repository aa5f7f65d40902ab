"""Augmentation: what moves, what stays, what repeats."""

from dataclasses import replace

import pytest
import torch

from factory import box_batch, exam_batch, patch_batch
from fourview.feeds.augment import NO_AUGMENTATION, AugmentConfig, augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_changes_when_nothing_may():
    batch = exam_batch("0123")
    assert augment(batch, NO_AUGMENTATION, generator()) is batch


def test_the_same_generator_gives_the_same_pixels():
    batch, config = exam_batch("0123"), AugmentConfig(gain=0.2)
    one, two, other = (augment(batch, config, generator(s)).pixels for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_a_certain_flip_exchanges_top_and_bottom():
    batch = exam_batch("02")
    flipped = augment(batch, replace(NO_AUGMENTATION, vertical_flip=1), generator())
    torch.testing.assert_close(flipped.pixels, batch.pixels.flip(2), rtol=0, atol=1e-5)


def spot(size: tuple[int, int], row: float, col: float) -> torch.Tensor:
    """A smooth spot around a point of the pixels' frame (0, 0 is the corner of the first)."""
    y, x = (torch.arange(n) + 0.5 for n in size)
    return torch.exp(-((y[:, None] - row) ** 2 + (x[None] - col) ** 2) / 18)


def center_of(picture: torch.Tensor) -> torch.Tensor:
    """The centre of mass, row and column."""
    y, x = (torch.arange(n) + 0.5 for n in picture.shape)
    return torch.stack([(picture.sum(dim=1) * y).sum(), (picture.sum(dim=0) * x).sum()]) / (
        picture.sum()
    )


@pytest.mark.parametrize("size", [(128, 64), (64, 128), (96, 96)])
def test_a_turn_keeps_lengths_and_right_angles_whatever_the_aspect(size):
    """Spots beside and above the middle are turned by one angle about it, and move rigidly."""
    rows, cols = size
    middle = torch.tensor([rows / 2, cols / 2])
    away = torch.tensor([[0.0, 0.0], [0.0, 16.0], [-16.0, 0.0]])
    pictures = torch.stack([spot(size, *(middle + a).tolist()) for a in away])[:, None]
    batch = replace(exam_batch("012", size=size), pixels=pictures)
    config = replace(NO_AUGMENTATION, rotation=90, shared=True)
    for seed in range(5):
        moved = augment(batch, config, generator(seed)).pixels[:, 0]
        still, beside, above = (center_of(m) for m in moved)
        torch.testing.assert_close(still, middle, rtol=0, atol=0.05)
        beside, above = beside - middle, above - middle
        # a twentieth of a pixel: spots are sampled, and their tails end at the edge
        assert float(beside.norm()) == pytest.approx(16, abs=0.05)
        turned = torch.stack([-beside[1], beside[0]])  # by a quarter, as above was to beside
        torch.testing.assert_close(above, turned, rtol=0, atol=0.1)


def test_a_shift_is_a_part_of_the_side_and_brings_in_zeros():
    batch = exam_batch("0", size=(64, 32))
    ones = replace(batch, pixels=torch.ones(1, 1, 64, 32))
    moved = augment(ones, replace(NO_AUGMENTATION, translation=0.5), generator(3)).pixels
    assert 0.25 <= float(moved.mean()) < 1.0
    assert float(moved.min()) == 0.0


def test_shared_draws_move_all_images_of_an_exam_alike():
    batch = exam_batch("02", "02")
    same = replace(batch, pixels=batch.pixels[:1].expand(4, -1, -1, -1).clone())
    config = AugmentConfig(shared=True)
    pixels = augment(same, config, generator()).pixels
    assert torch.equal(pixels[0], pixels[1]) and torch.equal(pixels[2], pixels[3])
    assert not torch.equal(pixels[0], pixels[2])


def test_pixels_stay_in_the_unit_interval():
    pixels = augment(exam_batch("0123"), AugmentConfig(gain=0.5), generator()).pixels
    assert pixels.min() >= 0 and pixels.max() <= 1


def test_view_dropout_takes_one_view_of_a_breast_and_never_both():
    """Over many draws every breast of two views loses either one at the asked rate."""
    batch = exam_batch("0123", "02", "1", "0022")
    config = replace(NO_AUGMENTATION, view_dropout=0.5)
    left: dict[int, list[tuple[int, ...]]] = {}
    for seed in range(400):
        kept = augment(batch, config, generator(seed))
        for breast in batch.breast().unique().tolist():
            slots = kept.slot[kept.breast() == breast].unique().tolist()
            left.setdefault(breast, []).append(tuple(slots))
    for breast, views in left.items():
        assert () not in views
        whole = tuple(batch.slot[batch.breast() == breast].unique().tolist())
        if len(whole) == 1:
            assert set(views) == {whole}
            continue
        for view in whole:  # a quarter of 400 each; five standard deviations are 43
            assert abs(views.count((view,)) - 100) < 44


def test_view_dropout_alone_leaves_pixels_as_they_are():
    batch = exam_batch("0123")
    kept = augment(batch, replace(NO_AUGMENTATION, view_dropout=1.0), generator())
    assert kept.num_images == 2
    assert all(any(torch.equal(image, old) for old in batch.pixels) for image in kept.pixels)


def test_boxes_go_where_their_pixels_go():
    """The box around what is left of a filled box, by looking at the moved picture."""
    config = AugmentConfig(vertical_flip=0.5, rotation=20, scale=(0.8, 1.2), shear=8)
    for seed in range(6):
        batch = box_batch("0", size=(128, 64))
        box = torch.tensor([[20.0, 40.0, 44.0, 72.0], [8.0, 80.0, 30.0, 100.0]])
        batch = replace(batch, patches=replace(batch.patches, box=box))
        pixels = torch.zeros(1, 1, 128, 64)
        pixels[0, 0, 40:72, 20:44] = 1.0
        moved = augment(replace(batch, pixels=pixels), config, generator(seed))
        y, x = torch.nonzero(moved.pixels[0, 0] > 0.02, as_tuple=True)
        seen = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        got = moved.patches.box[0]
        # pixels at the corner of a turned box are partly filled, or hardly at all
        torch.testing.assert_close(got, torch.stack(seen).to(got), rtol=0, atol=2.5)


def test_a_box_that_leaves_the_image_has_no_extent():
    batch = box_batch("0")
    outside = replace(batch.patches, box=torch.tensor([[0.0, 60.0, 4.0, 64.0]] * 2))
    config = replace(NO_AUGMENTATION, translation=1.0)
    boxes = [
        augment(replace(batch, patches=outside), config, generator(seed)).patches.box
        for seed in range(8)
    ]
    sides = torch.stack([b[:, 2:] - b[:, :2] for b in boxes])
    assert (sides >= 0).all() and (sides == 0).any(dim=2).any()


def test_windows_that_were_cut_stay():
    batch = patch_batch("01")
    moved = augment(batch, AugmentConfig(), generator())
    assert torch.equal(moved.patches.box, batch.patches.box)
