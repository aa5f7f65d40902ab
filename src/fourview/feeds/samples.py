"""Which images of a manifest make one sample of training or reading, and what is known of it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from fourview.entities import SIDES, SLOTS, Manifest
from fourview.entities.labels import with_labels
from fourview.errors import ManifestError
from fourview.manifest.manifest import images_to_read
from fourview.manifest.select import with_slots
from fourview.suggest import no_such

Unit = Literal["exam", "breast"]
UNKNOWN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The images of one exam, or of one of its breasts, that fill slots.

    Attributes:
        images: Ids of the images, as the store knows them.
        slots: Index into SLOTS of each.
        ranks: 0 for the preferred image of a slot, then the next (rule: ``manifest.select``).
        targets: By label, of the right and the left breast; NaN where unknown or not in the sample.
        findings: Ids of the findings that the sample is about, where a feed is about any; in the
            order of their scores.
    """

    patient_id: str
    exam_id: str
    images: tuple[str, ...]
    slots: tuple[int, ...]
    ranks: tuple[int, ...]
    targets: Mapping[str, tuple[float, float]]
    findings: tuple[str, ...] = ()


def make_samples(
    manifest: Manifest,
    *,
    classes: Mapping[str, Sequence[str]],
    unit: Unit = "exam",
    splits: Sequence[str] | None = None,
    in_store: Sequence[str] | None = None,
) -> list[Sample]:
    """The samples of a manifest, in its order.

    Args:
        manifest: Images that are left out or fill none of the four slots make no sample.
        classes: For each label wanted, its classes; with one class the label is 0 or 1, with
            several it is the index of the class's name.
        unit: A whole exam, or one breast of it.
        splits: Only exams of these; None takes all.
        in_store: Ids that can be read; None takes all.

    Raises:
        ManifestError: A label is no column of the breasts, or has a value that is no class.
    """
    images = _slotted(manifest, splits, in_store)
    targets = _targets(manifest, classes)
    by = ["patient_id", "exam_id"] + (["side"] if unit == "breast" else [])
    grouped = images.group_by(by, maintain_order=True).agg("image_id", "slot", "rank")
    return [
        Sample(
            patient_id=row["patient_id"],
            exam_id=row["exam_id"],
            images=tuple(row["image_id"]),
            slots=tuple(row["slot"]),
            ranks=tuple(row["rank"]),
            targets={
                label: _pair(known, row["exam_id"], row.get("side"))
                for label, known in targets.items()
            },
        )
        for row in grouped.iter_rows(named=True)
    ]


def known_values(samples: Sequence[Sample], label: str) -> Iterator[float]:
    """The label's values that are known, over the breasts of the samples."""
    for sample in samples:
        yield from (v for v in sample.targets[label] if not math.isnan(v))


def _slotted(
    manifest: Manifest, splits: Sequence[str] | None, in_store: Sequence[str] | None
) -> pl.DataFrame:
    images = images_to_read(manifest)
    if in_store is not None:
        images = images.filter(pl.col("image_id").is_in(list(in_store)))
    if splits is not None:
        chosen = manifest.exams.filter(pl.col("split").is_in(list(splits)))
        images = images.join(chosen.select("exam_id"), on="exam_id", how="semi")
    numbers = {name: index for index, name in enumerate(SLOTS)}
    return (
        with_slots(images)
        .filter(pl.col("slot").is_not_null())
        .with_columns(pl.col("slot").replace_strict(numbers, return_dtype=pl.Int64), rank="place")
    )


def _targets(
    manifest: Manifest, classes: Mapping[str, Sequence[str]]
) -> dict[str, dict[tuple[str, str], float]]:
    targets = {}
    for label, names in classes.items():
        column = _column_of_classes(manifest, label, names)
        known = _labels(manifest, column or label).rename({column or label: "value"})
        known = known.filter(pl.col("value").is_not_null())
        if column is not None:
            known = known.with_columns(pl.format(f"{column}-{{}}", "value").alias("value"))
            known = known.filter(pl.col("value").is_in(list(names)))
        values = [_value(v, label, names) for v in known["value"]]
        keys = zip(known["exam_id"], known["side"], strict=True)
        targets[label] = dict(zip(keys, values, strict=True))
    return targets


def _column_of_classes(manifest: Manifest, label: str, names: Sequence[str]) -> str | None:
    """The column whose values are classes such as ``birads-4``, where the label is no column."""
    if label in manifest.breasts.columns or label in manifest.exams.columns:
        return None
    columns = {name.rpartition("-")[0] for name in names}
    return columns.pop() if len(columns) == 1 and "" not in columns else None


def _labels(manifest: Manifest, label: str) -> pl.DataFrame:
    """The label of every breast; the exam's where the breast has none of its own."""
    breasts, exams = manifest.breasts, manifest.exams
    of_breast, of_exam = label in breasts.columns, label in exams.columns
    if not (of_breast or of_exam):
        todo = "; train cancer alone with --set model.task=cancer" if label == "benign" else ""
        known = no_such("label", label, breasts.columns)
        raise ManifestError(f"breasts have {known}{todo}")
    labelled = with_labels(breasts, [label], breasts=None, exams=exams)
    return labelled.select("exam_id", "side", label)


def _value(value: object, label: str, names: Sequence[str]) -> float:
    if len(names) == 1:
        if value in (0, 1):
            return float(value)
        raise ManifestError(f"label '{label}' is {value!r}; need 0 or 1, or null where unknown")
    if value in names:
        return float(names.index(str(value)))
    raise ManifestError(f"label '{label}' is {value!r}; need one of {', '.join(names)}")


def _pair(
    known: Mapping[tuple[str, str], float], exam_id: str, side: str | None
) -> tuple[float, float]:
    right, left = (
        known.get((exam_id, s), UNKNOWN) if side in (None, s) else UNKNOWN for s in SIDES
    )
    return right, left
