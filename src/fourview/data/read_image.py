"""An image that a manifest lists -> Image, whatever kind of file it is; and its pixels."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fourview.data.raster import SUFFIXES, read_raster
from fourview.dicom.image import read_image
from fourview.entities import Image, ProcessedImage, View
from fourview.preprocess.pipeline import process, was_enlarged
from fourview.preprocess.spec import PixelSpec

ReadImage = Callable[[Path, Mapping[str, Any], PixelSpec], Image]


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
    image = read_image(path, at_least=spec.at_first, view=view)
    ids = {key: row[key] for key in ("image_id", "patient_id", "exam_id")}
    return replace(image, path=str(row["path"]), **ids)


def read_processed(
    path: Path, row: Mapping[str, Any], spec: PixelSpec, *, read: ReadImage = read_listed_image
) -> tuple[Image, ProcessedImage]:
    """Read and process one image of a manifest, from no more pixels than it takes.

    A wavelet file is decoded to the processed size first, where the spec says so. If its breast
    then fills so little of it that its pixels had to be enlarged, it is decoded finer.

    Args:
        path: The file.
        row: Its row of the manifest's images.
        spec: What is done to the pixels.
        read: Makes an Image of a path, its row and a spec, with no more pixels than the spec needs.

    Raises:
        DicomError: A DICOM file that cannot be read.
        PixelError: A picture file that cannot be read, or an image without a breast.
    """
    image = read(path, row, spec)
    processed = process(image, spec, voi=row["voi"])
    if spec.decode == "twice":
        return image, processed
    for finer in (replace(spec, decode="twice"), replace(spec, rows=None, cols=None)):
        if not was_enlarged(processed.geometry):
            break
        image = read(path, row, finer)
        processed = process(image, spec, voi=row["voi"])
    return image, processed
