"""An image that a manifest lists -> Image, whatever kind of file it is; and its pixels."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fourview.dicom.codecs import HTJ2K, JPEG_2000, halvings_for
from fourview.dicom.image import read_image
from fourview.entities import Image, ProcessedImage, View
from fourview.preprocess.pipeline import process, was_enlarged
from fourview.preprocess.spec import PixelSpec
from fourview.store.raster import SUFFIXES, is_picture, read_raster

ReadImage = Callable[[Path, Mapping[str, Any], PixelSpec], Image]

MANY = 32  # halvings: more than a file can have


def read_listed_image(path: Path, row: Mapping[str, Any], spec: PixelSpec) -> Image:
    """Read one image of a manifest.

    Its ids are the manifest's. What the manifest says of side and view goes before what a DICOM
    header says; a disagreement is noted.

    Args:
        path: The file; DICOM or a picture, as it begins, whatever its suffix.
        row: Its row of the manifest's images.
        spec: What the pixels are for; decides how many of them are decoded.

    Raises:
        DicomError: A DICOM file that cannot be read.
        PixelError: A picture file that cannot be read.
    """
    if _is_picture(path):
        return read_raster(path, row)
    view = None
    if row["side"] in ("R", "L") and row["view"] is not None:
        modifiers = tuple(sorted(row.get("modifiers") or ()))
        view = View(side=row["side"], position=row["view"], modifiers=modifiers, source="manifest")
    image = read_image(path, at_least=spec.at_first, view=view)
    ids = {key: row[key] for key in ("image_id", "patient_id", "exam_id")}
    return replace(image, path=str(row["path"]), **ids)


def _is_picture(path: Path) -> bool:
    """Whether a file begins as a picture; its suffix decides where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return path.suffix.lower() in SUFFIXES
    if head[128:132] == b"DICM":
        return False
    return is_picture(head) or path.suffix.lower() in SUFFIXES


def read_processed(
    path: Path,
    row: Mapping[str, Any],
    spec: PixelSpec,
    *,
    read: ReadImage = read_listed_image,
    scale: float | None = None,
) -> tuple[Image, ProcessedImage]:
    """Read and process one image of a manifest, from no more pixels than it takes.

    A wavelet file is decoded to the processed size first, where the spec says so. If its breast
    then fills so little of it that its pixels had to be enlarged, it is decoded finer.

    Args:
        path: The file.
        row: Its row of the manifest's images.
        spec: What is done to the pixels.
        read: Makes an Image of a path, its row and a spec, with no more pixels than the spec needs.
        scale: Scale of its breast, as ``process`` takes it.

    Raises:
        DicomError: A DICOM file that cannot be read.
        PixelError: A picture file that cannot be read, or an image without a breast.
    """
    image = read(path, row, spec)
    processed = process(image, spec, voi=row["voi"], scale=scale)
    if spec.decode == "twice":
        return image, processed
    for finer in (replace(spec, decode="twice"), replace(spec, rows=None, cols=None)):
        if not was_enlarged(processed.geometry):
            break
        image = read(path, row, finer)
        processed = process(image, spec, voi=row["voi"], scale=scale)
    return image, processed


def process_as_prepared(
    image: Image, spec: PixelSpec, *, scale: float | None = None
) -> ProcessedImage:
    """Process an image that was read already, to the pixels that ``prepare`` makes of its file.

    How fine a wavelet file is decoded shows in its pixels. One that was decoded to another size
    than ``read_processed`` takes, for display or for another model, is therefore decoded again.

    Args:
        image: Read from a file at any resolution; one that was made in memory has no path and is
            processed as it is.
        spec: What is done to the pixels.
        scale: Scale of its breast, as ``process`` takes it.

    Raises:
        DicomError: The file cannot be read any more.
        PixelError: The image has no breast.
    """
    if not _is_wavelet(image):
        return process(image, spec, scale=scale)

    def read(_path: Path, _row: Mapping[str, Any], wanted: PixelSpec) -> Image:
        return as_first_read(image, wanted)

    return read_processed(Path(image.path), {"voi": None}, spec, read=read, scale=scale)[1]


def as_first_read(image: Image, spec: PixelSpec) -> Image:
    """The image as ``prepare`` first decodes it for a spec; itself where it has that size already.

    Raises:
        DicomError: The file cannot be read any more.
    """
    if not _is_wavelet(image):
        return image
    halvings = halvings_for(image.stored_size, spec.at_first, MANY)
    if image.pixels.shape == tuple(-(-side // 2**halvings) for side in image.stored_size):
        return image
    return read_image(
        Path(image.path), at_least=spec.at_first, for_processing=True, view=image.view
    )


def _is_wavelet(image: Image) -> bool:
    """Whether the pixels depend on how fine the file was decoded, and it can be decoded again."""
    return bool(image.path) and image.metadata.get("transfer_syntax") in JPEG_2000 | HTJ2K
