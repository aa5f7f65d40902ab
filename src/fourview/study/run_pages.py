"""curves.png and report.html of a run, from what its folder holds."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from fourview.contract import Task, task
from fourview.disk import write_bytes, write_text
from fourview.entities import SIDES, SLOTS, Manifest, Side
from fourview.errors import FourviewError, RecipeError
from fourview.evaluate.table import read_predictions
from fourview.feeds.samples import Sample, make_samples
from fourview.json_file import read_json_object
from fourview.report.display import data_uri
from fourview.report.run_page import Example, RunPage, curves, run_html
from fourview.run_files import CURVES, ENVIRONMENT, MEASURED, PREDICTIONS, REPORT
from fourview.store.store import Store
from fourview.study.find_recipe import find_recipe
from fourview.train.inputs import differences
from fourview.train.parts import TEST
from fourview.train.recipe import Recipe
from fourview.train.run_folder import read_log

WORST = 4  # errors of each kind
ROWS = 320  # of a picture


def write_run_pages(out: Path, recipe: Recipe, manifest: Manifest, store: Store) -> None:
    """Write the pictures and the page of a run that is done.

    Args:
        out: The run's folder.
        recipe: The recipe as it was trained.
        manifest: Manifest with the run's split.
        store: Pixels of the examples.
    """
    lines = read_log(out)
    picture = curves(lines)
    write_bytes(out / CURVES, picture)
    page = RunPage(
        name=recipe.name,
        lines=lines,
        curves=picture,
        changes=_changes(recipe),
        figures=_figures(out),
        examples=_examples(out, recipe, manifest, store),
        facts=_facts(out, lines),
    )
    write_text(out / REPORT, run_html(page))


def _changes(recipe: Recipe) -> list[tuple[str, str, str]]:
    """What differs from the recipe of that name; nothing where there is no such recipe now."""
    try:
        base = find_recipe(recipe.name)
    except RecipeError:
        return []
    there, here = (json.loads(r.to_json()) for r in (base, recipe))
    return [(key, str(old), str(new)) for key, old, new in differences(there, here)]


def _figures(out: Path) -> str:
    path = out / MEASURED / "result.json"
    if not path.exists():
        return ""
    result = read_json_object(path)
    metrics = [m for m in result["metrics"] if m["value"] is not None][:WORST]
    values = ", ".join(f"{m['name']} {m['value']:.3f}" for m in metrics)
    return f"Test part by {result['protocol']['name']}: {values}" if values else ""


def _facts(out: Path, lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    seconds = sum(line.get("seconds", 0.0) for line in lines if line["kind"] == "epoch")
    steps = [line for line in lines if line["kind"] == "step"]
    waited = sum(line.get("waited", 0.0) for line in steps)
    about = read_json_object(out / ENVIRONMENT)
    facts = [("Steps", f"{len(steps):,}"), ("Seconds of training and validation", f"{seconds:.0f}")]
    facts += [("Seconds that steps waited for data", f"{waited:.0f}")]
    names = {"device": "Device", "processes": "Processes", "fourview": "Fourview"}
    return [*facts, *((label, str(about[name])) for name, label in names.items())]


def _examples(
    out: Path, recipe: Recipe, manifest: Manifest, store: Store
) -> dict[str, list[Example]]:
    """The breasts of the test part that were judged worst, by kind of error."""
    if recipe.task is None or not (out / PREDICTIONS).exists():
        return {}
    asked = task(recipe.task)
    try:
        samples = make_samples(
            manifest,
            classes=asked.labels,
            splits=(TEST,),
            in_store=store.table["image_id"].to_list(),
        )
    except FourviewError:  # a label of its own kind, such as of findings
        return {}
    table = read_predictions(out / PREDICTIONS)[0].filter(pl.col("unit") == "breast")
    scores = {
        (row["exam_id"], row["side"], row["class"]): row["score"]
        for row in table.iter_rows(named=True)
    }
    errors: dict[str, list[_Error]] = {}
    for sample in samples:
        for side in SIDES:
            error = _error(sample, side, asked, scores)
            if error is not None:
                errors.setdefault(error.kind, []).append(error)
    return {
        kind: [
            Example(title=e.title, score=e.said, pictures=_pictures(e.sample, e.side, store))
            for e in sorted(of_kind, key=lambda error: -error.wrong)[:WORST]
        ]
        for kind, of_kind in sorted(errors.items())
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error:
    """How wrong the model is about one breast: 0 not at all, 1 as much as can be."""

    kind: str
    wrong: float
    title: str
    said: str
    sample: Sample
    side: Side


def _error(
    sample: Sample, side: Side, asked: Task, scores: Mapping[tuple[str, str, str], float | None]
) -> _Error | None:
    """The error about one breast; None where the truth or the score is unknown."""
    label = next(iter(asked.labels))
    truth = sample.targets[label][SIDES.index(side)]
    if math.isnan(truth):
        return None
    if asked.is_suspicion:
        shown, score = label, scores.get((sample.exam_id, side, label))
        known = label if truth else f"no {label}"
        kind = f"Highest scores of breasts with {known}"
        if truth:
            kind = f"Lowest scores of breasts with {known}"
    else:
        shown = known = asked.classes[int(truth)]
        score = scores.get((sample.exam_id, side, shown))
        kind = "Lowest scores of the true class"
    if score is None:
        return None
    low_is_wrong = not asked.is_suspicion or bool(truth)
    return _Error(
        kind=kind,
        wrong=1 - score if low_is_wrong else score,
        title=f"{sample.exam_id}, {side}: {known}",
        said=f"score of {shown} {score:.3f}",
        sample=sample,
        side=side,
    )


def _pictures(sample: Sample, side: Side, store: Store) -> tuple[str, ...]:
    """The processed views of a breast, small."""
    pictures = []
    for image, slot, rank in zip(sample.images, sample.slots, sample.ranks, strict=True):
        if SLOTS[slot][0] == side and rank == 0:
            levels = (store.read(image) >> 8).astype(np.uint8)
            cols = max(1, round(levels.shape[1] * ROWS / levels.shape[0]))
            small = cv2.resize(levels, (cols, ROWS), interpolation=cv2.INTER_AREA)
            pictures.append(data_uri(np.asarray(small, dtype=np.uint8), "jpeg"))
    return tuple(pictures)
