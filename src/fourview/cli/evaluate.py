"""``fourview evaluate``: numbers with intervals for a predictions table."""

import json as jsonlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.say import say
from fourview.cli.unused import refuse_unused
from fourview.entities import Result
from fourview.errors import EvaluationError
from fourview.evaluate.groups import DEFAULT_GROUPS
from fourview.evaluate.labels import counted
from fourview.evaluate.metrics import label_of
from fourview.evaluate.operating import read_thresholds
from fourview.evaluate.own_labels import manifest_of_labels
from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.resample import REPLICATES
from fourview.evaluate.run import NOT_HELD_OUT, OF_PROTOCOL, with_file_facts
from fourview.evaluate.run import evaluate as run_evaluate
from fourview.evaluate.table import read_predictions
from fourview.manifest.manifest import read_manifest
from fourview.report.result_files import result_to_json, write_result
from fourview.report.result_html import metric_text


def evaluate(
    predictions: Path,
    *,
    manifest: Path | None = None,
    protocol: str,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    thresholds: Path | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    workers: int = 1,
    split: str = OF_PROTOCOL,
    group: tuple[str, ...] = (),
    module: Modules = (),
    json: bool = False,
) -> None:
    """Measure a predictions table by a named protocol.

    Args:
        predictions: Parquet or CSV: ours, or one of the meta-repository's two forms.
        manifest: Folder written by ``fourview index``; not needed where the table brings its own
            labels, as the meta-repository's image files and any with a column label do.
        protocol: Name of the protocol, as ``fourview list protocols`` shows.
        out: Folder for result.json, metrics.csv, unmatched.csv, operating_points.json, report.html.
        thresholds: operating_points.json of another table, such as the validation split's.
        replicates: Replicates of the bootstrap; 0 gives no intervals.
        seed: Seed of the bootstrap.
        workers: Threads; the numbers do not depend on it.
        split: Measure this split instead of the protocol's; ``all`` for the whole manifest.
        group: Manifest column to make subgroups by, beside the usual ones; may be repeated.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the result as JSON.
    """
    use_modules(module)
    rules = find_protocol(protocol)  # before a large table is read
    if thresholds is not None and rules.threshold != "given":
        raise EvaluationError(
            f"--thresholds: {protocol} applies none that were chosen elsewhere; leave it out, or"
            " measure by screening-breast-v1"
        )
    table, metadata = read_predictions(predictions)
    cuts, chosen_on = read_thresholds(thresholds) if thresholds else ({}, {})
    if manifest is None:
        refuse_unused(evaluate, needs="--manifest", split=split, group=group)
        tables, notes = manifest_of_labels(table, rules)
    else:
        tables, notes = read_manifest(manifest), ()
    result = run_evaluate(
        table,
        tables,
        protocol,
        replicates=replicates,
        seed=seed,
        workers=workers,
        thresholds=cuts,
        split=None if split == "all" else split,
        groups=(*DEFAULT_GROUPS, *group),
    )
    result = replace(result, notes=(*notes, *result.notes))
    result = _with_thresholds_checked(with_file_facts(result, metadata), chosen_on, thresholds)
    if out is not None:
        write_result(result, out)
    if json:
        print(jsonlib.dumps(result_to_json(result), ensure_ascii=False, allow_nan=False))
    else:
        _show(result, out)


def _with_thresholds_checked(
    result: Result, chosen_on: dict[str, str], path: Path | None
) -> Result:
    """Refuse thresholds of this very table; note those of an unknown one or another model."""
    if path is None:
        return result
    if chosen_on.get("scores_digest") == result.provenance["scores_digest"]:
        raise EvaluationError(
            f"{path}: these thresholds were chosen on this very table; choose them on another one,"
            " such as the validation split's"
        )
    notes = []
    if not chosen_on:
        notes.append(f"{path.name} does not say on which table its thresholds were chosen")
    models = {chosen_on.get("model_digest"), result.provenance.get("model_digest")} - {None}
    if len(models) == 2:
        notes.append("the thresholds were chosen for another model's scores")
    return replace(result, notes=(*result.notes, *notes))


def _show(result: Result, out: Path | None) -> None:
    first = [note for note in result.notes if note.startswith(NOT_HELD_OUT)]
    for note in first:
        say(f"warning: {note}")
    units = counted(result.num_units, result.unit)
    say(f"{result.protocol}: {units}, {result.num_positive:,} positive")
    say(f"intervals: {result.interval}")
    width = max(len(label_of(m.name)) for m in result.metrics)
    for metric in result.metrics:
        value, interval = metric_text(metric)
        between = f"  ({interval})" if interval else ""
        note = f"  {metric.note}" if metric.note else ""
        say(f"  {label_of(metric.name):{width}}  {value}{between}{note}")
    for note in result.notes:
        if note not in first:
            say(f"note: {note}")
    if out is not None:
        say(f"report: {out / 'report.html'}")
