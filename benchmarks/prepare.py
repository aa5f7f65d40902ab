"""From a DICOM file to what a model sees, against the same steps written plainly.

Run:     python -m benchmarks prepare, or python benchmarks/prepare.py
Image:   3328 x 2560, 12 bits, with a window; as in ``decode.py``.
Plain:   pydicom with the plugin named, ``apply_voi_lut``, and a breast mask by Otsu's threshold,
         opening and largest component on a copy of 448 pixels by scikit-image; crop, padding and
         resizing by OpenCV in float32.
Clock:   CPU seconds of this process, as other work on the machine does not count there. The rows on
         workers are by the wall clock, best and median of a few runs in turns; two against one is
         not judged where fewer than two cores are free.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pydicom
from pydicom.pixels import apply_voi_lut
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import disk, opening

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.decode import LAYOUT, mammogram_like
from dicom_examples import (
    EXPLICIT,
    HT_LOSSLESS,
    J2K_LOSSLESS,
    JLS,
    LOSSLESS_SV1,
    RLE,
    mammogram,
    write_mammogram,
)
from fourview.manifest.manifest import make_manifest
from fourview.preprocess.pipeline import to_pixel_levels
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.store.prepare import prepare
from fourview.store.read_image import read_processed
from fourview.store.shard import Tiling, encode_shard
from fourview.store.store import canvas_of

NUM_IMAGES, ROUNDS = 24, 3  # of the runs with one and with two workers, in turns
ROW: dict[str, Any] = {"side": "L", "view": "CC", "modifiers": None, "voi": None, "path": "x.dcm"}
ROW |= dict.fromkeys(("image_id", "patient_id", "exam_id"), "1")
SYNTAXES = (  # name, transfer syntax, plugin of pydicom
    ("uncompressed", EXPLICIT, ""),
    ("JPEG Lossless", LOSSLESS_SV1, "gdcm"),
    ("JPEG-LS", JLS, "pyjpegls"),
    ("RLE", RLE, "pylibjpeg"),
    ("JPEG 2000", J2K_LOSSLESS, "pylibjpeg"),
    ("HTJ2K", HT_LOSSLESS, "pylibjpeg"),
)
FLOORS = {  # least ratio that is accepted, for pixels of a spec alone; None is not judged
    ("JPEG Lossless", "mvccl-1536x768"): 2.5,
    ("JPEG 2000", "vlp-518"): 10.0,
}


def cpu_seconds(action: Callable[[], Any], times: int = 3) -> float:
    """The least CPU time of a few runs, after one that warms up."""
    action()
    taken = []
    for _ in range(times):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return min(taken)


def ours(path: Path, spec: PixelSpec) -> np.ndarray:
    return read_processed(path, ROW, spec)[1].pixels


def ours_stored(path: Path, spec: PixelSpec) -> None:
    levels = to_pixel_levels(ours(path, spec))
    path.with_suffix(".shard").write_bytes(encode_shard(levels, Tiling.of(canvas_of(spec))))


def plain(path: Path, plugin: str, spec: PixelSpec) -> np.ndarray:
    dataset = pydicom.dcmread(path)
    if plugin:
        dataset.pixel_array_options(decoding_plugin=plugin)
    shown = apply_voi_lut(dataset.pixel_array, dataset).astype(np.float32)
    shown = (shown - shown.min()) / (shown.max() - shown.min())
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    mask = plain_mask(shown)
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    crop = np.where(mask, shown, 0)[part]
    half = crop.shape[1] // 2
    if crop[:, :half].sum() < crop[:, half:].sum():
        crop = crop[:, ::-1]
    tall = max(crop.shape[0], round(crop.shape[1] * spec.rows / spec.cols))
    wide = max(crop.shape[1], round(crop.shape[0] * spec.cols / spec.rows))
    above = (tall - crop.shape[0]) // 2
    padded = np.pad(crop, ((above, tall - crop.shape[0] - above), (0, wide - crop.shape[1])))
    return cv2.resize(padded, (spec.cols, spec.rows), interpolation=cv2.INTER_AREA)


def plain_mask(shown: np.ndarray) -> np.ndarray:
    scale = 448 / max(shown.shape)
    size = (round(shown.shape[1] * scale), round(shown.shape[0] * scale))
    small = np.sqrt(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))
    pieces = label(opening(small > threshold_otsu(small), disk(10)), connectivity=1)
    largest = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    soft = cv2.resize(largest.astype(np.float32), (shown.shape[1], shown.shape[0]))
    return soft > 0.5


def plain_stored(path: Path, plugin: str, spec: PixelSpec) -> None:
    levels = np.rint(plain(path, plugin, spec) * 65535).astype(np.uint16)
    cv2.imwrite(str(path.with_suffix(".png")), levels)


def result(name: str, ours: float, plain: float, floor: float | None) -> dict[str, Any]:
    return {"name": name, "ours": ours, "plain": plain, "ratio": plain / ours, "floor": floor}


def write_files(folder: Path) -> dict[str, Path]:
    """One file a transfer syntax, of the same pixels."""
    stored, files = mammogram_like(), {}
    for name, syntax, _ in SYNTAXES:
        dataset = mammogram()
        dataset.WindowCenter, dataset.WindowWidth = 1800, 3000
        files[name] = folder / f"{syntax}.dcm"
        write_mammogram(files[name], dataset, stored=stored, layout=LAYOUT, syntax=syntax)
    return files


def same_picture(path: Path, plugin: str, spec: PixelSpec) -> None:
    """Refuse to time two ways that do different things."""
    alike = np.corrcoef(ours(path, spec).ravel(), plain(path, plugin, spec).ravel())[0, 1]
    if alike < 0.98:  # the masks' edges are a few pixels apart
        raise SystemExit(f"{path.name}: the two ways give other pictures (correlation {alike:.3f})")


def pixels(files: dict[str, Path]) -> list[dict[str, Any]]:
    """File to pixels of a spec."""
    rows = []
    for (name, spec_name), floor in FLOORS.items():
        spec = pixel_spec(spec_name)
        plugin = {n: p for n, _, p in SYNTAXES}[name]
        same_picture(files[name], plugin, spec)
        mine = cpu_seconds(partial(ours, files[name], spec), 5)
        theirs = cpu_seconds(partial(plain, files[name], plugin, spec))
        rows.append(result(f"{name} to {spec_name}", mine, theirs, floor))
    return rows


def throughput(files: dict[str, Path]) -> list[dict[str, Any]]:
    """Seconds of one core for one image, file to file, by transfer syntax."""
    spec, rows = pixel_spec("mvccl-1536x768"), []
    for name, _, plugin in SYNTAXES:
        mine = cpu_seconds(partial(ours_stored, files[name], spec))
        theirs = cpu_seconds(partial(plain_stored, files[name], plugin, spec), 2)
        rows.append(result(f"one image of a store, {name}", mine, theirs, None))
    return rows


def moments(root: Path, turn: int, workers: int) -> np.ndarray:
    """When each image of a real run was done, in seconds of the wall clock."""
    seen: list[float] = []
    keys = [{k: str(i) for k in ("patient_id", "exam_id", "image_id")} for i in range(NUM_IMAGES)]
    images = pl.DataFrame([k | {"side": "L", "view": "CC", "path": "x.dcm"} for k in keys])
    manifest = make_manifest(source="bench", root=root, images=images, terms="none")
    prepare(
        manifest,
        pixel_spec("mvccl-1536x768"),
        root / f"store-{workers}-{turn}",
        workers=workers,
        progress=lambda *_: seen.append(time.perf_counter()),
    )
    return np.array(seen)


def workers(files: dict[str, Path]) -> list[dict[str, Any]]:
    """Two workers against one, once both have started; and whether later images cost more."""
    root = files["JPEG Lossless"].parent / "run"
    root.mkdir()
    shutil.copy(files["JPEG Lossless"], root / "x.dcm")
    others = os.getloadavg()[0] - 1  # processes that want a core, beside this one
    free = (os.cpu_count() or 1) - others > 1.5
    turns = [(moments(root, turn, 1), moments(root, turn, 2)) for turn in range(ROUNDS)]
    # The first images of two workers arrive together, so each takes its rate from its own first.
    one = min(float(np.ptp(m)) / (NUM_IMAGES - 1) for m, _ in turns)
    two = min(float(np.ptp(m)) / (NUM_IMAGES - 2) for _, m in turns)
    gaps = np.stack([np.diff(m) for m, _ in turns])
    early, late = (float(np.median(part)) for part in np.array_split(gaps, 2, axis=1))
    return [
        result("one image: two workers (ours) against one", two, one, 1.5 if free else None),
        result("late images of a run (ours) against early ones", late, early, 0.7),
    ]


def run() -> list[dict[str, Any]]:
    """Seconds of ours and of the plain way, their ratio, and the least ratio that is accepted."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            files = write_files(Path(folder))
            return [*pixels(files), *throughput(files), *workers(files)]
    finally:
        cv2.setNumThreads(threads)


if __name__ == "__main__":
    for r in run():
        print(f"{r['name']:48} {r['ours']:8.3f} s  {r['plain']:8.3f} s  x {r['ratio']:.2f}")
