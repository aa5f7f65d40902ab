"""``evaluate``: predictions, a manifest and a protocol in; a result with its protocol out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from jaxtyping import Float

from fourview.entities import Manifest, Metric, Result
from fourview.errors import EvaluationError
from fourview.evaluate.curves import curves_of, miss_curve
from fourview.evaluate.groups import DEFAULT_GROUPS, group_results
from fourview.evaluate.interval import interval
from fourview.evaluate.marks import marks_and_columns
from fourview.evaluate.measure import ARGMAX, Columns
from fourview.evaluate.metrics import columns_of, metric_record, with_thresholds
from fourview.evaluate.operating import choose_threshold
from fourview.evaluate.protocols import Protocol, find_protocol
from fourview.evaluate.published import published_numbers
from fourview.evaluate.resample import REPLICATES, Resampling
from fourview.evaluate.table import completed
from fourview.evaluate.units import Units, gather_units
from fourview.evaluate.worst import histograms_of, worst_errors
from fourview.fingerprint import digest_of_parts, short
from fourview.manifest.manifest import manifest_hash

METAREPO_MINIMUM = 8  # units below which the meta-repository prints no figure
OF_PROTOCOL = "of the protocol"  # the split to measure
NOT_HELD_OUT = "measured without a split"  # how a note begins that comes before all others
SEEN = "trained_on_patients"  # of the facts of a predictions file: how many were trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """How intervals are made: what is not the protocol's business.

    Attributes:
        replicates: Of the bootstrap; 0 gives no intervals.
        seed: Of the bootstrap, 0 or more.
        workers: Threads; the numbers do not depend on it.
    """

    replicates: int
    seed: int
    workers: int

    def __post_init__(self) -> None:
        if self.replicates < 0 or self.seed < 0 or self.workers < 1:
            raise EvaluationError(
                f"replicates {self.replicates}, seed {self.seed}, workers {self.workers}: need 0 or"
                " more replicates, a seed of 0 or more and at least 1 worker"
            )


def evaluate(
    predictions: pl.DataFrame,
    manifest: Manifest,
    protocol: str | Protocol,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    workers: int = 1,
    thresholds: Mapping[str, float] | None = None,
    split: str | None = OF_PROTOCOL,
    groups: Sequence[str] = DEFAULT_GROUPS,
) -> Result:
    """Measure a predictions table.

    Args:
        predictions: As ``read_predictions`` gives it; only the ids of the protocol's unit,
            ``class`` and ``score`` are needed.
        manifest: The data set's tables; labels come from here.
        protocol: A name out of ``PROTOCOLS``, or one of your own.
        replicates: Of the bootstrap; 0 gives no intervals.
        seed: Of the bootstrap.
        workers: Threads; the numbers do not depend on it.
        thresholds: Operating points by name, chosen on another table.
        split: Measure this split instead of the protocol's; None for all of the manifest.
        groups: Manifest columns to make subgroups by; unknown ones of the default are skipped.

    Raises:
        EvaluationError: An unknown protocol, or a table that gives no number; the message names the
            rows. What is undefined for a good table (one class only, say) is a metric without a
            value and with a note instead.
    """
    rules = find_protocol(protocol) if isinstance(protocol, str) else protocol
    draws = Draws(replicates=replicates, seed=seed, workers=workers)
    table = completed(predictions)
    measured_split = rules.split if split == OF_PROTOCOL else split
    units = gather_units(table, manifest, rules, measured_split)
    resampling = resampling_of(units, rules, draws)
    at = {"": ARGMAX} if rules.threshold == "argmax" else dict(thresholds or {})
    columns = columns_of(units, rules, at, resampling)
    of_marks, froc, froc_notes = marks_and_columns(table, manifest, units, rules, at, resampling)
    columns |= of_marks
    drawn, group_notes = group_results(units, manifest, rules, groups, resampling)
    return Result(
        protocol=rules.name,
        unit=rules.unit,
        num_units=len(units.frame),
        num_positive=int(units.positive.sum()) if rules.is_binary else 0,
        metrics=metrics_of(columns, units, rules, at),
        interval=_interval_words(rules, draws),
        provenance=_provenance(units, manifest, rules, measured_split),
        notes=(
            *_not_held_out(manifest, rules, measured_split),
            *_notes(units, rules),
            *units.notes,
            *froc_notes,
            *group_notes,
        ),
        curves=(
            *curves_of(units, rules),
            *miss_curve(units, rules, resampling),
            *froc,
            *histograms_of(units, rules),
        ),
        groups=drawn,
        published=published_numbers(rules.name),
        thresholds={k: v for k, v in at.items() if k},
        chosen=_chosen(units, rules),
        unmatched=units.unmatched,
        worst=worst_errors(units, rules),
    )


def with_file_facts(result: Result, metadata: Mapping[str, str]) -> Result:
    """Add what a predictions file says of itself; note it if it names another manifest."""
    facts = {k: v for k, v in metadata.items() if k not in result.provenance}
    made_from = metadata.get("manifest_hash", "")
    notes = result.notes
    if notes and notes[0].startswith(NOT_HELD_OUT) and metadata.get(SEEN):
        notes = (f"{NOT_HELD_OUT}: the model was trained on {metadata[SEEN]}", *notes[1:])
    if made_from and made_from != result.provenance["manifest_hash"]:
        notes = (*notes, "the predictions were made from another manifest than this one")
    return replace(result, provenance={**facts, **result.provenance}, notes=notes)


def resampling_of(units: Units, protocol: Protocol, draws: Draws) -> Resampling:
    """How this protocol draws replicates of these units."""
    cluster = units.cluster_numbers(protocol.cluster)
    num_clusters = int(cluster.max()) + 1 if len(cluster) else 0
    few = protocol.stream == "metarepo" and len(cluster) < METAREPO_MINIMUM
    return Resampling(
        cluster=cluster,
        num_clusters=num_clusters,
        replicates=0 if few or num_clusters == 0 else draws.replicates,
        seed=draws.seed,
        workers=draws.workers,
        stream=protocol.stream,
    )


def metrics_of(
    columns: Columns,
    units: Units,
    protocol: Protocol,
    at: Mapping[str, float],
) -> tuple[Metric, ...]:
    """The protocol's metrics in its order, each with its interval or with why it has no value."""
    names = with_thresholds(protocol.metrics, protocol, at)
    return tuple(
        metric_of(name, columns[name], protocol, units)
        if name in columns
        else Metric(name=name, value=None, note=_why_absent(name, units, at))
        for name in names
    )


def metric_of(
    name: str,
    column: Float[np.ndarray, " row"],
    protocol: Protocol,
    units: Units,
) -> Metric:
    """A column of values as a metric with its interval."""
    if not np.isfinite(column[0]):
        return Metric(name=name, value=None, note=_why_undefined(units, protocol))
    replicates = column[1:]
    ends, note = interval(replicates, protocol.interval), ""
    if ends.num_used < len(replicates):
        note = f"undefined in {len(replicates) - ends.num_used:,} of {len(replicates):,} replicates"
    use_mean = protocol.center == "mean" and ends.num_used
    value = np.nanmean(replicates) if use_mean else column[0]
    return Metric(name=name, value=float(value), low=ends.low, high=ends.high, note=note)


def _why_undefined(units: Units, protocol: Protocol) -> str:
    if not protocol.is_binary:
        sizes = np.bincount(units.labels, minlength=units.num_classes)
        absent = [c for c, size in zip(protocol.classes, sizes, strict=True) if size == 0]
        return f"no unit of class {', '.join(absent)}" if absent else "a share of nothing"
    if not units.positive.any():
        return "no positive unit"
    return "a share of nothing" if not units.positive.all() else "no negative unit"


def _why_absent(name: str, units: Units, at: Mapping[str, float]) -> str:
    if len(units.frame) == 0:
        return "no unit with a known label"
    record = metric_record(name)
    if record is not None and record.needs == "probabilities":
        return "scores are outside [0, 1]"
    if record is not None and record.needs == "threshold" and not at:
        return "no threshold: give one that was chosen on another table"
    return "no boxes to compare"


def _interval_words(protocol: Protocol, draws: Draws) -> str:
    if draws.replicates == 0:
        return "none"
    return (
        f"bootstrap by {protocol.cluster}, {draws.replicates:,} replicates,"
        f" {protocol.interval} 95 %, seed {draws.seed}"
    )


def _provenance(
    units: Units,
    manifest: Manifest,
    protocol: Protocol,
    split: str | None,
) -> dict[str, str]:
    scores = [c for c in units.frame.columns if c.startswith("score")]
    digest = digest_of_parts(np.sort(units.frame[name].to_numpy()).tobytes() for name in scores)
    return {
        "protocol": protocol.fingerprint,
        "split": split or "all",
        "data": manifest.source,
        "data_terms": manifest.terms,
        "manifest_hash": manifest_hash(manifest),
        "scores_digest": short(digest),
    }


def _not_held_out(manifest: Manifest, protocol: Protocol, split: str | None) -> tuple[str, ...]:
    """A note where nothing says which patients the model was not trained on; it comes first."""
    if protocol.split is None:  # for data that are a test as a whole
        return ()
    if manifest.exams["split"].is_null().all():
        why = "the manifest has no split"
    elif split is None:
        why = "all parts were asked for"
    else:
        return ()
    patients = manifest.exams["patient_id"].n_unique()
    return (
        f"{NOT_HELD_OUT}: {why}, so all {patients:,} patients are measured; right only for a model "
        "that was trained on none of them (fourview index --split keeps some apart)",
    )


def _notes(units: Units, protocol: Protocol) -> tuple[str, ...]:
    notes = []
    if any(r is not None and r.reads_own_point for r in map(metric_record, protocol.metrics)):
        notes.append(
            "specificities and true-negative rates at a given sensitivity or miss rate read their"
            " threshold off this very table, as the protocol says"
        )
    if protocol.stream == "metarepo" and len(units.frame) < METAREPO_MINIMUM:
        notes.append(f"no intervals below {METAREPO_MINIMUM} units, as in the meta-repository")
    if protocol.cluster in ("image", "breast"):
        notes.append(
            f"replicates are of {protocol.cluster}s, as the protocol says: images of one woman are"
            " taken as independent, so intervals are too narrow"
        )
    if not protocol.is_binary:
        sizes = np.bincount(units.labels, minlength=units.num_classes)
        by_class = ", ".join(f"{c} {n:,}" for c, n in zip(protocol.classes, sizes, strict=True))
        notes.append(f"units by class: {by_class}")
    return tuple(notes)


def _chosen(units: Units, protocol: Protocol) -> dict[str, float]:
    if not protocol.is_binary or len(units.frame) == 0:
        return {}
    cuts = {
        rule: choose_threshold(units.scores, units.positive, rule)
        for rule in protocol.operating_points
    }
    return {rule: cut for rule, cut in cuts.items() if cut is not None}
