"""Processed pixels on disk: one array of a pixel spec, and a table of what each image is.

Folder:  ``store.json``      what it is: spec, fingerprint, digest of the manifest's images, terms
         ``pixels/``         a Zarr v3 array (image, row, col) of uint16, one shard per image
         ``images.parquet``  a row per image: where it lies, its true size, geometry, view and notes
         ``failed.parquet``  the images that could not be processed, with reasons
Levels:  0 is outside the breast, 1 to 65535 inside: one array holds pixels and mask. ``read`` gives
         levels; ``preprocess.pipeline.from_levels`` makes pixels in [0, 1] of them.
Order:   image i of the array is image i of the manifest's images to read, whoever wrote it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import UInt16

from fourview.errors import StoreError
from fourview.fingerprint import digest_of_file, digest_of_text
from fourview.geometry import Geometry, Size
from fourview.json_file import read_json_object
from fourview.preprocess.spec import PixelSpec
from fourview.store.shard import CODECS, Tiling, read_chunks, read_shard

FORMAT = 2  # raised when a reader of today could not read the stores of tomorrow
NATIVE_CANVAS: Size = (6144, 5120)  # larger is refused by name; empty chunks cost nothing

DESCRIPTION = "store.json"
PIXELS = "pixels"
METADATA = "zarr.json"  # in the folder of pixels: what the array is, for other programs
IMAGES = "images.parquet"
FAILED = "failed.parquet"

STORED_SCHEMA: dict[str, Any] = {
    "image_id": pl.String,
    "patient_id": pl.String,
    "exam_id": pl.String,
    "side": pl.String,
    "view": pl.String,
    "modifiers": pl.List(pl.String),
    "index": pl.Int64,  # of the image in the array
    "rows": pl.Int32,  # true size of the processed image; the canvas may be larger
    "cols": pl.Int32,
    "geometry": pl.String,  # Geometry.to_json as JSON
    "row_spacing_mm": pl.Float64,  # of the stored pixels; null where the file has none
    "col_spacing_mm": pl.Float64,
    "num_bytes": pl.Int64,  # of the shard
    "crc32c": pl.UInt32,  # of the shard
    "notes": pl.List(pl.String),
}
FAILED_SCHEMA: dict[str, Any] = {
    "image_id": pl.String,
    "index": pl.Int64,
    "path": pl.String,
    "reason": pl.String,  # a word of ``entities.reasons``
    "detail": pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What ``store.json`` says.

    Attributes:
        fingerprint: Fingerprint of the pixel spec and of the code that made the pixels.
        images_digest: Digest of the manifest's images: ids, paths, views and windows.
        num_images: How many images the manifest has to read; the array's first dimension.
        source: Name of the reader that made the manifest.
        terms: Terms of use of the data.
        complete: True once every image was either stored or listed as failed.
        tables: Digests of the tables of a complete store, by file name.
    """

    spec: PixelSpec
    fingerprint: str
    images_digest: str
    num_images: int
    source: str
    terms: str
    complete: bool
    tables: dict[str, str] = field(default_factory=dict)

    @property
    def canvas(self) -> Size:
        """Rows and columns of an image's place in the array."""
        return canvas_of(self.spec)

    def to_json(self) -> str:
        """The text of ``store.json``."""
        data = {"format": FORMAT, **asdict(self)}
        return json.dumps(data | {"digest": _digest(data)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Description":
        """Read ``store.json`` of the store at ``path``.

        Raises:
            StoreError: There is none, or it is not what this version reads.
        """
        file = path / DESCRIPTION
        try:
            data = read_json_object(file)
            _require_format(path, data.get("format"))
            if data.pop("digest") != _digest(data):
                raise StoreError(f"{file}: damaged; delete the store and prepare it again")
            del data["format"]
            spec = PixelSpec(**data.pop("spec"))
            return cls(spec=spec, **data)
        except FileNotFoundError:
            raise StoreError(
                f"{path}: no {DESCRIPTION} in it; make a store with `prepare`"
            ) from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(
                f"{file}: damaged ({error}); delete the store and prepare it again"
            ) from error


def _require_format(path: Path, version: Any) -> None:
    if version == 1:
        raise StoreError(
            f"{path}: made by an older version, without checksums of the pixels; prepare it "
            "again, in a new folder"
        )
    if version != FORMAT:
        raise StoreError(f"{path / DESCRIPTION}: format {version}, this version reads {FORMAT}")


def _digest(data: Mapping[str, Any]) -> str:
    return digest_of_text(json.dumps(data, sort_keys=True))


def has_table(path: Path, about: Description, name: str) -> bool:
    """Whether a table of the store at ``path`` is there and is the one that was written."""
    file = path / name
    return file.is_file() and digest_of_file(file) == about.tables.get(name)


def canvas_of(spec: PixelSpec) -> Size:
    """Rows and columns that an image of ``spec`` gets in the array."""
    if spec.rows is None or spec.cols is None:
        return NATIVE_CANVAS
    return spec.rows, spec.cols


def shard_path(path: Path, index: int) -> Path:
    """Where image ``index`` of the store at ``path`` lies."""
    return path / PIXELS / f"c.{index}.0.0"


def array_metadata(num_images: int, canvas: Size) -> str:
    """The text of the array's ``zarr.json``; `zarr.open_array` reads the array by it."""
    tiling = Tiling.of(canvas)
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    blosc = {key: value for key, value in CODECS.items() if key != "name"}
    compress = {"name": "blosc", "configuration": {**blosc, "typesize": 2, "blocksize": 0}}
    sharding = {
        "chunk_shape": [1, *tiling.chunk],
        "codecs": [little, compress, {"name": "crc32c"}],
        "index_codecs": [little, {"name": "crc32c"}],
        "index_location": "end",
    }
    grid = {"name": "regular", "configuration": {"chunk_shape": [1, *tiling.shard]}}
    array = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [num_images, *canvas],
        "data_type": "uint16",
        "chunk_grid": grid,
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": 0,
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "dimension_names": ["image", "row", "col"],
        "attributes": {},
    }
    return json.dumps(array, indent=2) + "\n"


class Place(NamedTuple):
    """Where an image is: its index in the array, its true size, its row of the table."""

    array_index: int
    size: Size
    row: int


class Store:
    """A finished store, for reading. Picklable, and safe to use from threads and after a fork.

    Reading pixels in a data loader's worker touches nothing but the files: polars, whose threads
    do not survive a fork, is used by ``open`` and by the tables only.

    Attributes:
        path: Folder of the store.
        about: What it was made of.
    """

    def __init__(self, path: Path, about: Description, places: dict[str, Place]) -> None:
        self.path = path
        self.about = about
        self._places = places
        self._tiling = Tiling.of(about.canvas)

    @classmethod
    def open(cls, path: Path | str, spec: PixelSpec | None = None) -> "Store":
        """Open a store, and refuse one that is not finished or of another spec.

        Args:
            path: Folder that ``prepare`` wrote.
            spec: What the caller needs; None takes any.

        Raises:
            StoreError: No store, not finished, or made with another pixel spec.
        """
        path = Path(path)
        about = Description.read(path)
        if not about.complete:
            raise StoreError(f"{path}: not finished; run `prepare` again, it goes on where it was")
        if spec is not None and spec.fingerprint != about.fingerprint:
            raise StoreError(
                f"{path}: made with pixel spec {about.spec.name} ({about.fingerprint}), need "
                f"{spec.name} ({spec.fingerprint}); prepare a store with that"
            )
        for name in (IMAGES, FAILED):
            if not has_table(path, about, name):
                raise StoreError(f"{path / name}: damaged or missing; run `prepare` again")
        return cls(path, about, _read_places(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Store, (self.path, self.about, self._places))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._places

    @property
    def spec(self) -> PixelSpec:
        """What was done to the pixels."""
        return self.about.spec

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the spec and of the code that made the pixels; checkpoints have it too."""
        return self.about.fingerprint

    @cached_property
    def table(self) -> pl.DataFrame:
        """A row for each image that can be read, with the columns of STORED_SCHEMA."""
        return pl.read_parquet(self.path / IMAGES)

    @cached_property
    def failed(self) -> pl.DataFrame:
        """A row for each image that could not be processed, with its reason."""
        return pl.read_parquet(self.path / FAILED)

    def size(self, image_id: str) -> Size:
        """Rows and columns of the processed image."""
        return self._place(image_id)[1]

    def geometry(self, image_id: str) -> Geometry:
        """The way between the file's own pixels and the processed ones."""
        text = self.table["geometry"][self._place(image_id)[2]]
        return Geometry.from_json(json.loads(text))

    def read(self, image_id: str) -> UInt16[np.ndarray, "row col"]:
        """The levels of a whole image.

        Raises:
            StoreError: The store has no such image, or its shard is damaged.
        """
        index, size, _ = self._place(image_id)
        levels = np.empty(size, dtype=np.uint16)
        read_shard(shard_path(self.path, index), self._tiling, 0, 0, levels)
        return levels

    def read_many(self, image_ids: Sequence[str]) -> UInt16[np.ndarray, "image row col"]:
        """The levels of several images of one size, in the order asked for.

        Raises:
            StoreError: The images differ in size; read them one by one.
        """
        places = [self._place(image_id) for image_id in image_ids]
        sizes = {size for _, size, _ in places} or {self.about.canvas}
        if len(sizes) > 1:
            shown = ", ".join(f"{rows} x {cols}" for rows, cols in sorted(sizes)[:3])
            raise StoreError(f"{self.path}: images of {shown} cannot be one array; use `read`")
        levels = np.empty((len(places), *sizes.pop()), dtype=np.uint16)
        for target, (index, _, _) in zip(levels, places, strict=True):
            read_shard(shard_path(self.path, index), self._tiling, 0, 0, target)
        return levels

    def patch(
        self, image_id: str, y0: int, x0: int, size: int | Size
    ) -> UInt16[np.ndarray, "row col"]:
        """The levels of a square or rectangle; what lies beyond the image is 0.

        Args:
            image_id: The image's id in the manifest.
            y0: First row, in the processed frame; may be negative.
            x0: First column, likewise.
            size: The side of a square, or rows and columns.
        """
        index, _, _ = self._place(image_id)
        levels = np.zeros((size, size) if isinstance(size, int) else size, dtype=np.uint16)
        read_shard(shard_path(self.path, index), self._tiling, y0, x0, levels)
        return levels

    def chunks(
        self, image_id: str, places: Iterable[tuple[int, int]]
    ) -> Iterator[tuple[tuple[int, int], UInt16[np.ndarray, "row col"]]]:
        """Some of an image's chunks, (row, col) of their grid each; those of zeros are left out."""
        index, _, _ = self._place(image_id)
        return read_chunks(shard_path(self.path, index), self._tiling, places)

    @property
    def chunk(self) -> Size:
        """Rows and columns of what is decoded at a time."""
        return self._tiling.chunk

    def _place(self, image_id: str) -> Place:
        try:
            return self._places[image_id]
        except KeyError:
            raise StoreError(f"{self.path}: {self._why_absent(image_id)}") from None

    def _why_absent(self, image_id: str) -> str:
        rows = self.failed.filter(pl.col("image_id") == image_id)
        if rows.height:
            return f"image {image_id} could not be processed: {rows['detail'][0]}"
        return f"no image {image_id}; it is none of the manifest's images to read"


def _read_places(path: Path) -> dict[str, Place]:
    columns = pl.read_parquet(path / IMAGES, columns=["image_id", "index", "rows", "cols"])
    return {
        image_id: Place(index, (rows, cols), number)
        for number, (image_id, index, rows, cols) in enumerate(columns.iter_rows())
    }
