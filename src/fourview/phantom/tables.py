"""The truth of written exams as four tables: exams, breasts, images, findings.

Points and boxes are in stored pixels (``fourview.geometry``); docs/phantom.md explains the columns.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from fourview.phantom.truth import FindingTruth, PhantomExam, PhantomImage

Row = dict[str, Any]
_KEYS = {"patient_id": pl.String, "exam_id": pl.String}
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "exams": {
        **_KEYS,
        "seed": pl.UInt64,
        "age": pl.Int16,
        "density": pl.String,
        "vendor": pl.String,
        "syntax": pl.String,
    },
    "breasts": {
        **_KEYS,
        "side": pl.String,
        "cancer": pl.Int8,
        "pathology": pl.String,
        "density": pl.String,
        "volumetric_density": pl.Float64,
        "length_mm": pl.Float64,
    },
    "images": {
        **_KEYS,
        "image_id": pl.String,
        "side": pl.String,
        "view": pl.String,
        "path": pl.String,
        "vendor": pl.String,
        "syntax": pl.String,
        "rows": pl.Int32,
        "cols": pl.Int32,
        "bits": pl.Int8,
        "spacing_mm": pl.Float64,
        "photometric": pl.String,
        "voi_function": pl.String,
        "nipple_x": pl.Float64,
        "nipple_y": pl.Float64,
        "chest_x": pl.Float64,
        "chest_y": pl.Float64,
        "ap_x": pl.Float64,
        "ap_y": pl.Float64,
        "inclination_deg": pl.Float64,
        "gantry_deg": pl.Float64,
        "length_mm": pl.Float64,
        "thickness_mm": pl.Float64,
        "pectoral": pl.List(pl.Float64),
        "skin": pl.List(pl.Float64),
    },
    "findings": {
        **_KEYS,
        "finding_id": pl.String,
        "image_id": pl.String,
        "side": pl.String,
        "view": pl.String,
        "kind": pl.String,
        "malignant": pl.Int8,
        "mode": pl.String,
        "visible": pl.Boolean,
        "x_ap_mm": pl.Float64,
        "t_mm": pl.Float64,
        "center_x": pl.Float64,
        "center_y": pl.Float64,
        "x0": pl.Float64,
        "y0": pl.Float64,
        "x1": pl.Float64,
        "y1": pl.Float64,
        "contrast_mm": pl.Float64,
        "local_sd_mm": pl.Float64,
        "cnr": pl.Float64,
        "mask": pl.Binary,
    },
}


def rows_of(
    exam: PhantomExam, *, syntax: str, bits: int, paths: Mapping[str, str]
) -> dict[str, list[Row]]:
    """One exam's rows of every table, as plain values (masks in base64, NaN as None).

    Args:
        exam: The exam that was written.
        syntax: Transfer Syntax UID of its files.
        bits: Bits Stored of its files.
        paths: File of each image id, relative to the output folder.
    """
    keys: Row = {"patient_id": exam.patient_id, "exam_id": exam.exam_id}
    exam_row = {**keys, "seed": exam.seed, "age": exam.age, "density": exam.density.upper()}
    exam_row |= {"vendor": exam.vendor, "syntax": syntax}
    breasts = [
        {
            **keys,
            "side": b.side,
            "cancer": int(b.cancer),
            "pathology": b.pathology,
            "density": b.density.upper(),
            "volumetric_density": b.volumetric_density,
            "length_mm": b.length_mm,
        }
        for b in exam.breasts
    ]
    images = [
        {**keys, "path": paths[i.image_id], "syntax": syntax, "bits": bits, **_image_row(i)}
        for i in exam.images
    ]
    findings = [
        {**keys, **_finding_row(exam, i, finding)}
        for i in exam.images
        for finding in i.truth.findings
    ]
    return {"exams": [exam_row], "breasts": breasts, "images": images, "findings": findings}


def frame_of(table: str, rows: Sequence[Row]) -> pl.DataFrame:
    """The rows of one table, typed; masks become bytes."""
    if table == "findings":
        decoded = [
            {**r, "mask": None if r["mask"] is None else base64.b64decode(r["mask"])} for r in rows
        ]
        rows = decoded
    return pl.DataFrame(list(rows), schema=dict(SCHEMAS[table]))


def unpack_mask(packed: bytes, rows: int, cols: int) -> np.ndarray:
    """The ``mask`` column of the findings table as booleans, of the box's rows and columns."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=rows * cols)
    return bits.reshape(rows, cols).astype(bool)


def _image_row(image: PhantomImage) -> Row:
    """One image's own columns."""
    truth = image.truth
    return {
        "image_id": image.image_id,
        "side": image.side,
        "view": image.position,
        "vendor": image.vendor,
        "rows": image.pixels.shape[0],
        "cols": image.pixels.shape[1],
        "spacing_mm": image.spacing_mm,
        "photometric": image.photometric,
        "voi_function": image.voi.function,
        "nipple_x": truth.nipple[0],
        "nipple_y": truth.nipple[1],
        "chest_x": truth.chest_point[0],
        "chest_y": truth.chest_point[1],
        "ap_x": truth.ap_axis[0],
        "ap_y": truth.ap_axis[1],
        "inclination_deg": truth.inclination_deg,
        "gantry_deg": truth.gantry_deg,
        "length_mm": truth.length_mm,
        "thickness_mm": truth.thickness_mm,
        "pectoral": [float(v) for v in truth.pectoral.ravel()],
        "skin": [round(float(v), 2) for v in truth.skin.ravel()],
    }


def _finding_row(exam: PhantomExam, image: PhantomImage, finding: FindingTruth) -> Row:
    """One finding's columns in one image."""
    box, mask = finding.box, finding.mask
    packed = None if mask is None else base64.b64encode(np.packbits(mask).tobytes()).decode()
    return {
        "finding_id": f"{exam.patient_id}/{image.side}/{finding.name}",
        "image_id": image.image_id,
        "side": image.side,
        "view": image.position,
        "kind": finding.kind,
        "malignant": int(finding.malignant),
        "mode": finding.mode,
        "visible": finding.visible,
        "x_ap_mm": finding.x_ap_mm,
        "t_mm": finding.t_mm,
        "center_x": finding.center[0],
        "center_y": finding.center[1],
        "x0": None if box is None else box.x0,
        "y0": None if box is None else box.y0,
        "x1": None if box is None else box.x1,
        "y1": None if box is None else box.y1,
        "contrast_mm": _known(finding.contrast_mm),
        "local_sd_mm": _known(finding.local_sd_mm),
        "cnr": _known(finding.cnr),
        "mask": packed,
    }


def _known(value: float) -> float | None:
    """The value, or None for NaN."""
    return None if math.isnan(value) else value
