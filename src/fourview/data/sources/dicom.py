"""A folder of DICOM files -> Manifest: what the headers say, for data without a table of their own.

Reads:   ROOT/**, header by header; no pixels.
Labels:  none: what a header holds of disease is unknown.
Exams:   one study; films whose patient id names one film are joined by patient.
Left out: every file stays as a row. One that is no mammogram to read has its reason; one that is
         not even DICOM has "unreadable" in place of patient and exam, and its path as image id.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import polars as pl

from fourview.data.manifest import make_manifest
from fourview.dicom.header import Header
from fourview.dicom.scan import scan
from fourview.entities import EXAMS_SCHEMA, IMAGES_SCHEMA, LeftOut, Manifest
from fourview.errors import ManifestError

UNREADABLE = "unreadable"
TERMS = "A user's own DICOM files: the terms are those under which they were obtained."
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_EXTRA = {
    "detail": pl.String,  # the reason in left_out as a sentence
    "transfer_syntax": pl.String,
    "view_source": pl.String,
    "model": pl.String,
    "study_date": pl.String,
    "acquired": pl.String,
    "bits": pl.Int32,
    "photometric": pl.String,
    "notes": pl.List(pl.String),
}


def read_dicom(root: Path) -> Manifest:
    """Turn the headers below ROOT into a manifest; see ``read_dicom_folder``."""
    return read_dicom_folder(root)


def read_dicom_folder(
    root: Path, *, progress: Callable[[int], None] | None = None, workers: int = 1
) -> Manifest:
    """Turn the headers of all files below a folder into a manifest.

    Args:
        root: The folder; ``path`` in the tables is relative to it.
        progress: Called with the number of files done.
        workers: Processes that read headers.

    Returns:
        Images with their views and reasons; every label is unknown. A study with several patient
        ids becomes several exams, whose ids end in the patient's.

    Raises:
        ManifestError: There is no such folder, or no file in it.
    """
    if not root.is_dir():
        raise ManifestError(f"{root}: is no folder; name the one that holds the DICOM files")
    images, exams = _tables(scan(root, workers=workers, progress=progress))
    if images.is_empty():
        raise ManifestError(f"{root}: holds no files; name the folder that holds the DICOM files")
    return make_manifest(source="dicom", root=root, images=images, exams=exams, terms=TERMS)


def _tables(found: Iterable[Header | LeftOut]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables of images and exams."""
    image_ids: set[str] = set()
    patients: dict[str, str] = {}
    ages: dict[tuple[str, str], float | None] = {}
    rows = []
    for item in found:
        row = _unreadable(item) if isinstance(item, LeftOut) else _row(item)
        if row["image_id"] in image_ids:
            row["detail"] = f"a second file of image {row['image_id']}"
            row |= {"left_out": "duplicate", "image_id": f"{row['image_id']}#{row['path']}"}
        image_ids.add(row["image_id"])
        owner = patients.setdefault(row["exam_id"], row["patient_id"])
        if owner != row["patient_id"]:
            row["exam_id"] = f"{row['exam_id']}#{row['patient_id']}"
        key = (row["patient_id"], row["exam_id"])
        age = _age(item.metadata.get("age")) if isinstance(item, Header) else None
        ages[key] = ages.get(key) if age is None else age
        rows.append(row)
    schema = {**IMAGES_SCHEMA, **_EXTRA}
    images = pl.DataFrame(rows, schema=schema, orient="row")
    exams = [{"patient_id": p, "exam_id": e, "age": age} for (p, e), age in ages.items()]
    return images, pl.DataFrame(exams, schema=EXAMS_SCHEMA, orient="row")


def _row(header: Header) -> dict[str, Any]:
    return {
        "patient_id": header.patient_id,
        "exam_id": header.exam_id,
        "image_id": header.image_id,
        "side": header.side,
        "view": header.position,
        "path": header.path,
        "kind": header.kind,
        "modifiers": list(header.modifiers),
        "rows": header.rows or None,
        "cols": header.cols or None,
        "spacing_mm": header.spacing_mm[0] if header.spacing_mm else None,
        "vendor": header.metadata.get("manufacturer"),
        "left_out": header.left_out,
        "detail": header.detail or None,
        "transfer_syntax": header.transfer_syntax,
        "view_source": header.view_source or None,
        "model": header.metadata.get("model"),
        "study_date": header.metadata.get("study_date"),
        "acquired": header.acquired or None,
        "bits": header.bits,
        "photometric": header.metadata.get("photometric"),
        "notes": list(header.notes),
    }


def _unreadable(out: LeftOut) -> dict[str, Any]:
    return {
        "patient_id": UNREADABLE,
        "exam_id": UNREADABLE,
        "image_id": out.image_id or out.path,
        "path": out.path,
        "left_out": out.reason,
        "detail": out.detail,
    }


def _age(text: str | None) -> float | None:
    """Years from an age string such as 045Y (PS3.5 6.2, AS); None where it is none."""
    if not text or not text[:-1].isdigit() or text[-1] not in _YEARS:
        return None
    years = int(text[:-1]) * _YEARS[text[-1]]
    return years if years <= 120 else None
