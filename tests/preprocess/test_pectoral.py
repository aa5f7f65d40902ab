"""The line of the pectoral muscle: on drawings, and on phantoms that know it."""

import math

import cv2
import numpy as np
import pytest

from ap_examples import angle, oblique, phantom
from fourview.preprocess.pectoral import (
    REFINE_DEGREES,
    SMALL_ROWS,
    PectoralLine,
    _small_copy,
    _Votes,
    find_pectoral,
)

# Fine angles are searched in steps of 0.5 degrees on 192 rows, where the soft edge is 4 pixels wide
DEGREES = 1.0


@pytest.mark.parametrize("part", [0.2, 0.35, 0.5])
@pytest.mark.parametrize("degrees", [10, 22, 35, 45])
def test_finds_a_drawn_muscle(degrees, part):
    levels, mask, offset = oblique(degrees, part)
    line = find_pectoral(levels, mask)
    assert line is not None
    # above 32 degrees the first guess is held back by its rarity, for short lines by most
    near = DEGREES if degrees <= 35 else 4
    assert line.degrees == pytest.approx(degrees, abs=near)
    assert line.offset_px == pytest.approx(offset, abs=0.01 * len(mask))  # half the soft edge


@pytest.mark.parametrize("seed", [60, 61, 62])
def test_is_near_the_truth_of_phantoms(seed):
    off = []
    for image, done in phantom(seed):
        if image.position == "MLO":
            line = find_pectoral(done.pixels, done.mask)
            off.append(abs(line.degrees - angle(image, done)))
    assert max(off) < 5  # 97 % of phantom views are; the median is 0.7


def test_the_plain_method_finds_a_muscle_behind_a_strip_of_fat():
    # Equalising flattens the step from tissue to an even muscle below the published thresholds
    # of Canny; a dark strip between them it does not.
    levels, mask, offset = oblique(texture=0.005)
    behind = PectoralLine(22.0, offset).muscle(mask.shape)
    strip = PectoralLine(22.0, offset + 12).muscle(mask.shape) & ~behind
    levels[strip & mask] = 5000
    line = find_pectoral(levels, mask, method="plain")
    assert line.degrees == pytest.approx(22, abs=2)
    assert -5 < line.offset_px - offset < 17  # one of the strip's edges, blurred by 2.7 pixels


def test_size_does_not_matter():
    levels, mask, _ = oblique(rows=360)
    lines = [find_pectoral(levels, mask)]
    large = [
        cv2.resize(values, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
        for values in (levels, mask.view(np.uint8))
    ]
    lines.append(find_pectoral(large[0], large[1] > 0))
    assert lines[0].degrees == pytest.approx(lines[1].degrees, abs=1)
    assert 4 * lines[0].offset_px == pytest.approx(lines[1].offset_px, abs=0.01 * 1440)
    assert lines[0].degrees == pytest.approx(22, abs=2)


def test_scale_of_the_pixels_does_not_matter():
    levels, mask, _ = oblique()
    want = find_pectoral(levels, mask)
    for pixels in (levels / np.float32(65535), levels / 65535, levels.astype(np.int32) // 16):
        got = find_pectoral(pixels, mask)
        assert (got.degrees, got.offset_px) == (want.degrees, want.offset_px)


def test_what_lies_outside_the_mask_does_not_matter():
    levels, mask, _ = oblique()
    want = find_pectoral(levels, mask)
    labelled = levels.copy()
    letters = np.zeros(mask.shape, np.uint8)
    cv2.putText(letters, "L MLO", (150, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 3)
    labelled[letters > 0] = 65535
    labelled[mask] = levels[mask]
    assert (labelled != levels).sum() > 200
    assert find_pectoral(labelled, mask) == want
    framed = [cv2.copyMakeBorder(v, 30, 10, 5, 40, cv2.BORDER_CONSTANT)
              for v in (levels, mask.view(np.uint8))]  # fmt: skip
    moved = find_pectoral(framed[0], framed[1] > 0)
    assert moved.degrees == want.degrees
    foot = want.axis * want.offset_px + (5, 30)
    assert moved.depth(foot) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("muscle", [0.4, 0.1])
def test_no_muscle_and_a_dark_triangle_are_no_line(muscle):
    levels, mask, _ = oblique(muscle=muscle)
    assert find_pectoral(levels, mask) is None


def test_a_muscle_as_faint_as_the_tissue_is_rough_is_no_line():
    levels, mask, _ = oblique(muscle=0.42, texture=0.1)
    assert find_pectoral(levels, mask) is None


@pytest.mark.parametrize("method", ["oriented", "plain"])
def test_blank_tiny_and_empty_images_have_no_line(method):
    shape = (200, 100)
    flat, whole = np.full(shape, 900, np.uint16), np.ones(shape, bool)
    speck = np.zeros(shape, bool)
    speck[50:60, :10] = True
    for levels, mask in ((flat, whole), (flat * 0, whole), (flat, speck), (flat, whole & False)):
        assert find_pectoral(levels, mask, method=method) is None


def test_muscle_and_depth_agree_with_the_equation_of_the_line():
    line = PectoralLine(30.0, 25.0)
    muscle = line.muscle((40, 30))
    for row in range(40):
        for col in range(30):
            depth = (col + 0.5) * np.cos(np.pi / 6) + (row + 0.5) * np.sin(np.pi / 6) - 25
            assert muscle[row, col] == (depth < 0)
            assert line.depth(np.array([col + 0.5, row + 0.5])) == pytest.approx(depth)


@pytest.mark.parametrize("side", [-1, 1])
def test_refining_turns_as_far_to_either_side(side):
    """From further off than that, the best is the last angle that is looked at."""
    degrees, rows = 27.0, 192
    levels, mask, offset = oblique(degrees, 0.5, rows=rows)
    scale = SMALL_ROWS / rows
    votes = _Votes.of(*_small_copy(levels, mask, scale))
    t = math.radians(degrees)
    half = min(offset / math.sin(t), rows) / 2
    middle = (offset - half * math.sin(t)) / math.cos(t), half
    first = degrees + side * (REFINE_DEGREES + 1)
    t = math.radians(first)
    through = (middle[0] * math.cos(t) + middle[1] * math.sin(t)) * scale
    assert votes.refined(first, through)[0] == pytest.approx(first - side * REFINE_DEGREES)
