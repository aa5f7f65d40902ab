"""An image that a manifest lists -> Image, whatever kind of file it is."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fourview.data.raster import SUFFIXES, read_raster
from fourview.dicom.image import read_image
from fourview.entities import Image, View
from fourview.preprocess.spec import PixelSpec


def read_listed_image(path: Path, row: Mapping[str, Any], spec: PixelSpec) -> Image:
    """Read one image of a manifest.

    Its ids are the manifest's. What the manifest says of side and view goes before what a DICOM
    header says; a disagreement is noted.

    Args:
        path: The file; DICOM unless its suffix is one of a picture's.
        row: Its row of the manifest's images.
        spec: What the pixels are for; decides how many of them are decoded.

    Raises:
        DicomError: A DICOM file that cannot be read.
        PixelError: A picture file that cannot be read.
    """
    if path.suffix.lower() in SUFFIXES:
        return read_raster(path, row)
    view = None
    if row["side"] in ("R", "L") and row["view"] is not None:
        modifiers = tuple(sorted(row.get("modifiers") or ()))
        view = View(side=row["side"], position=row["view"], modifiers=modifiers, source="manifest")
    image = read_image(path, at_least=spec.enough, view=view)
    ids = {key: row[key] for key in ("image_id", "patient_id", "exam_id")}
    return replace(image, path=str(row["path"]), **ids)
