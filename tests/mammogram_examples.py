"""Images made in a few lines, for the tests of preprocessing and of the store."""

import cv2
import numpy as np

from fourview.entities import Image, Side, View, Voi
from fourview.geometry import Size


def breast_pixels(
    rows: int = 832,
    cols: int = 640,
    *,
    position: str = "CC",
    side: Side = "L",
    air: float = 0.0,
    noise: float = 8.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """12-bit pixels of a textured half ellipse (with a muscle for MLO), and where it truly is."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:cols].astype(np.float32)
    center, height = (0.5, 0.38) if position == "CC" else (0.58, 0.33)
    depth = 1 - (x / (cols * 0.62)) ** 2 - ((y - rows * center) / (rows * height)) ** 2
    if position != "CC":
        depth = np.maximum(depth, 1 - x / (cols * 0.45) - y / (rows * 0.75))
    texture = cv2.GaussianBlur(random.normal(size=(rows, cols)).astype(np.float32), (0, 0), 7)
    tissue = (900 + 1700 * np.sqrt(np.clip(depth, 0, 1))) * (1 + 0.12 * texture / texture.std())
    values = np.where(depth > 0, tissue, 0) + air + noise * random.normal(size=(rows, cols))
    pixels, truth = values.clip(0, 4095).astype(np.uint16), depth > 0
    if side == "R":
        pixels, truth = pixels[:, ::-1].copy(), truth[:, ::-1].copy()
    return pixels, truth


def image_of(
    pixels: np.ndarray,
    *,
    side: Side = "L",
    position: str = "CC",
    bright_is_dense: bool = True,
    voi: Voi | None = None,
    stored_size: Size | None = None,
    padding: np.ndarray | None = None,
    bits: int = 12,
) -> Image:
    """An Image around pixels."""
    return Image(
        image_id="1.2.3",
        patient_id="p",
        exam_id="e",
        view=View(side=side, position=position),
        pixels=pixels,
        stored_size=stored_size or pixels.shape,
        bits=bits,
        value_range=(0.0, float(2**bits - 1)),
        spacing_mm=(0.07, 0.07),
        bright_is_dense=bright_is_dense,
        voi=voi,
        padding=padding,
    )


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((mask & truth).sum() / (mask | truth).sum())
