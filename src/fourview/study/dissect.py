"""What the runs of one recipe use: one thing taken away at a time, with paired intervals."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from fourview.entities import Manifest, Metric
from fourview.errors import CheckpointError
from fourview.evaluate.metrics import label_of
from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.resample import REPLICATES
from fourview.evaluate.several_runs import WayResult, measure_runs
from fourview.evaluate.units import gather_units
from fourview.predict.dissect import AS_IT_IS, Dissected, dissect
from fourview.predict.engine import PLAIN, Engine
from fourview.predict.network import Network, load_network
from fourview.report.study_page import between
from fourview.store.store import Store
from fourview.study.seen import divided_as, trained_patients

PROTOCOL, METRIC = "screening-breast-v1", "auroc"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenAway:
    """One line of the table.

    Attributes:
        name: Of the switch; ``as it is`` for none.
        does: What is read in place of what was taken away.
        missing: Why the network has no such thing; empty where it has.
        metric: With its interval; None where missing.
        less: This less ``as it is``, paired; None where missing, and for ``as it is`` itself.
        per_run: The metric of each run.
    """

    name: str
    does: str
    missing: str = ""
    metric: Metric | None = None
    less: Metric | None = None
    per_run: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DissectedRuns:
    """The table of one recipe's runs.

    Attributes:
        recipe: FAMILY:RECIPE.
        runs: As they were named.
        protocol: By which it is measured.
        metric: Which of the protocol's.
        split: The part that was read; None for all.
        num_units: How many were measured, and
        num_positive: how many of them have the label.
        interval: How the intervals were made, in words.
        rows: ``as it is`` first.
        notes: What a reader of the table must know.
    """

    recipe: str
    runs: tuple[str, ...]
    protocol: str
    metric: str
    split: str | None
    num_units: int
    num_positive: int
    interval: str
    rows: tuple[TakenAway, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain containers."""
        return asdict(self)

    def as_table(self) -> pl.DataFrame:
        """A row for each line."""
        lines = [
            {
                "switch": row.name,
                **_numbers("", row.metric),
                **_numbers("less_", row.less),
                "per_run": " ".join(f"{value:.4f}" for value in row.per_run),
                "missing": row.missing,
                "does": row.does,
            }
            for row in self.rows
        ]
        return pl.DataFrame(lines, infer_schema_length=None)


def dissect_runs(  # noqa: PLR0913 - what is read, and how it is measured
    runs: Sequence[Path],
    manifest: Manifest,
    store: Store,
    *,
    protocol: str = PROTOCOL,
    metric: str = METRIC,
    split: str | None = None,
    batch_size: int = 16,
    replicates: int = REPLICATES,
    engine: Engine = PLAIN,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> DissectedRuns:
    """Read a data set with every run as it is, and with one thing taken away at a time.

    Args:
        runs: Of one recipe: run folders or checkpoints; seeds of it where there are several.
        manifest: Whose exams; where it has no split, each run's own is meant by ``split``.
        store: Their pixels.
        protocol: What is measured, and by which unit.
        metric: One of the protocol's.
        split: Only this part; None for all of the manifest.
        batch_size: Exams at a time; strangers are sought among them.
        replicates: Of the bootstrap.
        engine: How it is computed.
        progress: Called with what is read, exams done and exams in all.

    Returns:
        Means over the runs. Intervals are of patients, and of runs too where there are several.

    Raises:
        CheckpointError: A run cannot be read or taken apart, or is of another recipe.
    """
    rules = find_protocol(protocol)
    networks = [load_network(run, engine=engine) for run in runs]
    _require_one_recipe(runs, networks)
    read = [
        _read(
            run, network, manifest, store, split, batch_size, f"{run.name} of {len(runs)}", progress
        )
        for run, network in zip(runs, networks, strict=True)
    ]
    dissected = [one for one, _ in read]
    ways = {way: [one.tables[way] for one in dissected] for way in dissected[0].tables}
    first = divided_as(runs[0], manifest)
    measured = {
        result.way: result
        for result in measure_runs(
            ways,
            first,
            protocol,
            metric,
            reference=AS_IT_IS,
            replicates=replicates,
            split=split,
            draw_runs=len(runs) > 1,
        )
    }
    units = gather_units(ways[AS_IT_IS][0], first, rules, split)
    return DissectedRuns(
        recipe=networks[0].card.recipe,
        runs=tuple(str(run) for run in runs),
        protocol=rules.name,
        metric=metric,
        split=split,
        num_units=len(units.frame),
        num_positive=int(units.positive.sum()) if rules.is_binary else 0,
        interval=_interval(len(runs), replicates, rules.cluster),
        rows=_rows(dissected[0], measured),
        notes=tuple(dict.fromkeys(note for _, notes in read for note in notes)),
    )


def _read(
    run: Path,
    network: Network,
    manifest: Manifest,
    store: Store,
    split: str | None,
    batch_size: int,
    name: str,
    progress: Callable[[str, int, int], None],
) -> tuple[Dissected, list[str]]:
    """What one run says, and what must be known of it."""
    tables = divided_as(run, manifest)
    one = dissect(
        network,
        tables,
        store,
        splits=None if split is None else [split],
        batch_size=batch_size,
        progress=partial(progress, name),
    )
    return one, _notes(run, tables, one, split)


def _rows(dissected: Dissected, measured: dict[str, WayResult]) -> tuple[TakenAway, ...]:
    rows = [TakenAway(name=AS_IT_IS, does="nothing is taken away")]
    rows += [TakenAway(name=s.name, does=s.does, missing=s.missing) for s in dissected.switches]
    return tuple(
        TakenAway(
            name=row.name,
            does=row.does,
            missing=row.missing,
            metric=result.metric,
            less=result.gap,
            per_run=result.per_run,
        )
        if (result := measured.get(row.name)) is not None
        else row
        for row in rows
    )


def _require_one_recipe(runs: Sequence[Path], networks: Sequence[Network]) -> None:
    first = networks[0].card
    for run, network in zip(runs, networks, strict=True):
        if network.card.config != first.config:
            raise CheckpointError(
                f"{run}: a network of {network.card.recipe} with other settings than "
                f"{first.recipe} of {runs[0]}; name runs of one recipe, which differ by their seed"
            )


def _notes(run: Path, manifest: Manifest, dissected: Dissected, split: str | None) -> list[str]:
    notes = []
    if dissected.without_stranger:
        notes.append(
            f"{dissected.without_stranger:,} of {dissected.images:,} images had no other patient's "
            "image of their view in their batch and were read with their own; a larger --batch "
            "brings more patients together"
        )
    exams = manifest.exams
    read = exams if split is None else exams.filter(pl.col("split") == split)
    patients = set(read["patient_id"])
    seen = patients & (trained_patients(run, manifest) or frozenset())
    if seen:
        notes.append(
            f"{run.name} was trained on {len(seen):,} of the {len(patients):,} patients that were "
            "read; --split test reads others"
        )
    return notes


def _interval(num_runs: int, replicates: int, cluster: str) -> str:
    what = cluster if num_runs == 1 else f"{cluster} and run"
    return f"95 %, {replicates:,} replicates drawn by {what}, the same for all lines"


def _numbers(name: str, metric: Metric | None) -> dict[str, float | None]:
    ends = ("value", "low", "high")
    return {f"{name}{end}": None if metric is None else getattr(metric, end) for end in ends}


def lines_of(table: DissectedRuns) -> list[str]:
    """The table as lines of text."""
    width = max(len(row.name) for row in table.rows)
    lines = [f"  {'':{width}}  {label_of(table.metric):24}  less as it is"]
    for row in table.rows:
        if row.metric is None:
            lines.append(f"  {row.name:{width}}  -  {row.missing}")
            continue
        less = "" if row.less is None else between(row.less, "+.3f")
        lines.append(f"  {row.name:{width}}  {between(row.metric, '.3f'):24}  {less}".rstrip())
    return lines
