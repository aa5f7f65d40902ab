"""Where CBIS-DDSM's films and masks lie, and the boxes of the masks."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from PIL import Image as Picture

from fourview.dicom.image import read_image
from fourview.entities import View
from fourview.errors import DicomError
from fourview.sources._headers import header_table

CASE = "[MC]a[sl][sc]-T*_P_*"  # Mass-Training_P_..., Calc-Test_P_...
PICTURES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff"))
SAME_SHAPE = 0.01  # relative difference of aspect up to which a mask is scaled to its film
ANY_VIEW = View(side="R", position="CC", source="no table")  # a mask's header may tell none
FILM: dict[str, Any] = {
    "case": pl.String,
    "path": pl.String,
    "rows": pl.Int32,
    "cols": pl.Int32,
    "unreadable": pl.String,
}
BOX: dict[str, Any] = {
    "mask_case": pl.String,
    **dict.fromkeys(("x0", "y0", "x1", "y1"), pl.Float64),
    "box_note": pl.String,
}


def case_folders(root: Path) -> dict[str, Path]:
    """The folder of each case, in ROOT or up to two folders below."""
    folders: dict[str, Path] = {}
    for depth in ("", "*/", "*/*/"):
        for folder in sorted(root.glob(depth + CASE)):
            if folder.is_dir():
                folders.setdefault(folder.name, folder)
    return folders


def film_files(
    root: Path, folders: Mapping[str, Path], cases: Mapping[str, str | None]
) -> pl.DataFrame:
    """The film of each case that is there: path, size, and why it cannot be read, if so.

    Args:
        root: Folder of the data set.
        folders: Folder of each case.
        cases: The series in each case's path, whose folder holds its picture where the set was
            exported as JPEG (``jpeg/SERIES/1-NNN.jpg``).
    """
    by_case = {case: _dicom_in(folders[case]) for case in cases if case in folders}
    first = {case: files[0] for case, files in by_case.items() if files}
    facts = header_table(root, first.values())
    films = facts.with_columns(case=pl.Series(list(first), dtype=pl.String)).select(list(FILM))
    absent = {case: series for case, series in cases.items() if case not in first}
    pictures = list(_pictures(root, folders, absent))
    return pl.concat([films, pl.DataFrame(pictures, FILM)])


def _pictures(
    root: Path, folders: Mapping[str, Path], cases: Mapping[str, str | None]
) -> Iterator[dict[str, Any]]:
    """The pictures of cases that have no DICOM file: in the case's folder or in its series'."""
    by_series = _series_folders(root) if cases else {}
    for case, series in cases.items():
        places = [folders.get(case), by_series.get(series or "")]
        files = [f for p in places if p is not None for f in sorted(p.rglob("*")) if _is_picture(f)]
        if files:
            with Picture.open(files[0]) as picture:
                cols, rows = picture.size
            path = files[0].relative_to(root).as_posix()
            yield {"case": case, "path": path, "rows": rows, "cols": cols}


def _series_folders(root: Path) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for depth in ("", "*/", "*/*/"):
        for folder in root.glob(depth + "1.*"):
            if folder.is_dir():
                folders.setdefault(folder.name, folder)
    return folders


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and path.is_file()


def mask_boxes(root: Path, folders: Mapping[str, Path], wanted: pl.DataFrame) -> pl.DataFrame:
    """The box of each mask in its film's pixels.

    Args:
        root: Folder of the data set.
        folders: Folder of each case.
        wanted: mask_case, film_rows, film_cols; sizes null where the film is not there.
    """
    unique = wanted.unique("mask_case", maintain_order=True).rows()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = pool.map(lambda row: _box(root, folders.get(row[0]), (row[1], row[2])), unique)
        named = [{"mask_case": row[0], **box} for row, box in zip(unique, rows, strict=True)]
    return pl.DataFrame(named, BOX)


def _dicom_in(folder: Path) -> list[Path]:
    """The DICOM files of a case, whatever they are called; no pictures and tables."""
    files = sorted(folder.rglob("*.dcm"))
    others = (".dicom", ".ima", "")
    return files or sorted(p for p in folder.rglob("*") if p.suffix in others and p.is_file())


def _box(root: Path, folder: Path | None, film: tuple[int | None, int | None]) -> dict[str, Any]:
    files = _dicom_in(folder) if folder else []
    if not files:
        return {"box_note": "no mask file"}
    mask = _mask_among(root, files, film)
    if mask is None:
        return {"box_note": "no file of the two is a readable mask"}
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return {"box_note": "the mask is empty"}
    box = np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1], dtype=np.float64)
    return _in_film(box, mask.shape, film)


def _mask_among(
    root: Path, files: list[Path], film: tuple[int | None, int | None]
) -> Bool[np.ndarray, "row col"] | None:
    """The binary file of the film's size, or else the largest; names and order tell nothing."""
    facts = header_table(root, files).with_columns(
        is_film_size=(pl.col("rows").eq_missing(film[0]) & pl.col("cols").eq_missing(film[1])),
        pixels=pl.col("rows").cast(pl.Int64) * pl.col("cols"),
    )
    order = facts.sort("is_film_size", "pixels", "path", descending=[True, True, False])
    for path in order["path"]:
        try:
            samples = read_image(root / path, view=ANY_VIEW).pixels
        except DicomError:
            continue
        low, high = samples.min(), samples.max()
        if np.all((samples == low) | (samples == high)):
            return np.asarray(samples > 0)
    return None


def _in_film(
    box: Float[np.ndarray, " 4"], mask: tuple[int, ...], film: tuple[int | None, int | None]
) -> dict[str, Any]:
    note = None
    if film[0] is not None and film[1] is not None and mask != film:
        what = f"the mask is {mask[0]} x {mask[1]}, the film {film[0]} x {film[1]}"
        scale_y, scale_x = film[0] / mask[0], film[1] / mask[1]
        if abs(scale_y / scale_x - 1) > SAME_SHAPE:
            return {"box_note": f"{what}: of other shape"}
        box, note = box * (scale_x, scale_y, scale_x, scale_y), f"{what}: scaled"
    names = ("x0", "y0", "x1", "y1")
    return {**dict(zip(names, map(float, box), strict=True)), "box_note": note}
