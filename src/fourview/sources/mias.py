"""mini-MIAS (Mammographic Image Analysis Society, digitised film) -> Manifest.

Reads:   ROOT/Info.txt and, where they are there, the pixels of ROOT/mdbNNN.pgm (1024 x 1024, 8 bit,
         0.2 mm) to see on which side the breast lies.
Labels:  severity B or M of an abnormality; a breast is cancer where one of its abnormalities is M,
         and is not where all are B or the class is NORM. Background tissue F, G, D is no BI-RADS
         density, so ``density`` is unknown and the letter is kept as ``tissue``.
Exams:   a patient has two images, an odd number and the next: patient = (number + 1) // 2.
Sides:   even numbers are left and odd ones right, as the README says. ``side_doubtful`` is true
         where the breast lies on the other half of the frame than in most images of its side.
Regions: centre and radius, the origin at the bottom left: row = 1024 - y. In the stored frame.
"""

import re
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image as Picture

from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest
from fourview.sources._tables import clip_boxes, find_file

SIZE_PX = 1024
SPACING_MM = 0.2
TISSUES = ("F", "G", "D")
KINDS = {
    "CALC": "calcification",
    "CIRC": "mass",
    "SPIC": "mass",
    "MISC": "other",
    "ARCH": "distortion",
    "ASYM": "asymmetry",
}
NORMAL = "NORM"
LINE = re.compile(
    r"(?P<name>mdb(?P<number>\d{3}))\w*\s+(?P<tissue>[A-Z])\s+(?P<kind>[A-Z]{4})"
    r"(?:\s+(?P<severity>[BM])(?:\s+(?P<x>\d+)\s+(?P<y>\d+)\s+(?P<radius>\d+))?)?(?P<note>.*)"
)
TERMS = (
    "mini-MIAS: research use; the images may not be rented, leased or sold; cite Suckling et al. "
    "1994; ask before passing on weights."
)
RULES = {
    "cancer": "Info.txt: 1 where an abnormality of the breast has severity M, else 0",
    "benign": "Info.txt: 1 where an abnormality of the breast has severity B, else 0",
    "density": "unknown: background tissue F, G, D is no BI-RADS density",
    "malignant": "Info.txt: severity M 1, B 0",
}
SCHEMA = {
    "image_id": pl.String,
    "number": pl.Int64,
    "tissue": pl.String,
    "kind": pl.String,
    "severity": pl.String,
    **dict.fromkeys(("x", "y", "radius"), pl.Float64),
    "note": pl.String,
}


def read_mias(root: Path) -> Manifest:
    """Turn Info.txt into a manifest.

    Raises:
        ManifestError: A line of the table cannot be understood.
    """
    table = _read_lines(find_file(root, "Info.txt", "info.txt")).with_columns(
        patient_id=pl.format("{}", (pl.col("number") + 1) // 2),
        exam_id=pl.format("{}", (pl.col("number") + 1) // 2),
        side=pl.when(pl.col("number") % 2 == 0).then(pl.lit("L")).otherwise(pl.lit("R")),
        malignant=pl.col("severity").replace_strict({"M": 1, "B": 0}, return_dtype=pl.Int8),
    )
    keys = ("patient_id", "exam_id", "image_id", "side")
    images = table.group_by(keys, maintain_order=True).agg(pl.col("tissue").first())
    images = images.with_columns(
        view=pl.lit("MLO"),
        path=pl.format("{}.pgm", "image_id"),
        kind=pl.lit("film"),
        rows=SIZE_PX,
        cols=SIZE_PX,
        spacing_mm=SPACING_MM,
    )
    findings = table.filter(pl.col("kind") != NORMAL).select(
        *keys,
        "malignant",
        finding_id=pl.format("{}-{}", "image_id", pl.int_range(1, pl.len() + 1).over("image_id")),
        kind=pl.col("kind").replace_strict(KINDS),
        spiculated=pl.col("kind") == "SPIC",
        x0=pl.col("x") - pl.col("radius"),
        y0=SIZE_PX - pl.col("y") - pl.col("radius"),
        x1=pl.col("x") + pl.col("radius"),
        y1=SIZE_PX - pl.col("y") + pl.col("radius"),
        frame=pl.when(pl.col("x").is_not_null()).then(pl.lit("stored")),
        box_note="note",
    )
    breasts = table.group_by("patient_id", "exam_id", "side", maintain_order=True).agg(
        cancer=pl.col("malignant").max().fill_null(0),
        benign=(pl.col("malignant") == 0).any().cast(pl.Int8),
        tissue=pl.col("tissue").first(),
    )
    return make_manifest(
        source="mias",
        root=root,
        images=_with_doubt(images, root),
        breasts=breasts,
        findings=clip_boxes(findings, images),
        terms=TERMS,
        label_rules=RULES,
        may_release_weights=False,
    )


def _read_lines(path: Path) -> pl.DataFrame:
    """The lines of the table; those above it, which do not begin with an image's name, are text."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="latin1").splitlines(), start=1):
        if not re.match(r"mdb\d", line):
            continue
        match = LINE.match(line.strip())
        known = match and match["tissue"] in TISSUES and match["kind"] in (*KINDS, NORMAL)
        if not match or not known:
            raise ManifestError(f"{path}:{number}: cannot read '{line.strip()}'")
        if (match["severity"] is None) != (match["kind"] == NORMAL):
            raise ManifestError(f"{path}:{number}: '{line.strip()}' has a severity and no class")
        box = [float(match[c]) if match[c] else None for c in ("x", "y", "radius")]
        text = match["note"].strip() or ("no place is given" if match["severity"] else None)
        note = text if box[0] is None else None
        head = (match["name"], int(match["number"]), match["tissue"], match["kind"])
        rows.append((*head, match["severity"], *box, note))
    return pl.DataFrame(rows, SCHEMA, orient="row")


def _with_doubt(images: pl.DataFrame, root: Path) -> pl.DataFrame:
    """Adds ``side_doubtful``; null where the pixels are not there."""
    left_half = pl.Series(
        [_lies_left(root / path) for path in images["path"]], dtype=pl.Boolean, strict=True
    )
    images = images.with_columns(lies_left=left_half)
    usual = (pl.col("lies_left").mean() >= 0.5).over("side")
    return images.with_columns(side_doubtful=pl.col("lies_left") != usual).drop("lies_left")


def _lies_left(path: Path) -> bool | None:
    """Whether the left half of the frame is the brighter one."""
    if not path.is_file():
        return None
    with Picture.open(path) as picture:
        pixels = np.asarray(picture, dtype=np.float64)
    middle = pixels.shape[1] // 2
    return bool(pixels[:, :middle].sum() > pixels[:, middle:].sum())
