"""How fast one full-size mammogram is read, against pydicom with its usual plugins.

Image:   3328 x 2560, 12 bits, made of smooth and fine structure and detector noise, so that it
         compresses about as a mammogram does (lossless to between a fifth and a quarter).
Plain:   ``pydicom.dcmread(path).pixel_array`` with the plugin named; both include the header.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from dicom_examples import (
    HT_LOSSLESS,
    J2K_LOSSLESS,
    JLS,
    LOSSLESS_SV1,
    RLE,
    Layout,
    write_mammogram,
)
from fourview.dicom.header import read_header
from fourview.dicom.image import read_image

ROWS, COLS = 3328, 2560
LAYOUT = Layout(16, 12, 11, False)
CASES = (  # name, transfer syntax, plugin of pydicom, at_least, least ratio
    ("JPEG Lossless, full", LOSSLESS_SV1, "gdcm", None, 2.5),
    ("JPEG 2000 to 518", J2K_LOSSLESS, "pylibjpeg", (518, 518), 10.0),
    ("JPEG 2000, full", J2K_LOSSLESS, "pylibjpeg", None, 0.9),
    ("HTJ2K, full", HT_LOSSLESS, "pylibjpeg", None, 2.0),
    ("HTJ2K to 518", HT_LOSSLESS, "pylibjpeg", (518, 518), 2.0),  # 16 bits for 12: also in full
    ("RLE, full", RLE, "pylibjpeg", None, 1.0),
    ("JPEG-LS, full", JLS, "pyjpegls", None, 0.9),
)


def mammogram_like(seed: int = 0) -> np.ndarray:
    """A half disc of tissue with structure at three scales and noise; air is 0 with noise."""
    make = np.random.default_rng(seed)

    def structure(rows: int, cols: int, sigma: float) -> np.ndarray:
        field = cv2.GaussianBlur(make.normal(size=(rows, cols)).astype(np.float32), (0, 0), sigma)
        return cv2.resize(field / field.std(), (COLS, ROWS))

    y, x = np.mgrid[:ROWS, :COLS].astype(np.float32)
    breast = (x / (0.6 * COLS)) ** 2 + ((y - ROWS / 2) / (0.45 * ROWS)) ** 2 < 1
    tissue = 1800 + 300 * structure(ROWS // 8, COLS // 8, 12) + 60 * structure(ROWS, COLS, 2.5)
    noisy = tissue + 12 * make.normal(size=(ROWS, COLS))
    return np.where(breast, np.clip(noisy, 0, 4095), 0).astype(np.int64)


def seconds(run: Callable[[], Any], times: int = 3) -> float:
    """The fastest of a few runs, after one that warms up."""
    run()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def plain_pixels(path: Path, plugin: str) -> np.ndarray:
    dataset = pydicom.dcmread(path)
    dataset.pixel_array_options(decoding_plugin=plugin)
    return dataset.pixel_array


def row(name: str, ours: float, plain: float, floor: float) -> dict[str, Any]:
    return {"name": name, "ours": ours, "plain": plain, "ratio": plain / ours, "floor": floor}


def run() -> list[dict[str, Any]]:
    """Seconds of ours and of the plain way, their ratio, and the least ratio that is accepted."""
    stored = mammogram_like()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, syntax, plugin, at_least, floor in CASES:
            path = Path(folder) / f"{syntax}.dcm"
            if not path.exists():
                write_mammogram(path, stored=stored, layout=LAYOUT, syntax=syntax)
            if at_least is None and not np.array_equal(read_image(path).pixels, stored):
                raise SystemExit(f"{name}: the pixels are not those that were written")
            plain = seconds(partial(plain_pixels, path, plugin))
            ours = seconds(partial(read_image, path, at_least=at_least))
            rows.append(row(name, ours, plain, floor))
        plain = seconds(lambda: headers_by_pydicom(path), times=5)
        ours = seconds(lambda: [read_header(path) for _ in range(100)], times=5)
        rows.append(row("100 headers", ours, plain, 2.0))
    return rows


def headers_by_pydicom(path: Path) -> None:
    """A few facts of a header, 100 times."""
    for _ in range(100):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        for keyword in (
            "PatientID",
            "ImageLaterality",
            "ViewPosition",
            "Rows",
            "ImagerPixelSpacing",
        ):
            dataset.get(keyword)


def main() -> None:
    results = run()
    if "--json" in sys.argv:
        print(json.dumps(results))
        return
    for r in results:
        verdict = "ok" if r["ratio"] >= r["floor"] else "BELOW"
        print(
            f"{r['name']:22} ours {r['ours'] * 1e3:8.1f} ms   plain {r['plain'] * 1e3:8.1f} ms   "
            f"x {r['ratio']:5.1f}   floor {r['floor']:4.1f}  {verdict}"
        )


if __name__ == "__main__":
    main()
