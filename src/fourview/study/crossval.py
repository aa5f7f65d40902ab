"""A recipe trained and measured fold by fold: every patient is tested once, by a run without her.

OUT/fold-0 ...          one run per fold; its test part is that fold
OUT/predictions.parquet the test parts of all folds together
OUT/crossval.json       every metric by fold, its mean and deviation
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from fourview.disk import write_text
from fourview.entities import Manifest
from fourview.errors import EvaluationError, TrainingError
from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.run import evaluate
from fourview.evaluate.table import read_predictions, write_predictions
from fourview.json_file import read_json_object
from fourview.manifest.manifest import manifest_hash
from fourview.manifest.split import assign_fold
from fourview.run_files import CROSSVAL, PREDICTIONS, RECIPE, SPLIT
from fourview.store.store import Store
from fourview.study.chain import NOTHING, Before, train_chain
from fourview.train.loop import Machine, Progress
from fourview.train.processes import join_processes
from fourview.train.recipe import Recipe, recipe_from_json
from fourview.train.run import TEST


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldMetric:
    """One metric over the folds.

    Attributes:
        protocol: Protocol by which it was measured, on each fold's test part alone.
        name: Name of the metric.
        values: Its values by fold; None where undefined.
    """

    protocol: str
    name: str
    values: tuple[float | None, ...]

    @property
    def known(self) -> tuple[float, ...]:
        """The folds where it is defined."""
        return tuple(value for value in self.values if value is not None)

    @property
    def mean(self) -> float | None:
        """Mean over the folds where it is defined; None where it is in none."""
        return float(np.mean(self.known)) if self.known else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the folds (n - 1); None for fewer than two."""
        return float(np.std(self.known, ddof=1)) if len(self.known) > 1 else None


def cross_validate(  # noqa: PLR0913 - what a chain takes, and the folds
    recipe: Recipe,
    manifest: Manifest,
    store: Store,
    out: Path | str,
    *,
    num_folds: int = 5,
    fold_seed: int = 0,
    protocols: Sequence[str],
    machine: Machine | None = None,
    cache_bytes: int = 0,
    progress: Progress | None = None,
    before: Before = NOTHING,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[FoldMetric, ...]:
    """Train and measure every fold; folds that are done already are only measured.

    Args:
        recipe: Recipe to train; its ``split.validation`` is the share of the patients outside the
            fold that choose the checkpoint.
        manifest: Manifest of the patients; its splits are not looked at.
        store: Pixels.
        out: Folder of all runs.
        num_folds: Parts of the patients, at least 2.
        fold_seed: Seed of the folds, not of the runs: all recipes of a comparison share the folds.
        protocols: Protocols by which the folds are measured.
        machine: What belongs to the machine.
        cache_bytes: Memory for pixels, as ``train`` takes it.
        progress: Called as that of ``train``, with the fold's number.
        before: Runs that are there already, as ``train_chain`` takes them.
        say: Called as that of ``train``, with the fold's number.

    Raises:
        EvaluationError: A protocol is unknown.
        ManifestError: There are fewer patients than folds.
        TrainingError: A fold cannot be trained, or its folder holds another run.
    """
    for name in protocols:
        find_protocol(name)
    out = Path(out)
    processes = join_processes((machine or Machine()).device, precision=recipe.precision)
    tables: list[pl.DataFrame] = []
    by_metric: dict[tuple[str, str], list[float | None]] = {}
    for fold in range(num_folds):
        part = assign_fold(manifest, fold, num_folds, fold_seed)
        run = out / f"fold-{fold}"
        if processes.of_first((run / PREDICTIONS).exists()):
            _require_same(run, recipe, part)
        else:
            train_chain(
                recipe,
                part,
                store,
                run,
                resume=True,
                machine=machine or Machine(),
                cache_bytes=cache_bytes,
                progress=_of_fold(progress, fold, num_folds),
                before=before,
                say=partial(_of_fold_said, say, fold, num_folds),
            )
        tables.append(_test_part(run / PREDICTIONS, part))
        for key, value in _measured(tables[-1], part, protocols).items():
            by_metric.setdefault(key, [None] * fold).append(value)
    metrics = tuple(
        FoldMetric(protocol=protocol, name=name, values=tuple(values))
        for (protocol, name), values in by_metric.items()
    )
    if processes.writes:
        _write(out, recipe, manifest, tables, metrics, fold_seed)
    return metrics


def _require_same(run: Path, recipe: Recipe, part: Manifest) -> None:
    """Refuse a finished fold of another recipe, or of other patients.

    Raises:
        TrainingError: It would be measured in place of what was asked for.
    """
    kept = json.loads(recipe_from_json((run / RECIPE).read_text(encoding="utf-8")).to_json())
    asked = json.loads(recipe.to_json())
    differ = sorted(key for key in asked | kept if asked.get(key) != kept.get(key))
    if differ:
        raise TrainingError(
            f"{run}: is done, by a recipe with another {', '.join(differ)}; name a new folder"
        )
    tested = set(part.exams.filter(pl.col("split") == TEST)["patient_id"])
    if set(read_json_object(run / SPLIT)[TEST]) != tested:
        raise TrainingError(
            f"{run}: is done, with other patients in its test part; name a new folder, or the"
            " manifest, --folds and --fold-seed that it was made with"
        )


def _of_fold(progress: Progress | None, fold: int, num_folds: int) -> Progress | None:
    if progress is None:
        return None
    return lambda what, done, of: progress(f"fold {fold + 1} of {num_folds}, {what}", done, of)


def _of_fold_said(say: Callable[[str], None], fold: int, num_folds: int, line: str) -> None:
    say(f"fold {fold + 1} of {num_folds}, {line}")


def _test_part(path: Path, manifest: Manifest) -> pl.DataFrame:
    exams = manifest.exams.filter(pl.col("split") == TEST).select("exam_id")
    table = read_predictions(path)[0].join(exams, on="exam_id", how="semi")
    if table.is_empty():
        raise EvaluationError(f"{path}: has no score of this fold; it is of other folds")
    return table


def _measured(
    table: pl.DataFrame, manifest: Manifest, protocols: Sequence[str]
) -> dict[tuple[str, str], float | None]:
    """Every metric of a fold, without intervals: the folds are the spread."""
    return {
        (name, metric.name): metric.value
        for name in protocols
        for metric in evaluate(
            table,
            manifest,
            replace(find_protocol(name), split=TEST),
            replicates=0,
            groups=(),
        ).metrics
    }


def _write(
    out: Path,
    recipe: Recipe,
    manifest: Manifest,
    tables: Sequence[pl.DataFrame],
    metrics: Sequence[FoldMetric],
    fold_seed: int,
) -> None:
    about: Mapping[str, str] = {
        "recipe": f"{recipe.name}, {len(tables)} folds",
        "folds": str(len(tables)),
        "manifest_hash": manifest_hash(manifest),
        "terms": manifest.terms,
    }
    write_predictions(pl.concat(tables), out / PREDICTIONS, about)
    rows = [
        {
            "protocol": m.protocol,
            "metric": m.name,
            "mean": m.mean,
            "deviation": m.deviation,
            "folds": list(m.values),
        }
        for m in metrics
    ]
    text = json.dumps({**about, "fold_seed": fold_seed, "metrics": rows}, indent=2)
    write_text(out / CROSSVAL, text + "\n")
