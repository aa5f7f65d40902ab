"""Changes known from photographs, on grey images with an outside."""

from dataclasses import replace

import pytest
import scipy.ndimage
import torch

from factory import exam_batch
from fourview.feeds.augment import NO_AUGMENTATION, augment
from fourview.feeds.augment_photo import (
    KERNEL,
    MAMMO,
    NOTHING,
    SIMCLR,
    PhotoConfig,
    gaussian_blur,
    photo_augment,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def breast(images=3):
    pixels = torch.rand(images, 1, 32, 24, generator=generator()).clamp(min=0.01)
    pixels[..., 16:] = 0
    return pixels


def test_nothing_changes_when_nothing_may():
    pixels = breast()
    assert photo_augment(pixels, NOTHING, generator()) is pixels


@pytest.mark.parametrize("config", [SIMCLR, MAMMO], ids=["simclr", "mammo"])
def test_values_stay_in_range_and_repeat_themselves(config):
    one, two, other = (photo_augment(breast(), config, generator(s)) for s in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert one.min() >= 0 and one.max() <= 1


def test_jitter_and_blur_do_not_move_the_edge_of_the_breast():
    config = PhotoConfig(jitter=1.0, jitter_range=0.8, blur=1.0)
    changed = photo_augment(breast(), config, generator())
    assert torch.equal(changed > 0, breast() > 0)


def test_a_blur_is_scipys_gaussian_with_each_images_own_width():
    pixels = torch.rand(2, 1, 20, 16, generator=generator(), dtype=torch.float64)
    sigma = torch.tensor([0.7, 1.4], dtype=torch.float64)
    got = gaussian_blur(pixels, sigma)
    for image, width in zip(range(2), sigma.tolist(), strict=True):
        want = scipy.ndimage.gaussian_filter(
            pixels[image, 0].numpy(), width, radius=KERNEL // 2, mode="mirror"
        )
        torch.testing.assert_close(got[image, 0], torch.from_numpy(want))


def test_a_crop_shows_a_part_of_the_image_enlarged():
    """On a ramp from left to right the span of values is the width of the crop."""
    ramp = torch.linspace(0.01, 1, 64).expand(200, 1, 64, 64)
    cut = photo_augment(ramp, PhotoConfig(crop_area=(0.25, 0.25)), generator())
    spans = (cut[:, 0, 32, -2] - cut[:, 0, 32, 1]) / (1 - 0.01) * 63 / 61
    # sides of a quarter of the area: half, by the root of an aspect of 3/4 to 4/3
    assert spans.min() > 0.5 * (3 / 4) ** 0.5 * 0.98 and spans.max() < 0.5 * (4 / 3) ** 0.5 * 1.02
    centres = cut[:, 0, 32, 32]
    assert centres.min() < 0.4 and centres.max() > 0.6


def test_a_certain_mirror_exchanges_left_and_right():
    pixels = breast()
    got = photo_augment(pixels, PhotoConfig(mirror=1.0), generator())
    torch.testing.assert_close(got, pixels.flip(3), rtol=0, atol=1e-5)  # bilinear at its centres


def test_a_recipe_can_ask_for_it_and_older_ones_draw_as_before():
    batch = exam_batch("0123")
    plain = replace(NO_AUGMENTATION, rotation=5)
    once = augment(batch, plain, generator(3)).pixels
    changed = augment(batch, replace(plain, photo=SIMCLR), generator(3)).pixels
    assert not torch.equal(once, changed)
    only = augment(batch, replace(NO_AUGMENTATION, photo=SIMCLR), generator(3)).pixels
    assert not torch.equal(only, batch.pixels)
