"""How far a step may count when the pectoral line is refined: ``pectoral.REFINE_CLIP``.

    python -m benchmarks.pectoral --exams 60

Three kinds of muscle in the same MLO views of phantoms. ``under tissue``: as the phantom makes it,
with gland over it, a soft and bowed edge; its truth is the chest plane, which that edge follows
within some millimetres. ``clean``: the same breast with an even muscle painted up to the line, its
edge straight and sharp, nothing over it. ``smooth``: clean, and the breast before it without
texture, as in a drawing. docs/results/ap_alignment.md has the figures.
"""

import argparse
from collections.abc import Iterator

import cv2
import numpy as np

from benchmarks.ap_alignment import NATIVE, ROWS, Oriented
from fourview.phantom.exam import make_exam
from fourview.preprocess import pectoral
from fourview.preprocess.pectoral import PectoralLine, find_pectoral
from fourview.preprocess.pipeline import process

CLIPS = (5.0, 10.0, 20.0, 40.0)
FIRST_SEED = 7000
EDGE_PX = 1.0  # sigma-like softness of the painted edge, pixels of 0.6 mm


def views(first: int, num: int) -> Iterator[tuple[Oriented, float]]:
    """MLO views with their truth, and their pixel size in mm."""
    for seed in range(first, first + num):
        exam = make_exam(seed, "miniature", rows=ROWS, vendor="ABC"[seed % 3])
        for image in exam.images:
            if image.position == "MLO":
                yield Oriented.of(image, process(exam.entity(image), NATIVE)), image.spacing_mm


def painted(view: Oriented, rng: np.random.Generator, *, smooth: bool) -> np.ndarray:
    """The view with an even muscle up to the true line."""
    rows, cols = view.levels.shape
    x, y = np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
    depth = view.truth.depth(np.stack([x, y], axis=-1))
    share = 1 / (1 + np.exp(np.clip(depth / EDGE_PX, -30, 30)))
    level = float(np.percentile(view.levels[view.mask], 90))
    muscle = level * (1 + (0.002 if smooth else 0.02) * rng.normal(size=share.shape))
    breast = view.levels.astype(np.float64)
    if smooth:
        weight = np.maximum(cv2.GaussianBlur(view.mask.astype(np.float64), (0, 0), 15), 1e-3)
        breast = 0.6 * cv2.GaussianBlur(breast * view.mask, (0, 0), 15) / weight
        breast *= 1 + 0.002 * rng.normal(size=share.shape)
    mixed = breast * (1 - share) + muscle * share
    return np.where(view.mask, np.clip(mixed, 1, 65535), 0).astype(np.uint16)


def error(line: PectoralLine | None, view: Oriented, px: float) -> tuple[float, float]:
    """Angle (degrees) and distance (mm) off, the distance in the middle of the muscle's edge."""
    if line is None:
        return float("nan"), float("nan")
    truth = view.truth
    foot = min(truth.offset_px / np.sin(np.radians(truth.degrees)), view.levels.shape[0]) / 2
    middle = np.array([(truth.offset_px - foot * truth.axis[1]) / truth.axis[0], foot])
    return abs(line.degrees - truth.degrees), abs(float(line.depth(middle))) * px


def main() -> None:
    parser = argparse.ArgumentParser(description="REFINE_CLIP on muscles with and without tissue.")
    parser.add_argument("--exams", type=int, default=60)
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    chosen = parser.parse_args()
    errors: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for view, px in views(chosen.seed, chosen.exams):
        kinds = {"under tissue": view.levels}
        for kind, smooth in (("clean", False), ("smooth", True)):
            kinds[kind] = painted(view, np.random.default_rng(0), smooth=smooth)
        for clip in CLIPS:
            pectoral.REFINE_CLIP = clip
            for kind, levels in kinds.items():
                line = find_pectoral(levels, view.mask)
                errors.setdefault((kind, clip), []).append(error(line, view, px))
    print("| muscle | clip | angle off, degrees: median | 90th | distance off, mm: median | 90th | "
          "line found |\n" + "| --- " * 7 + "|")  # fmt: skip
    for (kind, clip), pairs in sorted(errors.items()):
        table = np.array(pairs)
        share = float(np.mean(~np.isnan(table[:, 0])))
        q = np.nanpercentile(table, (50, 90), axis=0)
        print(f"| {kind} | {clip:g} | {q[0, 0]:.2f} | {q[1, 0]:.2f} | {q[0, 1]:.2f} | "
              f"{q[1, 1]:.2f} | {share:.1%} |")  # fmt: skip


if __name__ == "__main__":
    main()
