"""Window by table against pydicom; the whole of `process` against the plain way, step by step."""

import time
import warnings
from collections.abc import Callable

import numpy as np
from pydicom import Dataset
from pydicom.pixels.processing import apply_voi_lut
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import disk
from skimage.transform import resize

from fourview.entities import Image, View, Voi
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import pixel_spec
from fourview.preprocess.window import to_levels

SIZE = (3328, 2560)
VOI = Voi(function="SIGMOID", center=2000, width=2500)


def median_s(action: Callable[[], object], repeats: int) -> float:
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def pixels() -> np.ndarray:
    random = np.random.default_rng(0)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    depth = 1 - (x / 1500) ** 2 - ((y - 1664) / 1300) ** 2
    tissue = 900 + 1700 * np.sqrt(np.clip(depth, 0, 1)) + 80 * random.normal(size=SIZE)
    return np.where(depth > 0, tissue, 0).clip(0, 4095).astype(np.uint16)


def header() -> Dataset:
    dataset = Dataset()
    dataset.BitsStored, dataset.BitsAllocated, dataset.PixelRepresentation = 12, 16, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.WindowCenter, dataset.WindowWidth = VOI.center, VOI.width
    dataset.VOILUTFunction = VOI.function
    return dataset


def plain_process(values: np.ndarray, dataset: Dataset) -> np.ndarray:
    """The same steps as a script would write them with pydicom, SciPy and scikit-image."""
    shown = apply_voi_lut(values, dataset).astype(np.float32) / 4095
    bright = ndimage.binary_opening(shown > threshold_otsu(shown), disk(5))
    parts = label(bright)
    mask = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    cropped = (shown * mask)[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    height = max(cropped.shape[0], 2 * cropped.shape[1])
    wide = np.pad(cropped, ((0, height - cropped.shape[0]), (0, height // 2 - cropped.shape[1])))
    return resize(wide, (1536, 768), anti_aliasing=True)


def run() -> list[dict[str, object]]:
    values, dataset = pixels(), header()
    image = Image(
        image_id="1",
        patient_id="p",
        exam_id="e",
        view=View(side="L", position="MLO"),
        pixels=values,
        stored_size=SIZE,
        bits=12,
        value_range=(0.0, 4095.0),
        spacing_mm=None,
        bright_is_dense=True,
        voi=VOI,
    )
    spec = pixel_spec("mvccl-1536x768")
    pairs = [
        (
            "window: SIGMOID by table",
            median_s(lambda: to_levels(values, VOI, invert=False), 7),
            median_s(lambda: apply_voi_lut(values, dataset), 5),
            4,
        ),
        (
            "process: 3328 x 2560 to 1536 x 768, without decoding",
            median_s(lambda: process(image, spec), 7),
            median_s(lambda: plain_process(values, dataset), 2),
            5,
        ),
    ]
    return [
        {"name": name, "ours": ours, "plain": plain, "ratio": plain / ours, "floor": floor}
        for name, ours, plain, floor in pairs
    ]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for row in run():
        print(row)
