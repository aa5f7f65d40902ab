"""Label rules: which units a manifest holds and what is known of each.

A rule reads the manifest's columns and gives a class number (1 is positive where there are two
classes), or null where the rule says nothing: such units are left out and counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from fourview.entities import Manifest
from fourview.entities.labels import with_labels
from fourview.manifest.split import subsample_test

Unit = Literal["image", "breast", "exam", "finding", "finding_image"]
Keep = Literal[
    "all",
    "standard_screening_views",
    "birads_sample",
    "density_sample",
    "birads_pairs",
    "density_pairs",
]
STANDARD_VIEWS = ("CC", "MLO")
_LABELS = ("cancer", "birads", "density")
SAMPLED, SAMPLE_SEED = 0.1, 42  # share of a class; MaMA, section 4.1 and its code
_WHOLE: Mapping[str, tuple[int, ...]] = {"birads": (5, 6), "density": ()}  # classes kept whole


def counted(number: int, unit: str) -> str:
    """A count of units in words.

    >>> counted(1, "image"), counted(600, "finding_image")
    ('1 image', '600 findings on images')
    """
    one, several = {"finding_image": ("finding on an image", "findings on images")}.get(
        unit, (unit, f"{unit}s")
    )
    return f"{number:,} {one if number == 1 else several}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """How a label is made, for the computer and in words."""

    label: pl.Expr
    words: str


def _birads(positive: Sequence[int], negative: Sequence[int]) -> pl.Expr:
    column = pl.col("birads")
    return (
        pl.when(column.is_in(list(positive)))
        .then(1)
        .when(column.is_in(list(negative)))
        .then(0)
        .otherwise(None)
        .cast(pl.Int8)
    )


def _birads_class(first: int, last: int) -> pl.Expr:
    column = pl.col("birads")
    return pl.when(column.is_between(first, last)).then(column - first).otherwise(None)


RULES: Mapping[str, LabelRule] = {
    "cancer": LabelRule(
        label=pl.col("cancer"), words="the manifest's cancer label of the breast, on its images too"
    ),
    "birads-m-vs-bn": LabelRule(
        label=_birads(range(4, 7), range(1, 4)), words="BI-RADS 4-6 positive, 1-3 negative"
    ),
    "birads-mb-vs-n": LabelRule(
        label=_birads(range(2, 7), range(1, 2)), words="BI-RADS 2-6 positive, 1 negative"
    ),
    "birads-m-vs-bn-without-3": LabelRule(
        label=_birads((4, 5, 6), (1, 2)), words="BI-RADS 4-6 positive, 1 and 2 negative, 3 left out"
    ),
    "birads-mb-vs-n-without-3": LabelRule(
        label=_birads((2, 4, 5, 6), (1,)),
        words="BI-RADS 2 and 4-6 positive, 1 negative, 3 left out",
    ),
    "birads-0-6": LabelRule(label=_birads_class(0, 6), words="BI-RADS 0-6 as seven classes"),
    "birads-0-2": LabelRule(
        label=_birads_class(0, 2), words="BI-RADS 0-2 as three classes, others left out"
    ),
    "birads-1-5": LabelRule(label=_birads_class(1, 5), words="BI-RADS 1-5 as five classes"),
    "density": LabelRule(
        label=pl.col("density").replace_strict(
            {"A": 0, "B": 1, "C": 2, "D": 3}, default=None, return_dtype=pl.Int8
        ),
        words="density A-D of the breast, or of the exam where the breast has none",
    ),
    "malignant": LabelRule(
        label=pl.col("malignant"), words="malignant by biopsy; high-risk benign is benign"
    ),
}


def labelled_units(
    manifest: Manifest, unit: Unit, rule: str, keep: Keep = "all"
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """All units of a manifest with ``label`` (null unknown), ``split`` and ``expected``.

    ``expected`` is true where a table of predictions should have the unit: images that are read,
    breasts and exams with such an image (all, where the manifest lists no images), findings.

    Returns:
        The table, with patient_id, exam_id, side, image_id, finding_id and view, null where not of
        the unit; and notes on what could not be applied.
    """
    notes: tuple[str, ...] = ()
    images, notes = _kept(_images(manifest), keep, manifest)
    if unit == "image":
        frame = images.with_columns(expected=pl.lit(True))
    elif unit in ("finding", "finding_image"):
        frame = _findings(manifest, by_image=unit == "finding_image")
    else:
        frame = _breasts(manifest)
        if unit == "exam":
            frame = _exams(frame)
        on = ["exam_id", "side"] if unit == "breast" else ["exam_id"]
        seen = images.select(on).unique().with_columns(expected=pl.lit(True))
        frame = frame.join(seen, on=on, how="left", maintain_order="left").with_columns(
            pl.col("expected").fill_null(manifest.images.is_empty())
        )
    splits = manifest.exams.select("exam_id", "split")
    frame = frame.join(splits, on="exam_id", how="left", maintain_order="left")
    keys = ("patient_id", "exam_id", "side", "image_id", "finding_id", "view")
    return frame.select(
        *(pl.col(k) if k in frame.columns else pl.lit(None, pl.String).alias(k) for k in keys),
        "split",
        "expected",
        label=RULES[rule].label.cast(pl.Int8),
    ), notes


def _breasts(manifest: Manifest) -> pl.DataFrame:
    """Breasts with cancer, birads and density; the exam's density where the breast has none."""
    breasts = manifest.breasts.select("patient_id", "exam_id", "side", *_LABELS)
    labelled = with_labels(breasts, _LABELS, breasts=None, exams=manifest.exams)
    return labelled.with_columns(malignant="cancer")


def _images(manifest: Manifest) -> pl.DataFrame:
    """Images that are read, with their own labels where the source has some, else the breast's."""
    images = manifest.images.filter(pl.col("left_out").is_null())
    frame = with_labels(images, _LABELS, breasts=manifest.breasts, exams=manifest.exams)
    return frame.with_columns(malignant="cancer")


def _kept(
    images: pl.DataFrame, keep: Keep, manifest: Manifest
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    if keep == "all":
        return images, ()
    if keep.endswith("_sample"):
        return _sampled(images, keep.removesuffix("_sample"), manifest), ()
    if keep.endswith("_pairs"):
        images, notes = _kept(images, "standard_screening_views", manifest)
        return _sampled_pairs(images, keep.removesuffix("_pairs"), manifest), notes
    plain = pl.col("modifiers").list.len().fill_null(0) == 0
    images = images.filter(pl.col("view").is_in(STANDARD_VIEWS) & plain)
    if "screening" in images.columns:
        return images.filter(pl.col("screening")), ()
    return images, ("the manifest's images have no column 'screening': every exam is taken as one",)


def _sampled(images: pl.DataFrame, label: str, manifest: Manifest) -> pl.DataFrame:
    """A tenth of each class's images in each part of the split, rounded down; some classes whole.

    Which ones depends on the ids alone, not on their order.
    """
    splits = manifest.exams.select("exam_id", "split")
    parts = images.join(splits, on="exam_id", how="left").partition_by("split")
    drawn = [subsample_test(part, label, SAMPLED, 0, SAMPLE_SEED)["image_id"] for part in parts]
    is_drawn = pl.col("image_id").is_in([image for of_part in drawn for image in of_part])
    return images.filter(is_drawn | pl.col(label).is_in(list(_WHOLE[label])))


def _sampled_pairs(images: pl.DataFrame, label: str, manifest: Manifest) -> pl.DataFrame:
    """All images of a tenth of the breasts of each class that have both views, in each part."""
    breast = ["exam_id", "side"]
    splits = manifest.exams.select("exam_id", "split")
    breasts = (
        images.group_by(breast, maintain_order=True)
        .agg(pl.col("view").n_unique().alias("num_views"), pl.col(label).drop_nulls().first())
        .filter(pl.col("num_views") == len(STANDARD_VIEWS))
        .with_columns(image_id=pl.format("{}|{}", *breast))
        .join(splits, on="exam_id", how="left", maintain_order="left")
    )
    parts = breasts.partition_by("split")
    drawn = [subsample_test(part, label, SAMPLED, 0, SAMPLE_SEED) for part in parts]
    chosen = pl.concat([part.select(breast) for part in drawn]) if drawn else breasts.select(breast)
    return images.join(chosen, on=breast, how="semi", maintain_order="left")


def _exams(breasts: pl.DataFrame) -> pl.DataFrame:
    """An exam has cancer if a breast has; none only if both are known to have none."""
    unknown_wins = (
        pl.when(pl.col("cancer").eq(1).any())
        .then(1)
        .when(pl.col("cancer").is_null().any())
        .then(None)
        .otherwise(0)
    )
    return breasts.group_by("patient_id", "exam_id", maintain_order=True).agg(
        cancer=unknown_wins.cast(pl.Int8),
        birads=pl.col("birads").max(),
        density=pl.col("density").max(),
        malignant=unknown_wins.cast(pl.Int8),
    )


def _findings(manifest: Manifest, *, by_image: bool) -> pl.DataFrame:
    """One row per finding, however many images show it, or one for each image that does."""
    keys = ["patient_id", "exam_id", "finding_id"]
    findings = manifest.findings
    if by_image:
        findings = findings.filter(pl.col("image_id").is_not_null())
        keys.append("image_id")
    return (
        findings.group_by(keys, maintain_order=True)
        .agg(pl.col("side").first(), pl.col("malignant").max())
        .with_columns(
            expected=pl.lit(True),
            cancer="malignant",
            birads=pl.lit(None, pl.Int8),
            density=pl.lit(None, pl.String),
        )
    )
