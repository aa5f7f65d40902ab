"""A cross-validation measured fold by fold: mean and deviation, as papers with folds print them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from fourview.entities import Manifest, Metric, Result
from fourview.errors import EvaluationError
from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.run import evaluate
from fourview.evaluate.table import read_predictions
from fourview.manifest.select import with_exams
from fourview.run_files import CROSSVAL, PREDICTIONS, SPLIT

TEST = "test"


def is_crossval(path: Path) -> bool:
    """Whether the folder is one that ``fourview crossval`` wrote."""
    return (path / CROSSVAL).is_file()


def fold_results(folder: Path, manifest: Manifest, protocols: Sequence[str]) -> dict[str, Result]:
    """Every protocol on the test part of each fold, and the mean over the folds.

    Args:
        folder: Folder written by ``fourview crossval``.
        manifest: Manifest that it was made from; its splits are not looked at.
        protocols: Names.

    Returns:
        By protocol. A metric's note has its deviation over the folds (n - 1).

    Raises:
        EvaluationError: A fold is missing, or has patients whom the manifest has not.
    """
    folds = sorted(path for path in folder.glob("fold-*") if path.is_dir())
    if not folds:
        raise EvaluationError(f"{folder}: has no fold-0; run fourview crossval again")
    measured: dict[str, list[Result]] = {name: [] for name in protocols}
    for fold in folds:
        part, table = _of_fold(fold, manifest)
        for name in protocols:
            rules = replace(find_protocol(name), split=None)
            measured[name].append(evaluate(table, part, rules, replicates=0, groups=()))
    return {name: _joined(results) for name, results in measured.items()}


def _of_fold(fold: Path, manifest: Manifest) -> tuple[Manifest, pl.DataFrame]:
    """The exams of the fold's test patients, and their scores."""
    try:
        tested = json.loads((fold / SPLIT).read_text(encoding="utf-8"))[TEST]
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationError(
            f"{fold / SPLIT}: cannot be read ({error}); the fold is not done: run fourview crossval"
        ) from None
    exams = manifest.exams.filter(pl.col("patient_id").is_in(tested))
    if exams["patient_id"].n_unique() < len(set(tested)):
        raise EvaluationError(
            f"{fold}: tested patients whom the manifest has not; name the manifest of the folds"
        )
    table, _ = read_predictions(fold / PREDICTIONS)
    own = table.join(exams.select("exam_id"), on="exam_id", how="semi")
    return with_exams(manifest, exams["exam_id"]), own


def _joined(results: Sequence[Result]) -> Result:
    by_name: Mapping[str, list[Metric]] = {
        metric.name: [m for r in results for m in r.metrics if m.name == metric.name]
        for metric in results[0].metrics
    }
    return replace(
        results[0],
        num_units=sum(result.num_units for result in results),
        num_positive=sum(result.num_positive for result in results),
        metrics=tuple(_mean(of_folds) for of_folds in by_name.values()),
        interval=f"none: mean and deviation over {len(results)} folds",
        curves=(),
        notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
        chosen={},
        unmatched=None,
    )


def _mean(of_folds: Sequence[Metric]) -> Metric:
    known = [metric.value for metric in of_folds if metric.value is not None]
    note = f"mean of {len(known)} folds"
    if len(known) < len(of_folds):
        note += f" of {len(of_folds)}, undefined in the others"
    if len(known) > 1:
        note += f", deviation {np.std(known, ddof=1):.3f}"
    value = float(np.mean(known)) if known else None
    return Metric(name=of_folds[0].name, value=value, note=note)
