"""An image that a manifest lists -> Image, whatever kind of file it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fourview.data.raster import SUFFIXES, read_raster
from fourview.entities import Image
from fourview.errors import PixelError
from fourview.preprocess.spec import PixelSpec


def read_listed_image(path: Path, row: Mapping[str, Any], spec: PixelSpec) -> Image:
    """Read one image of a manifest.

    What the manifest says of side, view and ids goes before what the file says of itself.

    Args:
        path: The file.
        row: Its row of the manifest's images.
        spec: What the pixels are for; decides how many of them are decoded.

    Raises:
        DicomError: A DICOM file that cannot be read.
        PixelError: A picture file that cannot be read.
    """
    del spec
    if path.suffix.lower() in SUFFIXES:
        return read_raster(path, row)
    raise PixelError(f"{path}: no picture file")
