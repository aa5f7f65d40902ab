"""From one table of a person's own to every published run on it, and on to a second data set.

Phantom exams become a table as a hospital has one: labels ``cancer`` and ``benign`` of breasts, and
findings.csv with outlines. Everything after that is typed.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fourview.checkpoint.card import load_checkpoint
from fourview.cli.main import main
from fourview.evaluate.table import read_predictions
from fourview.sources.phantom import read_phantom

pytestmark = pytest.mark.slow
SMALL = "mvccl-192x96"
NATIVE = "clsdet-native"
WINDOWS = ("pixel_spec=mvccl-192x96", "feed.sides=[9,25]", "feed.patch_px=32", "feed.windows=2")
CODES = (
    *("feed.encoder.network.name=small", "feed.encoder.network.widths=[4,4,4,4,6]"),
    *("feed.encoder.level=null", "feed.encoder.pool=mean", "feed.windows.side=64"),
    *("feed.windows.stride=48", "feed.copies.copies=1", "model.code_dim=6"),
    *("model.num_selected=2",),
)
COUNTS = "[8,8,8,8]"  # windows of an epoch
BEFORE = {"lesion": "lesion:small_patch", "end2end": "end2end:mini_patch"}
RUNS = {  # recipe, spec, settings, options
    "gmic": ("gmic:mini", SMALL, (), ()),
    "dmv": ("dmv:mini", SMALL, (), ()),
    "nyu_glam": ("nyu_glam:mini", SMALL, (), ()),
    "mvccl": ("mvccl:mini", SMALL, (), ()),
    "frcnn": ("frcnn:mini", SMALL, (), ()),
    "end2end": ("end2end:mini", SMALL, (), ()),
    "clsdet": ("clsdet:small", NATIVE, CODES, ()),
    "lesion": (
        "lesion:small",
        SMALL,
        (*WINDOWS, f"feed.per_epoch={COUNTS}"),
        ("--context", "RUNS/context"),
    ),
}


def fourview(*words: object) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0, " ".join(map(str, words))


def as_a_persons_table(root: Path) -> None:
    """table.csv and findings.csv beside the phantom's files; outlines are ellipses in the boxes."""
    manifest = read_phantom(root)
    labels = manifest.breasts.select("exam_id", "side", "cancer", "benign", "density")
    images = manifest.images.select("patient_id", "exam_id", "image_id", "side", "view", "path")
    images.join(labels, on=["exam_id", "side"]).write_csv(root / "table.csv")
    angle = np.arange(16) * (2 * np.pi / 16)
    rows = []
    for row in manifest.findings.iter_rows(named=True):
        x = (row["x0"] + row["x1"]) / 2 + (row["x1"] - row["x0"]) / 2 * np.cos(angle)
        y = (row["y0"] + row["y1"]) / 2 + (row["y1"] - row["y0"]) / 2 * np.sin(angle)
        polygon = " ".join(f"{v:.1f}" for point in zip(x, y, strict=True) for v in point)
        kept = {k: row[k] for k in ("image_id", "finding_id", "kind", "malignant")}
        rows.append(kept | {"polygon": polygon})
    pl.DataFrame(rows).write_csv(root / "findings.csv")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("one_table")
    for name, seed in (("first", 3), ("second", 4)):
        data = root / name
        fourview("phantom", data, "--exams", 16, "--seed", seed, "--preset", "biopsied",
                 "--rows", 192, "--workers", 2)  # fmt: skip
        as_a_persons_table(data)
        fourview("index", data / "table.csv", "--source", "csv", "-o", root / f"{name}-manifest",
                 "--split", "0.5,0.25,0.25")  # fmt: skip
        fourview("check", root / f"{name}-manifest")
        for spec in (SMALL, NATIVE):
            fourview("prepare", root / f"{name}-manifest", "--spec", spec,
                     "-o", root / f"{name}-{spec}", "--workers", 2)  # fmt: skip
    return root


def train(root: Path, name: str, data: str, out: Path, *more: object) -> None:
    recipe, spec, settings, options = RUNS[name]
    own = ("--manifest", root / f"{data}-manifest", "--store", root / f"{data}-{spec}")
    if name == "lesion" and not more:
        fourview("train", "gmic:mini", *own, "-o", root / "runs" / "context", *set_of("epochs=1"))
    if name in BEFORE and not more:
        first = root / "runs" / f"{name}-before"
        fourview("train", BEFORE[name], *own, "-o", first, *set_of("epochs=1", *settings))
        more = ("--start", first)
    options = [str(word).replace("RUNS", str(root / "runs")) for word in options]
    changed = set_of("epochs=1", "batch=2", *settings)
    fourview("train", recipe, *own, "-o", out, *changed, *options, *more)


def set_of(*assignments: str) -> list[str]:
    return [word for each in assignments for word in ("--set", each)]


@pytest.mark.parametrize("name", list(RUNS))
def test_a_family_trains_predicts_measures_and_is_tuned_on_a_second_set(name, place):
    root = place
    run, tuned = root / "runs" / name, root / "runs" / f"{name}-tuned"
    spec = RUNS[name][1]
    train(root, name, "first", run)
    scores, result = root / f"{name}.parquet", root / f"{name}-result"
    data = ("--manifest", root / "first-manifest", "--store", root / f"first-{spec}")
    fourview("predict", run, *data, "-o", scores, "--split", "test", "--exact")
    assert read_predictions(scores)[0]["score"].is_between(0, 1).all()
    protocol = "lesion-biopsy-v1" if name == "lesion" else "screening-breast-v1"
    fourview("evaluate", scores, "--manifest", root / "first-manifest", "--protocol", protocol,
             "-o", result, "--replicates", 20)  # fmt: skip
    measured = json.loads((result / "result.json").read_text())
    assert measured["num_units"] > 0
    train(root, name, "second", tuned, "--start", run)
    begun = json.loads((tuned / "start.json").read_text())
    assert begun["anew"] == []
    before, after = (
        load_checkpoint(folder / "checkpoints" / "best")[0].state_dict() for folder in (run, tuned)
    )
    assert before.keys() == after.keys()
    assert any(not before[key].equal(after[key]) for key in before)
