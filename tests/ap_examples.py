"""Oblique views for the tests of AP alignment: drawn with a straight muscle, and phantoms."""

import math
from functools import cache

import cv2
import numpy as np

from fourview.entities import ProcessedImage
from fourview.phantom.exam import make_exam
from fourview.phantom.truth import PhantomImage
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import PixelSpec

NATIVE = PixelSpec(name="native", rows=None, cols=None, pad_to_aspect=False)


def oblique(
    degrees: float = 22.0,
    part: float = 0.35,
    *,
    rows: int = 480,
    muscle: float = 0.8,
    texture: float = 0.03,
    edge: float = 0.02,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, float]:
    """16-bit levels, mask, and the line's offset in pixels: ``part`` of the width.

    The muscle's edge is a ramp, ``edge`` of the height wide.
    """
    cols = rows // 2
    y, x = np.mgrid[0:rows, 0:cols] + 0.5
    mask = (x / (0.95 * cols)) ** 2 + ((y - 0.55 * rows) / (0.44 * rows)) ** 2 < 1
    mask |= (y < 0.55 * rows) & (x < 0.6 * cols)
    noise = np.random.default_rng(seed).normal(size=mask.shape)
    rough = cv2.GaussianBlur(noise, (0, 0), rows / 80)
    values = 0.4 + texture * rough / rough.std()
    t, offset = math.radians(degrees), part * cols
    behind = x * math.cos(t) + y * math.sin(t) - offset
    share = np.clip(0.5 - behind / (edge * rows), 0, 1)
    values += (muscle - 0.4) * share
    return np.where(mask, np.rint(values * 65535), 0).astype(np.uint16), mask, offset


@cache
def phantom(seed: int) -> tuple[tuple[PhantomImage, ProcessedImage], ...]:
    """The four views of a phantom with many findings, oriented; 0.9 mm a pixel."""
    exam = make_exam(seed, "miniature", rows=256, vendor="ABC"[seed % 3])
    return tuple((image, process(exam.entity(image), NATIVE)) for image in exam.images)


def angle(image: PhantomImage, done: ProcessedImage) -> float:
    """True angle of the AP axis to the rows of the oriented image, degrees."""
    chest, nipple = done.geometry.to_processed(
        np.array([image.truth.chest_point, image.truth.nipple])
    )
    return math.degrees(math.atan2(nipple[1] - chest[1], nipple[0] - chest[0]))
