"""What a run says of its validation and test parts at its end: scores, thresholds, figures."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import polars as pl

from fourview.checkpoint.card import load_checkpoint
from fourview.contract import Task
from fourview.entities import Manifest, Result
from fourview.errors import EvaluationError
from fourview.evaluate.metrics import label_of
from fourview.evaluate.operating import write_thresholds
from fourview.evaluate.run import evaluate
from fourview.evaluate.table import write_predictions
from fourview.feeds.feed import Feed
from fourview.predict.engine import Engine
from fourview.predict.network import Network
from fourview.report.result_files import write_result
from fourview.run_files import BEST, MEASURED, OPERATING_POINTS, PREDICTIONS
from fourview.train.loop import Machine, Watch, reading_workers
from fourview.train.parts import TEST, VALIDATION
from fourview.train.points import points_of_scores, region_points
from fourview.train.processes import Processes

PROTOCOLS = {  # by which the test part of a task is measured, by breast
    "cancer": "screening-breast-v1",
    "abnormality": "screening-breast-v1",
    "malignant": "lesion-biopsy-v1",
    "density": "embed-density-multiview-v1",
    "birads7": "embed-birads7-multiview-v1",
    "birads3": "embed-birads3-multiview-v1",
    "birads5": "vindr-birads-multiview-v1",
}
SHOWN = 4  # metrics in the line at the end; the page has all


def measure(
    out: Path,
    recipe_name: str,
    asked: Task,
    parts: Mapping[str, Feed],
    manifest: Manifest,
    *,
    known_by: str,
    machine: Machine,
    processes: Processes,
    watch: Watch,
) -> None:
    """Score validation and test with the best checkpoint, choose thresholds, measure the test part.

    Each process scores its share of the batches; process 0 writes. ``manifest`` has the run's
    split, ``known_by`` is the hash of the one that was given.
    """
    model, card, family = load_checkpoint(out / BEST, own=True)
    network = Network(model, card, family, engine=Engine(device=str(processes.device)))
    tables = {}
    for part in (VALIDATION, TEST):
        own = network.tables(
            parts[part],
            batch_size=machine.eval_batch,
            workers=reading_workers(machine.workers, processes),
            share=processes.share,
            progress=partial(watch.progress, f"scoring {part}"),
        )
        tables[part] = network.joined(processes.all(own))
    if not processes.writes:
        return
    about = {
        "model_digest": card.digest,
        "pixel_spec": f"{card.pixel_spec} {card.fingerprint}",
        "manifest_hash": known_by,
        "terms": card.terms,
        "caution": card.caution,
        "recipe": recipe_name,
    }
    write_predictions(pl.concat(tables.values()), out / PREDICTIONS, about)
    thresholds: dict[str, float] = {}
    if asked.is_suspicion:
        chosen_on = parts[VALIDATION].samples
        label = next(iter(asked.labels))
        thresholds = points_of_scores(tables[VALIDATION], chosen_on, label)
        write_thresholds(
            out / OPERATING_POINTS,
            thresholds,
            about | {"part": VALIDATION},
            regions=region_points(tables[VALIDATION], chosen_on, label),
        )
    result = _measured(tables[TEST], manifest, asked, thresholds, watch)
    if result is not None:
        write_result(result, out / MEASURED)
        watch.say(line_of_result(result))


def _measured(
    table: pl.DataFrame,
    manifest: Manifest,
    asked: Task,
    thresholds: Mapping[str, float],
    watch: Watch,
) -> Result | None:
    """The test part by the task's protocol; None where it gives no number, which is said."""
    name = PROTOCOLS.get(asked.name)
    of_findings = (table["unit"] == "finding").any()
    if of_findings:
        name = PROTOCOLS["malignant"]
    if name is None:
        watch.say(f"test: no figures (there is no protocol for '{asked.name}')")
        return None
    try:
        return evaluate(table, manifest, name, split=TEST, thresholds=thresholds, groups=())
    except EvaluationError as error:
        watch.say(f"test: no figures ({error})")
        return None


def line_of_result(result: Result) -> str:
    """A line such as ``test (screening-breast-v1): AUROC 0.81 (0.77 to 0.85), ...``."""
    figures: list[str] = []
    for metric in result.metrics:
        if metric.value is None or len(figures) == SHOWN:
            continue
        known = metric.low is not None and metric.high is not None
        span = f" ({metric.low:.3f} to {metric.high:.3f})" if known else ""
        figures.append(f"{label_of(metric.name)} {metric.value:.3f}{span}")
    return f"test ({result.protocol}): {', '.join(figures) or 'no figure is defined'}"
