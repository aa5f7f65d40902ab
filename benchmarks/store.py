"""Patches and whole images from the store against PNG files, and shards against zarr's own code."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import zarr

from fourview.store.shard import CODECS, Tiling, encode_shard, read_shard

SIZE = (2944, 1920)


def levels() -> np.ndarray:
    """A half ellipse of noisy tissue, as large as a breast is on the NYU window."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    depth = 1 - (x / 1200) ** 2 - ((y - 1472) / 1100) ** 2
    tissue = 20000 + 30000 * np.sqrt(np.clip(depth, 0, 1)) + 400 * random.normal(size=SIZE)
    return np.where(depth > 0, tissue, 0).clip(0, 65535).astype(np.uint16)


def median_s(action: Callable[[], object], repeats: int) -> float:
    action()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def run() -> list[dict[str, object]]:
    image, tiling, random = levels(), Tiling.of(SIZE), np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        shard, png = Path(folder) / "shard", Path(folder) / "image.png"
        shard.write_bytes(encode_shard(image, tiling))
        png.write_bytes(imagecodecs.png_encode(image))

        def corner() -> tuple[int, int]:
            return int(random.integers(0, SIZE[0] - 256)), int(random.integers(0, 1000))

        def from_store() -> np.ndarray:
            patch = np.empty((256, 256), np.uint16)
            read_shard(shard, tiling, *corner(), patch)
            return patch

        def from_png() -> np.ndarray:
            y, x = corner()
            return imagecodecs.png_decode(png.read_bytes())[y : y + 256, x : x + 256]

        def whole() -> np.ndarray:
            out = np.empty(SIZE, np.uint16)
            read_shard(shard, tiling, 0, 0, out)
            return out

        ours, plain = median_s(from_store, 200), median_s(from_png, 10)
        ours_whole = median_s(whole, 20)
        array = by_zarr(Path(folder) / "zarr", tiling)
        encoded = median_s(lambda: shard.write_bytes(encode_shard(image, tiling)), 5)
        encoded_by_zarr = median_s(lambda: array.__setitem__(np.s_[: SIZE[0], : SIZE[1]], image), 5)

        def patch_by_zarr() -> np.ndarray:
            y, x = corner()
            return np.asarray(array[y : y + 256, x : x + 256])

        patch_zarr = median_s(patch_by_zarr, 100)
        whole_zarr = median_s(lambda: array[: SIZE[0], : SIZE[1]], 10)
    return [
        {"name": "store: patch", "ours": ours, "plain": plain, "ratio": plain / ours, "floor": 20},
        {
            "name": "store: whole image",
            "ours": ours_whole,
            "plain": plain,
            "ratio": plain / ours_whole,
            "floor": 2,
        },
        *(
            {
                "name": f"shard against zarr: {what}",
                "ours": own,
                "plain": its,
                "ratio": its / own,
                "floor": low,
            }
            for what, own, its, low in (
                ("patch", ours, patch_zarr, 3),
                ("whole image", ours_whole, whole_zarr, 1),
                ("write", encoded, encoded_by_zarr, 1),
            )
        ),
    ]


def by_zarr(folder: Path, tiling: Tiling) -> zarr.Array:
    """An array of one shard with the codecs and chunks of ours, written and read by zarr."""
    chosen = {key: value for key, value in CODECS.items() if key != "name"}
    return zarr.create_array(
        folder,
        shape=tiling.shard,
        dtype="uint16",
        chunks=tiling.chunk,
        shards=tiling.shard,
        compressors=zarr.codecs.BloscCodec(typesize=2, **chosen),
        fill_value=0,
    )


if __name__ == "__main__":
    for row in run():
        print(row)
