"""The phantom's compiled loops against numpy, scipy and pydicom; and seconds an exam.

    python benchmarks/phantom.py

``ratio`` is the plain way's processor time over ours, in the same run. The tissue function does all
of its work while scipy makes the five lookups alone, so its ratio is a lower bound.
"""

import time
from collections.abc import Callable

import numpy as np
from pydicom.pixels.encoders.native import _encode_frame
from scipy.ndimage import map_coordinates

from fourview.phantom.anatomy import draw_breast, draw_patient, random_points
from fourview.phantom.exam import make_exam
from fourview.phantom.raster import splat
from fourview.phantom.rle import encode_rle
from fourview.phantom.tiles import PADDED

SIZES = (192, 384, 768, 1536, None)


def best_of(work: Callable[[], object], times: int = 3) -> float:
    """The least processor time of a few runs, seconds."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def tissue() -> dict[str, object]:
    """100,000 samples of the tissue function; scipy makes its five lookups and nothing else."""
    of = draw_breast(draw_patient(1, "c"), "L").tissue
    points = random_points(np.random.default_rng(0), of.params, 200_000)
    cubes = [t.reshape((PADDED,) * 3)[:-1, :-1, :-1] for t in (of.noise.band, of.noise.power)]
    axes = points.T * 20 + 4096

    def plain() -> None:
        for cube, scale in ((0, 0.5), (0, 1.25), (1, 0.3), (1, 1.3), (1, 5.7)):
            map_coordinates(cubes[cube], axes * scale, order=1, mode="grid-wrap")

    of.fraction(points[:10])
    return row("tissue function", best_of(lambda: of.fraction(points)), best_of(plain), 1.5)


def strands() -> dict[str, object]:
    """20,000 points spread on a 0.3 mm grid; numpy works through the same windows."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(5, 100, 20_000), rng.uniform(5, 200, 20_000)
    volume, sigma = rng.uniform(0.01, 0.1, 20_000), rng.uniform(0.15, 0.6, 20_000)
    px = 0.3

    def ours() -> None:
        splat(np.zeros((768, 384), np.float32), px, x=x, y=y, volume=volume, sigma=sigma)

    def plain() -> None:
        image = np.zeros((768, 384), np.float32)
        for cx, cy, v, s in zip(x / px, y / px, volume, sigma / px, strict=True):
            reach = int(np.ceil(2.7 * s))
            rows = np.arange(int(cy) - reach, int(cy) + reach + 1)
            cols = np.arange(int(cx) - reach, int(cx) + reach + 1)
            a = np.exp(-((rows - cy) ** 2) / (2 * s * s))
            b = np.exp(-((cols - cx) ** 2) / (2 * s * s))
            image[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] += v * a[:, None] * b

    ours()
    return row("strands", best_of(ours), best_of(plain, 1), 3.0)


def rle() -> dict[str, object]:
    """One 1536 x 768 frame; pydicom's own encoder."""
    pixels = make_exam(1, "screening", rows=1536).images[0].pixels
    options = {"rows": 1536, "columns": 768, "samples_per_pixel": 1, "bits_allocated": 16}
    source = pixels.tobytes()

    class Runner:
        rows, columns, samples_per_pixel, bits_allocated = options.values()
        number_of_frames = 1
        photometric_interpretation = "MONOCHROME2"
        transfer_syntax = "1.2.840.10008.1.2.5"

        def get_option(self, name: str, default: object = None) -> object:
            return {"byteorder": "<"}.get(name, default)

    encode_rle(pixels)
    ours = best_of(lambda: encode_rle(pixels))
    return row("RLE encoder", ours, best_of(lambda: _encode_frame(source, Runner()), 1), 3.0)


def row(name: str, ours: float, plain: float, floor: float) -> dict[str, object]:
    return {"name": name, "ours": ours, "plain": plain, "ratio": plain / ours, "floor": floor}


def run() -> list[dict[str, object]]:
    """Every comparison; ``floor`` is the ratio below which something has gone wrong."""
    return [tissue(), strands(), rle()]


def seconds_an_exam() -> list[tuple[str, float]]:
    """Processor seconds of a whole exam of four views with findings, by size."""
    make_exam(0, "enriched", rows=192)
    timed = []
    for rows in SIZES:
        count = 4 if rows is not None and rows < 1000 else 1

        def work(rows: int | None = rows, count: int = count) -> None:
            for seed in range(count):
                make_exam(seed, "enriched", rows=rows)

        name = "3328 x 2560" if rows is None else f"{rows} x {rows // 2}"
        timed.append((name, best_of(work, 2) / count))
    return timed


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:16s} {row['ours']:.4f} s, {row['plain']:.4f} s plainly:", end=" ")
        print(f"{row['ratio']:.1f} times faster (at least {row['floor']})")
    for name, seconds in seconds_an_exam():
        print(f"exam of {name}: {seconds:.2f} s")
