"""One image's shard of a Zarr v3 array: encoded, decoded, and read one chunk at a time.

Format:  the chunks of one image one after another, each Blosc (Zstandard, bit shuffle) and its
         CRC-32C, then an index of offset and length for each chunk in row-major order, then the
         index's CRC-32C: the Zarr v3 sharding codec with its index at the end. Any Zarr library
         reads it.
Why:     written here and not by zarr, a shard has the same bytes whoever writes it, and is one file
         to rename; read here, a patch costs two `pread` calls, without threads or event loops that
         would not survive the fork of a data loader's worker. Against zarr 3 on one processor a
         patch of 256 x 256 is read 7 times, a whole image 1.6 times and written 2 times as fast
         (`python -m benchmarks store`; a test has zarr read what this writes).
Source:  Zarr specification v3, sharding-indexed codec 1.0, crc32c codec 1.0.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import imagecodecs
import numpy as np
from jaxtyping import UInt16, UInt64

from fourview.errors import StoreError
from fourview.geometry import Size

CHUNK = 256  # pixels of a side; 128 KiB decoded, a quarter of a millisecond
LEVEL = 3  # of Zstandard; 5 takes two thirds more time for 0.5 % fewer bytes
PART = 1 << 22  # bytes of a shard that are read at once to check it
EMPTY = (1 << 64) - 1  # offset and length of a chunk that holds nothing but zeros
CODECS = {"name": "blosc", "cname": "zstd", "clevel": LEVEL, "shuffle": "bitshuffle"}


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a canvas is cut into chunks.

    Attributes:
        canvas: Rows and columns of every image's place in the array.
        chunk: Rows and columns of a chunk.
    """

    canvas: Size
    chunk: Size

    @classmethod
    def of(cls, canvas: Size) -> "Tiling":
        """Chunks of CHUNK x CHUNK, or of the canvas where that is smaller."""
        return cls(canvas, (min(CHUNK, canvas[0]), min(CHUNK, canvas[1])))

    @property
    def grid(self) -> Size:
        """How many chunks there are below and beside each other."""
        return -(-self.canvas[0] // self.chunk[0]), -(-self.canvas[1] // self.chunk[1])

    @property
    def shard(self) -> Size:
        """Rows and columns of a shard: whole chunks that cover the canvas."""
        return self.grid[0] * self.chunk[0], self.grid[1] * self.chunk[1]

    @property
    def index_bytes(self) -> int:
        """Length of the index with its checksum, at the end of a shard."""
        return 16 * self.grid[0] * self.grid[1] + 4  # two numbers per chunk, and the checksum

    def over(self, y0: int, x0: int, y1: int, x1: int) -> Iterator[tuple[int, int]]:
        """Chunks that share a pixel with [y0, y1) x [x0, x1)."""
        for row in range(y0 // self.chunk[0], -(-y1 // self.chunk[0])):
            for col in range(x0 // self.chunk[1], -(-x1 // self.chunk[1])):
                yield row, col


def encode_shard(levels: UInt16[np.ndarray, "row col"], tiling: Tiling) -> bytes:
    """The bytes of one image's shard; chunks of zeros are left out.

    Raises:
        StoreError: The image is larger than the canvas.
    """
    rows, cols = levels.shape
    if rows > tiling.canvas[0] or cols > tiling.canvas[1]:
        raise StoreError(
            f"image of {rows} x {cols} does not fit the store's canvas of {tiling.canvas[0]} x "
            f"{tiling.canvas[1]}; use a pixel spec with a fixed size"
        )
    index = np.full((*tiling.grid, 2), EMPTY, dtype="<u8")
    parts: list[bytes] = []
    offset = 0
    for row, col in tiling.over(0, 0, rows, cols):
        y, x = row * tiling.chunk[0], col * tiling.chunk[1]
        inside = levels[y : y + tiling.chunk[0], x : x + tiling.chunk[1]]
        if not inside.any():
            continue
        chunk = np.zeros(tiling.chunk, dtype="<u2")
        chunk[: inside.shape[0], : inside.shape[1]] = inside
        parts.append(_encode(chunk))
        index[row, col] = offset, len(parts[-1])
        offset += len(parts[-1])
    return b"".join((*parts, _with_checksum(index.tobytes())))


def checksum_of(data: bytes) -> int:
    """CRC-32C of a whole shard, which a table keeps beside its name."""
    return int(google_crc32c.value(data))


def is_whole(path: Path, num_bytes: int, checksum: int) -> bool:
    """Whether a shard is there and has the length and CRC-32C that were noted for it."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != num_bytes:
                return False
            computed = 0
            while part := file.read(PART):
                computed = google_crc32c.extend(computed, part)
    except OSError:
        return False
    return computed == checksum


def read_shard(
    path: Path, tiling: Tiling, y0: int, x0: int, out: UInt16[np.ndarray, "row col"]
) -> None:
    """Fill ``out`` with the pixels from row ``y0`` and column ``x0`` on; thread-safe.

    What lies beyond the canvas stays as it is.

    Raises:
        StoreError: The shard is missing, cut off or damaged.
    """
    y1 = min(y0 + out.shape[0], tiling.canvas[0])
    x1 = min(x0 + out.shape[1], tiling.canvas[1])
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise StoreError(f"{path}: the image's shard is missing; run `prepare` again") from None
    try:
        index = _read_index(handle, path, tiling)
        for row, col in tiling.over(max(y0, 0), max(x0, 0), y1, x1):
            offset, length = (int(value) for value in index[row, col])
            top, left = row * tiling.chunk[0], col * tiling.chunk[1]
            rows = slice(max(y0, top), min(y1, top + tiling.chunk[0]))
            cols = slice(max(x0, left), min(x1, left + tiling.chunk[1]))
            target = out[rows.start - y0 : rows.stop - y0, cols.start - x0 : cols.stop - x0]
            if length == EMPTY:
                target[...] = 0
                continue
            chunk = _decode(os.pread(handle, length, offset), path, tiling)
            target[...] = chunk[
                rows.start - top : rows.stop - top, cols.start - left : cols.stop - left
            ]
    finally:
        os.close(handle)


def read_chunks(
    path: Path, tiling: Tiling, chunks: Iterable[tuple[int, int]]
) -> Iterator[tuple[tuple[int, int], UInt16[np.ndarray, "row col"]]]:
    """Some chunks of a shard, (row, col) of the grid each, with one reading of its index.

    Chunks outside the grid, and those that hold nothing, are passed over: they are 0.

    Raises:
        StoreError: The shard is missing, cut off or damaged.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise StoreError(f"{path}: the image's shard is missing; run `prepare` again") from None
    try:
        index = _read_index(handle, path, tiling)
        for row, col in chunks:
            if 0 <= row < tiling.grid[0] and 0 <= col < tiling.grid[1]:
                offset, length = (int(value) for value in index[row, col])
                if length != EMPTY:
                    yield (row, col), _decode(os.pread(handle, length, offset), path, tiling)
    finally:
        os.close(handle)


def _read_index(handle: int, path: Path, tiling: Tiling) -> UInt64[np.ndarray, "row col 2"]:
    start = os.fstat(handle).st_size - tiling.index_bytes
    data = os.pread(handle, tiling.index_bytes, start) if start >= 0 else b""
    if len(data) != tiling.index_bytes:
        raise StoreError(f"{path}: the image's shard is cut off; run `prepare` again")
    table = _checked(data)
    if table is None:
        raise StoreError(
            f"{path}: the index of the image's shard is damaged (its checksum is another); run "
            "`prepare` again"
        )
    return np.frombuffer(table, dtype="<u8").reshape(*tiling.grid, 2)


def _encode(chunk: UInt16[np.ndarray, "row col"]) -> bytes:
    data = chunk.tobytes()
    packed = imagecodecs.blosc_encode(
        data, level=LEVEL, compressor="zstd", shuffle="bitshuffle", typesize=2, numthreads=1
    )
    return _with_checksum(bytes(packed))


def _decode(data: bytes, path: Path, tiling: Tiling) -> UInt16[np.ndarray, "row col"]:
    packed = _checked(data)
    if packed is None:
        raise StoreError(
            f"{path}: a chunk is damaged (its checksum is another); run `prepare` again"
        )
    try:
        raw = imagecodecs.blosc_decode(packed, numthreads=1)
        return np.frombuffer(raw, dtype="<u2").reshape(tiling.chunk)
    except (imagecodecs.BloscError, ValueError) as error:
        raise StoreError(
            f"{path}: a chunk cannot be decoded ({error}); delete it and run `prepare` again"
        ) from error


def _with_checksum(data: bytes) -> bytes:
    return data + checksum_of(data).to_bytes(4, "little")


def _checked(data: bytes) -> bytes | None:
    """The data without their checksum; None where that is another one."""
    if len(data) < 4 or checksum_of(data[:-4]) != int.from_bytes(data[-4:], "little"):
        return None
    return data[:-4]
