"""What sources read from DICOM headers: whose image it is, which view, how large.

A file that cannot be read costs its own row only: it stays, with the reason in ``left_out``.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from fourview.dicom.header import Header, read_header
from fourview.entities.reasons import reason_of
from fourview.errors import DicomError

SCHEMA: dict[str, Any] = {
    **dict.fromkeys(("path", "patient_id", "image_id", "side", "view"), pl.String),
    "rows": pl.Int32,
    "cols": pl.Int32,
    "bits": pl.Int32,
    "spacing_mm": pl.Float64,
    "vendor": pl.String,
    "series": pl.String,
    "unreadable": pl.String,  # why, a word of ``Reason``; nothing else is known of the file
    "not_read": pl.String,  # why the header says that it is no mammogram to read
}


def header_table(root: Path, paths: Iterable[Path]) -> pl.DataFrame:
    """One row per file, in the order given; null where the header does not say."""
    rows = [{"path": path.relative_to(root).as_posix(), **_facts(path)} for path in paths]
    return pl.DataFrame(rows, SCHEMA)


def _facts(path: Path) -> dict[str, Any]:
    try:
        header = read_header(path)
    except DicomError as error:
        return {"unreadable": reason_of(error).value}
    return _of(header)


def _of(header: Header) -> dict[str, Any]:
    return {
        "patient_id": header.patient_id,
        "image_id": header.image_id,
        "side": header.side,
        "view": header.position,
        "rows": header.rows,
        "cols": header.cols,
        "bits": header.bits,
        "spacing_mm": header.spacing_mm[0] if header.spacing_mm else None,
        "vendor": header.metadata.get("manufacturer"),
        "series": header.metadata.get("series_description"),
        "not_read": header.left_out,
    }
