"""Predictions meet labels: one row per unit, and a list of every row that met nothing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int

from fourview.entities import Manifest
from fourview.errors import EvaluationError
from fourview.evaluate.image_names import with_image_ids
from fourview.evaluate.labels import STANDARD_VIEWS, labelled_units
from fourview.evaluate.protocol import Cluster, Protocol
from fourview.evaluate.table import OF_UNIT, ROWS_OF, check_rows, completed, name_rows
from fourview.manifest.rules import SPLITS
from fourview.suggest import did_you_mean

_IDS = ("patient_id", "exam_id", "side", "image_id", "finding_id")
_CLUSTER_KEYS: dict[Cluster, tuple[str, ...]] = {
    "image": ("image_id",),
    "breast": ("exam_id", "side"),
    "exam": ("exam_id",),
    "patient": ("patient_id",),
    "finding": ("finding_id",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What is measured: scored, labelled units.

    Attributes:
        frame: Ids, view, ``label`` and ``score`` (or ``score_0``, ``score_1``, ... by class).
        num_classes: 2 for a yes-or-no question.
        unmatched: Rows left out, with ``found_in`` (predictions, manifest) and ``reason``.
        notes: The same in sentences, with counts.
    """

    frame: pl.DataFrame
    num_classes: int
    unmatched: pl.DataFrame
    notes: tuple[str, ...]

    @property
    def scores(self) -> Float[np.ndarray, " unit"]:
        """The scores of a yes-or-no question."""
        return np.asarray(self.frame["score"].to_numpy())

    @property
    def class_scores(self) -> Float[np.ndarray, "unit class"]:
        """The scores of several classes."""
        names = [f"score_{c}" for c in range(self.num_classes)]
        return np.asarray(self.frame.select(names).to_numpy())

    @property
    def labels(self) -> Int[np.ndarray, " unit"]:
        """Class numbers; 1 is positive."""
        return np.asarray(self.frame["label"].to_numpy())

    @property
    def positive(self) -> Bool[np.ndarray, " unit"]:
        """Whether the label is 1."""
        return np.asarray(self.labels == 1)

    def cluster_numbers(self, cluster: Cluster) -> Int[np.ndarray, " unit"]:
        """Numbers of the clusters, in the order of the frame."""
        return cluster_numbers(self.frame, cluster)


def cluster_keys(cluster: Cluster) -> tuple[str, ...]:
    """The ids that name what a replicate draws."""
    return _CLUSTER_KEYS[cluster]


def cluster_numbers(frame: pl.DataFrame, cluster: Cluster) -> Int[np.ndarray, " unit"]:
    """Number clusters 0, 1, ... by first appearance in the frame.

    Raises:
        EvaluationError: A row has no id of the cluster.
    """
    keys = cluster_keys(cluster)
    absent = frame.filter(pl.any_horizontal(pl.col(k).is_null() for k in keys))
    if len(absent):
        raise EvaluationError(
            f"manifest: {len(absent):,} units have no {' or '.join(keys)}:"
            f" {name_rows(absent, _IDS)}; resampling by {cluster} needs it"
        )
    groups = frame.select(keys).unique(maintain_order=True).with_row_index("number")
    joined = frame.select(keys).join(groups, on=list(keys), how="left", maintain_order="left")
    return np.asarray(joined["number"].to_numpy(), dtype=np.int32)


def gather_units(
    predictions: pl.DataFrame, manifest: Manifest, protocol: Protocol, split: str | None
) -> Units:
    """Match a predictions table with a manifest by a protocol.

    Args:
        predictions: As ``read_predictions`` gives it.
        manifest: The data set's tables.
        protocol: Says unit, classes, label rule and aggregation.
        split: Only exams of this split, where the manifest has it; None for all.

    Raises:
        EvaluationError: A row of the table is bad or contradicts the manifest, the table has no
            row of the protocol's unit and class, or none that the manifest knows.
    """
    table, named = with_image_ids(completed(predictions), manifest)
    check_rows(table)
    labelled, notes = labelled_units(manifest, protocol.unit, protocol.label, protocol.keep)
    inside, outside, note = _of_split(labelled, manifest, split)
    notes = (*notes, *note, *named)
    rows = _rows_of_unit(table, manifest, protocol)
    scored = _one_row_per_unit(rows, protocol)
    keys = list(OF_UNIT[protocol.unit])
    frame = scored.join(inside, on=keys, how="inner", suffix="_known", maintain_order="left")
    unmatched = _unmatched(scored, inside, outside, keys)
    if len(frame) == 0:
        _refuse_strangers(scored, inside, keys, protocol, split)
    _refuse_contradictions(frame)
    _refuse_other_labels(frame)
    unknown = frame.filter(pl.col("label").is_null())
    unmatched = pl.concat([unmatched, _because(unknown, "manifest", "its label is unknown")])
    names = [c for c in frame.columns if c.startswith("score")]
    frame = frame.filter(pl.col("label").is_not_null()).with_columns(
        pl.coalesce(f"{k}_known", k).alias(k) for k in _IDS if f"{k}_known" in frame.columns
    )
    frame = _ordered(frame.select(*_IDS, "view", "line", "label", *names), protocol, manifest)
    num_classes = 2 if protocol.is_binary else len(protocol.classes)
    return Units(
        frame=frame.drop("line"),
        num_classes=num_classes,
        unmatched=unmatched,
        notes=(*notes, *_count_notes(unmatched)),
    )


def _of_split(
    labelled: pl.DataFrame, manifest: Manifest, split: str | None
) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    """Units inside and outside of the split; all are inside where the manifest has no splits."""
    if split is None:
        return labelled, labelled.clear(), ()
    if manifest.exams["split"].is_null().all():
        return labelled, labelled.clear(), ()  # ``evaluate.run`` says so, before all else
    here = pl.col("split").eq(split).fill_null(False)
    return labelled.filter(here), labelled.filter(~here), ()


def _rows_of_unit(table: pl.DataFrame, manifest: Manifest, protocol: Protocol) -> pl.DataFrame:
    """Rows of the protocol's unit and classes, else the images from which breasts are made."""
    rows = table.with_row_index("line").filter(pl.col("class").is_in(protocol.classes))
    own = rows.filter(pl.col("unit") == ROWS_OF.get(protocol.unit, protocol.unit))
    if protocol.unit == "finding_image":
        own = own.filter(pl.col("image_id").is_not_null())
    from_images = rows.filter(pl.col("unit") == "image")
    if protocol.aggregate == "highest" and len(from_images):
        own = own.clear()  # a breast's own score is the mean of its views in most families
    if len(own) and "row" in own.columns and protocol.unit == "breast":
        return _exam_of_position(own, manifest)
    if len(own) or protocol.unit != "breast":
        usable = own
    else:
        usable = breasts_from_images(from_images, manifest, protocol)
    if len(usable) == 0:
        kinds = table.select("unit", "class").unique(maintain_order=True)
        have = ", ".join(f"{k['unit']}/{k['class']}" for k in kinds.head(8).iter_rows(named=True))
        raise EvaluationError(
            f"{protocol.name}: the table has no usable row of unit {protocol.unit} and class"
            f" {' or '.join(protocol.classes)}; it has {have or 'no rows'}"
        )
    return usable


def _exam_of_position(rows: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    """Give rows without an exam the exam at their position in the manifest."""
    if rows["exam_id"].is_not_null().all():
        return rows
    num_rows = int(rows["row"].max()) + 1  # type: ignore[arg-type] # not empty
    if num_rows != len(manifest.exams):
        raise EvaluationError(
            f"predictions: {num_rows} rows name no exam, and the manifest has"
            f" {len(manifest.exams)} exams; add a column 'exam_id'"
        )
    order = manifest.exams
    if "list_position" in order.columns:
        order = order.sort("list_position")
    names = order.select("exam_id").with_row_index("row")
    return rows.drop("exam_id").join(names, on="row", how="left", maintain_order="left")


def breasts_from_images(rows: pl.DataFrame, manifest: Manifest, protocol: Protocol) -> pl.DataFrame:
    """A breast's score from those of its images, by the protocol's rule."""
    known = manifest.images.filter(pl.col("left_out").is_null()).select(
        "image_id", "view", patient_known="patient_id", exam_known="exam_id", side_known="side"
    )
    rows = rows.join(known, on="image_id", how="left", maintain_order="left").with_columns(
        patient_id=pl.coalesce("patient_known", "patient_id"),
        exam_id=pl.coalesce("exam_known", "exam_id"),
        side=pl.coalesce("side_known", "side"),
    )
    rows = rows.filter(pl.col("exam_known").is_not_null() & pl.col("side").is_not_null())
    breast = ["patient_id", "exam_id", "side", "class"]
    means: list[Any] = [pl.col("score").mean(), pl.col("line").min()]
    if protocol.aggregate == "highest":
        scores = rows.group_by(breast, maintain_order=True).agg(pl.col("score").max(), means[1])
    elif protocol.aggregate == "images":
        scores = rows.group_by(breast, maintain_order=True).agg(means)
    else:
        rows = rows.filter(pl.col("view").is_in(STANDARD_VIEWS))
        first = protocol.aggregate == "first_of_view"
        of_view = [pl.col("score").first() if first else means[0], means[1]]
        views = rows.group_by([*breast, "view"], maintain_order=True).agg(of_view)
        scores = views.group_by(breast, maintain_order=True).agg(means)
    return scores.with_columns(
        unit=pl.lit("breast"),
        image_id=pl.lit(None, pl.String),
        finding_id=pl.lit(None, pl.String),
    )


def _one_row_per_unit(rows: pl.DataFrame, protocol: Protocol) -> pl.DataFrame:
    """Wide by class; ``combine`` applied; findings averaged over their images."""
    keys = list(OF_UNIT[protocol.unit])
    extra = ["label"] if "label" in rows.columns else []
    rest = [c for c in (*_IDS, *extra) if c not in keys]
    first = [pl.col(c).first() for c in rest] + [pl.col("line").min()]
    columns = [
        pl.col("score").filter(pl.col("class") == name).mean().alias(f"score_{i}")
        for i, name in enumerate(protocol.classes)
    ]
    if len(protocol.classes) == 1 and protocol.unit != "finding":  # unique already
        wide = rows.select(*keys, *rest, "line", score_0="score")
    else:
        wide = rows.group_by(keys, maintain_order=True).agg(*first, *columns)
    names = [f"score_{i}" for i in range(len(protocol.classes))]
    partly = wide.filter(pl.any_horizontal(pl.col(n).is_null() for n in names))
    if len(partly):
        raise EvaluationError(
            f"predictions: {len(partly):,} units lack a score of one of the classes"
            f" {', '.join(protocol.classes)}: {name_rows(partly, keys)}; add the rows"
        )
    if protocol.is_binary:
        wide = wide.with_columns(score=_combined(protocol, names)).drop(names)
    return wide.rename({"label": "label_given"}) if extra else wide


def _combined(protocol: Protocol, names: list[str]) -> pl.Expr:
    """One score of a unit from those of its classes."""
    if protocol.combine != "either":
        return pl.max_horizontal(names)
    none = pl.lit(1.0)
    for name in names:
        none = none * (1 - pl.col(name))
    return 1 - none


def _unmatched(
    scored: pl.DataFrame, inside: pl.DataFrame, outside: pl.DataFrame, keys: list[str]
) -> pl.DataFrame:
    strangers = scored.join(inside, on=keys, how="anti")
    elsewhere = strangers.join(outside, on=keys, how="semi")
    strangers = strangers.join(outside, on=keys, how="anti")
    missing = inside.filter("expected").join(scored, on=keys, how="anti")
    return pl.concat(
        [
            _because(strangers, "predictions", "not in the manifest, or left out by the protocol"),
            _because(elsewhere, "predictions", "in another split"),
            _because(missing, "manifest", "has no prediction"),
        ]
    )


def _because(rows: pl.DataFrame, found_in: str, reason: str) -> pl.DataFrame:
    return rows.select(*_IDS).with_columns(found_in=pl.lit(found_in), reason=pl.lit(reason))


def _count_notes(unmatched: pl.DataFrame) -> tuple[str, ...]:
    groups = unmatched.group_by("found_in", "reason", maintain_order=True)
    return tuple(
        f"{len(rows):,} of the {found_in} left out: {reason} ({name_rows(rows, _IDS)})"
        for (found_in, reason), rows in groups
    )


def _refuse_strangers(
    scored: pl.DataFrame,
    inside: pl.DataFrame,
    keys: list[str],
    protocol: Protocol,
    split: str | None,
) -> None:
    if len(inside) == 0:
        near = did_you_mean(str(split), SPLITS)
        raise EvaluationError(
            f"{protocol.name}: the manifest has no {protocol.unit} of split '{split}';"
            f" {near}index with splits or name another one"
        )
    raise EvaluationError(
        f"predictions: none of {len(scored):,} units is in the manifest; the table has"
        f" {name_rows(scored.head(2), keys)}, the manifest {name_rows(inside.head(2), keys)};"
        " use the manifest that was predicted from"
    )


def _refuse_contradictions(frame: pl.DataFrame) -> None:
    for key in ("patient_id", "exam_id", "side"):
        if f"{key}_known" in frame.columns:
            wrong = frame.filter(pl.col(key) != pl.col(f"{key}_known"))
            if len(wrong):
                raise EvaluationError(
                    f"predictions: {len(wrong):,} rows name another {key} than the manifest:"
                    f" {name_rows(wrong, [*_IDS, f'{key}_known'])}; the ids are of another data set"
                )


def _refuse_other_labels(frame: pl.DataFrame) -> None:
    if "label_given" not in frame.columns:
        return
    wrong = frame.filter(pl.col("label_given") != pl.col("label"))
    if len(wrong):
        raise EvaluationError(
            f"predictions: {len(wrong):,} rows bring another label than the manifest:"
            f" {name_rows(wrong, [*_IDS, 'label_given', 'label'])}; the labels are of another set"
        )


def _ordered(frame: pl.DataFrame, protocol: Protocol, manifest: Manifest) -> pl.DataFrame:
    """Sorted by ids, so that the order of rows never matters; the meta-repository's is its own.

    Its images are in the order of the predictions' rows, its breasts in that of the exam list: its
    replicates draw positions, so another order would give other intervals.
    """
    if protocol.stream != "metarepo":
        return frame.sort(*_IDS)
    if protocol.unit == "image":
        return frame.sort("line")
    place = manifest.exams.with_row_index("place")
    if "list_position" in place.columns:
        place = place.with_columns(place="list_position")
    return (
        frame.join(place.select("exam_id", "place"), on="exam_id", how="left")
        .sort("side", "place")  # L before R, exams in the order of their list
        .drop("place")
    )
