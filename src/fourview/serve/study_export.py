"""Readings as predictions tables, so that a reader is measured as a model is.

Writes:  predictions-READER-ARM.parquet in ``PREDICTIONS_SCHEMA``: one row per breast (class
         cancer) and one per mark (unit region); readings.parquet with all answers and times,
         unanswered null; note.txt, which says what is not measured.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl

from fourview.disk import write_table, write_text
from fourview.entities import PREDICTIONS_SCHEMA
from fourview.errors import ServeError
from fourview.evaluate.table import write_predictions
from fourview.json_file import read_json_object
from fourview.serve.readings import JOURNAL, STUDY, Journal

From = Literal["suspicion", "birads", "recall"]
NOTE = """Readings of {name}, design {design}.

A table predictions-READER-ARM.parquet has one reader's scores in one arm; fourview evaluate and
compare read it as they read a model's. Means over readers: evaluate.several_runs. Its intervals are
over cases only: the variance between readers (Obuchowski and Rockette 1995) is not part of them.
Scores come from: {source}.
"""
READINGS = {
    "submission": pl.String,
    "reader": pl.String,
    "arm": pl.String,
    "patient_id": pl.String,
    "exam_id": pl.String,
    "side": pl.String,
    "at": pl.String,
    "duration_ms": pl.Float64,
    "paused_ms": pl.Float64,
    "recall": pl.Boolean,
    "birads": pl.Int8,
    "suspicion": pl.Float64,
    "density": pl.String,
    "confidence": pl.Float64,
    "num_marks": pl.Int32,
    "heatmap_ms": pl.Float64,
    "screen": pl.String,
    "events": pl.String,
}


def export_study(readings: Path, out: Path, *, source: From = "suspicion") -> list[Path]:
    """Write the tables of a study.

    Args:
        readings: Folder that ``fourview serve --study`` wrote to.
        out: Folder to write to.
        source: What becomes the score: suspicion / 100, BI-RADS / 5, or recall as 0 or 1.

    Returns:
        The predictions tables.

    Raises:
        ServeError: There are no readings, or the study did not ask for the source.
    """
    if not (readings / STUDY).is_file() or not (readings / JOURNAL).is_file():
        raise ServeError(f"{readings}: holds no readings; name the --out of 'fourview serve'")
    try:
        study = read_json_object(readings / STUDY)
        plan = study["plan"]
    except (ValueError, KeyError) as error:
        raise ServeError(f"{readings / STUDY}: describes no reader study ({error})") from error
    if not plan["questions"][source]:
        raise ServeError(f"--from {source}: the study did not ask for it")
    rows = Journal(readings).readings()
    if not rows:
        raise ServeError(f"{readings}: no reading was sent yet")
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for reader, arm in sorted({(row["reader"], row["arm"]) for row in rows}):
        mine = [row for row in rows if (row["reader"], row["arm"]) == (reader, arm)]
        path = out / f"predictions-{reader}-{arm}.parquet"
        about = {
            "model_digest": f"reader {reader}",
            "recipe": f"reader {reader}",
            "pixel_spec": "human",
            "manifest_hash": study["manifest_hash"],
            "terms": study["terms"],
            "study": plan["name"],
            "arm": arm,
            "design": plan["design"],
            "score": source,
        }
        write_predictions(_predictions(mine, source), path, about)
        written.append(path)
    frame = pl.DataFrame([r for row in rows for r in _flat(row)], schema=READINGS)
    write_table(frame, out / "readings.parquet")
    note = NOTE.format(name=plan["name"], design=plan["design"], source=source)
    write_text(out / "note.txt", note)
    return written


def _predictions(rows: Sequence[Mapping[str, Any]], source: From) -> pl.DataFrame:
    predictions: list[dict[str, Any]] = []
    scale = {"suspicion": 100.0, "birads": 5.0, "recall": 1.0}[source]
    for row in rows:
        ids = {"patient_id": row["patient_id"], "exam_id": row["exam_id"], "class": "cancer"}
        for side, value in row["answers"].get(source, {}).items():
            predictions.append(
                {**ids, "unit": "breast", "side": side, "score": float(value) / scale}
            )
        for mark in row["answers"].get("marks", ()):
            box = dict(zip(("x0", "y0", "x1", "y1"), mark["box"], strict=True))
            score = mark["suspicion"] / 100
            predictions.append(
                {**ids, "unit": "region", "image_id": mark["image_id"], "score": score, **box}
            )
    return pl.DataFrame(predictions, schema=dict(PREDICTIONS_SCHEMA))


def _flat(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per breast that was asked about; one without a side where only the exam was."""
    answers = row["answers"]
    by_side = ("recall", "birads", "suspicion")
    sides = sorted({s for name in by_side for s in answers.get(name, {})}, reverse=True)
    plain = ("submission", "reader", "arm", "patient_id", "exam_id", "at")
    shared = {name: row[name] for name in (*plain, "duration_ms", "paused_ms")} | {
        "density": answers.get("density"),
        "confidence": answers.get("confidence"),
        "num_marks": len(answers["marks"]) if "marks" in answers else None,
        "heatmap_ms": _heatmap_ms(row),
        "screen": json.dumps(row["screen"], sort_keys=True),
        "events": json.dumps(row["events"]),
    }
    return [
        {**shared, "side": side} | {name: answers.get(name, {}).get(side) for name in by_side}
        for side in sides or [None]
    ]


def _heatmap_ms(row: Mapping[str, Any]) -> float | None:
    """How long the heatmap was on; None where it was never shown or switched."""
    switched = [(at, detail) for at, what, detail in row["events"] if what == "heatmap"]
    if not switched:
        return None
    end = row["duration_ms"] if row["duration_ms"] is not None else switched[-1][0]
    total, since = 0.0, None
    for at, detail in [*switched, (end, "off")]:
        if since is not None:
            total += max(0.0, at - since)
        since = at if detail == "on" else None
    return total
