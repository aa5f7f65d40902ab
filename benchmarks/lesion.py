"""Windows of a finding: cut from the store's chunks against decoding the image's PNG file."""

import tempfile
from pathlib import Path

import imagecodecs
import numpy as np

from benchmarks.store import SIZE, levels, median_s
from fourview.feeds.patches import Outline, Window, cut_window, draw_window, patch_reader
from fourview.store.shard import Tiling, encode_shard, read_shard

FINDING = Outline(np.array([(500.0, 1300.0), (640.0, 1300.0), (640.0, 1460.0), (500.0, 1460.0)]))
SIDES, DEGREES, PATCH_PX = (128.0, 384.0), 30.0, 256  # as the paper draws them


def run() -> list[dict[str, object]]:
    image, tiling, draw = levels(), Tiling.of(SIZE), np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        shard, png = Path(folder) / "shard", Path(folder) / "image.png"
        shard.write_bytes(encode_shard(image, tiling))
        png.write_bytes(imagecodecs.png_encode(image))

        def window() -> Window:
            return draw_window(draw, FINDING, sides=SIDES, degrees=DEGREES)

        def read_patch(y0: int, x0: int, size: tuple[int, int]) -> np.ndarray:
            out = np.zeros(size, np.uint16)
            read_shard(shard, tiling, y0, x0, out)
            return out

        def from_store() -> np.ndarray:
            return cut_window(read_patch, window(), PATCH_PX)

        def from_png() -> np.ndarray:
            decoded = imagecodecs.png_decode(png.read_bytes())
            return cut_window(patch_reader(decoded), window(), PATCH_PX)

        ours, plain = median_s(from_store, 200), median_s(from_png, 10)
    return [
        {
            "name": "lesion: turned window",
            "ours": ours,
            "plain": plain,
            "ratio": plain / ours,
            "floor": 20,
        }
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
