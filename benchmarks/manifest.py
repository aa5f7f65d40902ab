"""A manifest of 3,400,000 made-up images: write, read, check, join, split, and one line an exam.

Run:     python benchmarks/manifest.py [--images N]; needs a few GB of disk in the temporary folder.
Plain:   the same rules and joins as loops over rows as dictionaries, on a part of the exams.
Must:    the check and the joins in under 60 s and 4 GB.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from fourview.entities import Manifest
from fourview.manifest.check import check_folder, label_counts
from fourview.manifest.manifest import (
    images_with_labels,
    make_manifest,
    read_manifest,
    write_manifest,
)
from fourview.manifest.select import exam_table
from fourview.manifest.split import assign_split

NUM_IMAGES = 3_400_000
PLAIN_SHARE = 0.02  # of the exams that the loops get
MOST_SECONDS, MOST_GB = 60.0, 4.0


def made_up(num_images: int, root: Path) -> Manifest:
    """Exams of four views, every third of a known patient; a finding for each tenth image."""
    row = pl.Series("row", np.arange(num_images))
    exam = row // 4
    random = np.random.default_rng(0)
    images = pl.DataFrame(
        {
            "patient_id": "P" + (exam // 3).cast(pl.String).str.zfill(7),
            "exam_id": "E" + exam.cast(pl.String).str.zfill(7),
            "image_id": "1.2.826.0.1.3680043.10.1." + row.cast(pl.String).str.zfill(8),
            "side": pl.Series(["R", "L"]).gather(row % 2),
            "view": pl.Series(["CC", "MLO"]).gather(row // 2 % 2),
        }
    ).with_columns(
        path=pl.format("images/{}/{}.dcm", "patient_id", "image_id"),
        kind=pl.lit("ffdm"),
        rows=pl.lit(3328),
        cols=pl.lit(2560),
        vendor=pl.lit("made up"),
    )
    breasts = images.filter(row // 2 % 2 == 0).select("patient_id", "exam_id", "side")
    breasts = breasts.with_columns(
        cancer=pl.Series(random.random(len(breasts)) < 0.01).cast(pl.Int8),
        birads=pl.Series(random.integers(0, 7, len(breasts))),
        density=pl.Series(list("ABCD")).gather(random.integers(0, 4, len(breasts))),
    )
    findings = images.filter(row % 10 == 0).select(
        "patient_id",
        "exam_id",
        "image_id",
        "side",
        finding_id="image_id",
        x0=pl.lit(10.0),
        y0=pl.lit(20.0),
        x1=pl.lit(300.0),
        y1=pl.lit(400.0),
        frame=pl.lit("stored"),
    )
    return make_manifest(
        source="made_up", root=root, images=images, breasts=breasts, findings=findings, terms=""
    )


def plain_way(manifest: Manifest) -> None:
    """Rules, label join and counts as loops over dictionaries."""
    exams = {e["exam_id"]: e for e in manifest.exams.iter_rows(named=True)}
    breasts = {(b["exam_id"], b["side"]): b for b in manifest.breasts.iter_rows(named=True)}
    seen: dict[str, dict[str, object]] = {}
    counts: Counter[object] = Counter()
    slots: dict[str, dict[str, str]] = {}
    for image in manifest.images.iter_rows(named=True):
        assert image["image_id"] not in seen
        assert image["side"] in ("R", "L")
        assert exams[image["exam_id"]]["patient_id"] == image["patient_id"]
        seen[image["image_id"]] = image
        counts[breasts[image["exam_id"], image["side"]]["cancer"]] += 1
        slots.setdefault(image["exam_id"], {})[f"{image['side']}-{image['view']}"] = image[
            "image_id"
        ]
    for finding in manifest.findings.iter_rows(named=True):
        image = seen[finding["image_id"]]
        assert image["exam_id"] == finding["exam_id"]
        assert 0 <= finding["x0"] < finding["x1"] <= image["cols"]
        assert 0 <= finding["y0"] < finding["y1"] <= image["rows"]


def part_of(manifest: Manifest, share: float) -> Manifest:
    """The first exams, as a manifest."""
    exams = manifest.exams.head(int(len(manifest.exams) * share)).select("exam_id")
    tables = {
        name: getattr(manifest, name).join(exams, on="exam_id", how="semi")
        for name in ("images", "breasts", "exams", "findings")
    }
    return make_manifest(source="made_up", root="", terms="", **tables)


def run(num_images: int = NUM_IMAGES) -> list[dict[str, object]]:
    steps: dict[str, float] = {}

    def timed(name, call):
        start, busy = time.perf_counter(), time.process_time()
        value = call()
        steps[name] = time.perf_counter() - start
        print(f"{name:12} {steps[name]:7.2f} s, {time.process_time() - busy:7.2f} s of CPU")
        return value

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest"
        manifest = made_up(num_images, Path(folder))
        timed("write", lambda: write_manifest(manifest, path))
        small = part_of(manifest, PLAIN_SHARE)
        del manifest
        timed("check", lambda: check_folder(path, files=False))
        manifest = timed("read", lambda: read_manifest(path))
        timed("join labels", lambda: images_with_labels(manifest))
        timed("counts", lambda: label_counts(manifest))
        timed("exam lines", lambda: exam_table(manifest))
        timed("split", lambda: assign_split(manifest, {"train": 0.8, "test": 0.2}, 0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    total = sum(steps[name] for name in ("check", "join labels", "counts", "exam lines"))
    print(
        f"{num_images:,} images: check and joins {total:.1f} s (need < {MOST_SECONDS}),"
        f" peak {peak:.2f} GB"
    )
    start = time.perf_counter()
    plain_way(small)
    plain = (time.perf_counter() - start) / PLAIN_SHARE
    ours = steps["check"] + steps["join labels"] + steps["counts"]
    within = {"ours": total, "plain": MOST_SECONDS, "ratio": MOST_SECONDS / total, "floor": 1.0}
    memory = {"ours": peak, "plain": MOST_GB, "ratio": MOST_GB / peak, "floor": 1.0}
    return [
        {"name": "manifest: rules and joins against loops over rows (s)"}
        | {"ours": ours, "plain": plain, "ratio": plain / ours, "floor": 1.5},
        {"name": "manifest: check and joins within the limit (s)"} | within,
        {"name": "manifest: peak memory within the limit (GB)"} | memory,
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=NUM_IMAGES)
    for result in run(parser.parse_args().images):
        print(
            ", ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{v}" for k, v in result.items())
        )
