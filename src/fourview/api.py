"""What a program does with one call; everything else is in the stages' modules."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fourview.dicom.exams import read_exams
from fourview.entities import Exam, ExamPrediction, Manifest, Result
from fourview.errors import ExamError
from fourview.evaluate.groups import DEFAULT_GROUPS
from fourview.evaluate.protocols import Protocol
from fourview.evaluate.resample import REPLICATES
from fourview.evaluate.run import OF_PROTOCOL, evaluate, with_file_facts
from fourview.evaluate.table import read_predictions
from fourview.manifest.manifest import read_manifest
from fourview.report.exam_html import write_exam_report
from fourview.sources.find import find_source
from fourview.store.store import Store

if TYPE_CHECKING:  # a program that reads or measures does not wait for torch
    from fourview.train.loop import Machine, Progress
    from fourview.train.recipe import Recipe

GIBIBYTE = 2**30


def read_exam(path: Path | str) -> Exam:
    """Read the one exam that a folder or file holds.

    Raises:
        ExamError: There is none, or more than one.
    """
    exams = [exam for exam in read_exams([Path(path)]) if exam.images]
    if len(exams) != 1:
        raise ExamError(f"{path}: holds {len(exams)} exams, need one; name a folder with one study")
    return exams[0]


def write_report(prediction: ExamPrediction, exam: Exam, out: Path | str) -> Path:
    """Write result.json and report.html of an exam below ``out``; returns the page's path."""
    return write_exam_report(prediction, exam.images, Path(out)).html


def open_manifest(path: Path | str) -> Manifest:
    """Open the folder that ``fourview index`` wrote: ``read_manifest`` under another name.

    Raises:
        ManifestError: There is none, or it breaks a rule.
    """
    return read_manifest(path)


def open_store(path: Path | str) -> Store:
    """Open the folder that ``fourview prepare`` wrote: ``Store.open`` under another name.

    Raises:
        StoreError: There is no store, or it is not finished.
    """
    return Store.open(path)


def index(root: Path | str, source: str) -> Manifest:
    """Turn a data set into a manifest, in memory.

    Args:
        root: Folder of the data set.
        source: Name of its reader, as ``fourview list sources`` shows; dicom for any folder.

    Raises:
        ManifestError: There is no such source, or the data set breaks a rule.
    """
    return find_source(source)(Path(root).absolute())


def train_recipe(  # noqa: PLR0913 - what decides a run, and what belongs to the machine
    recipe: "Recipe | str",
    manifest: Manifest | Path | str,
    store: Store | Path | str,
    out: Path | str,
    *,
    settings: Sequence[str] = (),
    seed: int | None = None,
    resume: bool = False,
    start: Path | str | None = None,
    context: Path | str | None = None,
    machine: "Machine | None" = None,
    cache_gb: float = 4.0,
    progress: "Progress | None" = None,
) -> Path:
    """Train a recipe, and measure it on the parts it was not trained on.

    Args:
        recipe: FAMILY:RECIPE, or a recipe of your own.
        manifest: Or its folder.
        store: Of the recipe's pixel spec; or its folder.
        out: The run's folder.
        settings: Changed values, as ``optimizer.lr=3e-5``.
        seed: In place of the recipe's.
        resume: Go on with a run that was stopped; the losses are those of one that was not.
        start: Run or checkpoint to begin with; without it the recipe's ``starts_from`` is trained.
        context: Run or checkpoint whose heatmaps are read; without it the recipe's is trained.
        machine: Processes that read, and how often the state is saved.
        cache_gb: Keep the pixels in memory where they take no more than this.
        progress: Called with what is done, how much of it, and of how much.

    Returns:
        The folder of its best checkpoint.

    Raises:
        RecipeError: There is no such recipe, or it has no such setting.
        TrainingError: The run cannot start or go on.
    """
    from fourview.study.chain import Before, train_chain
    from fourview.study.find_recipe import find_recipe
    from fourview.study.start import starting_from
    from fourview.train.loop import Machine
    from fourview.train.recipe import override

    changed = override(find_recipe(recipe) if isinstance(recipe, str) else recipe, list(settings))
    if seed is not None:
        changed = replace(changed, seed=seed)
    if start is not None:
        changed = starting_from(changed, Path(start))
    return train_chain(
        changed,
        manifest if isinstance(manifest, Manifest) else read_manifest(manifest),
        store if isinstance(store, Store) else Store.open(store),
        Path(out),
        resume=resume,
        machine=machine or Machine(),
        cache_bytes=int(cache_gb * GIBIBYTE),
        progress=progress,
        before=Before(
            start=None if start is None else Path(start),
            context=None if context is None else Path(context),
        ),
    )


def measure(
    predictions: pl.DataFrame | Path | str,
    manifest: Manifest | Path | str,
    protocol: Protocol | str,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    workers: int = 1,
    thresholds: Mapping[str, float] | None = None,
    split: str | None = OF_PROTOCOL,
    groups: Sequence[str] = DEFAULT_GROUPS,
) -> Result:
    """Measure predictions by a named protocol: what ``fourview evaluate`` does.

    Args:
        predictions: A table with the ids of the protocol's unit, ``class`` and ``score``; or a
            Parquet or CSV file, ours or anybody's.
        manifest: The data set's tables, where labels come from; or their folder.
        protocol: Its name, as ``fourview list protocols`` shows, or one of your own.
        replicates: Of the bootstrap; 0 gives no intervals.
        seed: Of the bootstrap.
        workers: Threads; the numbers do not depend on it.
        thresholds: Operating points by name, chosen on another table.
        split: Measure this split instead of the protocol's; None for the whole manifest.
        groups: Manifest columns to make subgroups by.

    Raises:
        EvaluationError: An unknown protocol, or a table that gives no number.
    """
    if isinstance(predictions, pl.DataFrame):
        table, facts = predictions, dict[str, str]()
    else:
        table, facts = read_predictions(predictions)
    result = evaluate(
        table,
        manifest if isinstance(manifest, Manifest) else read_manifest(manifest),
        protocol,
        replicates=replicates,
        seed=seed,
        workers=workers,
        thresholds=thresholds,
        split=split,
        groups=groups,
    )
    return with_file_facts(result, facts)
