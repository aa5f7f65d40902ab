"""Which image stands for which view of an exam, and which exams can be used for what.

Rule:    of several images of one view, ``entities.preference`` says which is preferred; ``dicom``
         reads exams by the same rule.
Returns: tables; nothing is dropped, and every exam has a line that says what it has and lacks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from fourview.entities import SLOTS, Manifest
from fourview.entities.preference import best_first
from fourview.errors import ManifestError
from fourview.manifest.manifest import images_to_read

POSITIONS = ("CC", "MLO")


def with_slots(images: pl.DataFrame) -> pl.DataFrame:
    """Adds ``slot`` (one of SLOTS, or null) and ``place``, 0 for the slot's preferred image."""
    name = pl.concat_str("side", "view", separator="-")
    images = images.with_columns(slot=pl.when(name.is_in(SLOTS)).then(name))
    several = images.with_row_index("_row").filter(
        pl.col("slot").is_not_null() & pl.struct("exam_id", "slot").is_duplicated()
    )
    ordered = best_first(several).with_columns(place=pl.int_range(pl.len()).over("exam_id", "slot"))
    place = np.zeros(len(images), dtype=np.int64)  # most views have one image: only others compete
    place[ordered["_row"].to_numpy()] = ordered["place"].to_numpy()
    column = pl.Series("place", place)
    return images.with_columns(place=pl.when(pl.col("slot").is_not_null()).then(column))


def exam_table(manifest: Manifest) -> pl.DataFrame:
    """One row per exam: what fills its four views, and what is odd about it.

    Returns:
        patient_id, exam_id; the preferred image of each of SLOTS, or null; ``num_read`` and
        ``num_left_out`` images; ``num_views`` of the four; ``num_duplicates``, images beyond the
        first of their view; ``other_views``, names such as L-ML, sorted; ``reasons`` for which
        images were left out; ``implant``; ``mixed_sides``, true where one breast has only its CC
        and the other only its MLO; ``num_breasts`` with both views; ``line``, all that in words.
    """
    read = with_slots(images_to_read(manifest))
    first = pl.col("place") == 0
    preferred = [
        pl.col("image_id").filter((pl.col("slot") == slot) & first).first().alias(slot)
        for slot in SLOTS
    ]
    implant = pl.col("modifiers").list.eval(pl.element().str.contains("implant")).list.any()
    if "implant" in read.columns:
        implant = implant.fill_null(False) | pl.col("implant").fill_null(False).cast(pl.Boolean)
    other = pl.concat_str("side", "view", separator="-").filter(pl.col("slot").is_null())
    seen = (
        read.with_columns(implant=implant.fill_null(False))
        .group_by("exam_id")
        .agg(
            *preferred,
            num_read=pl.len(),
            num_duplicates=(pl.col("place") > 0).sum(),
            other_views=other.unique().sort(),
            implant=pl.col("implant").any(),
        )
    )
    gone = manifest.images.filter(pl.col("left_out").is_not_null())
    gone = gone.group_by("exam_id").agg(
        num_left_out=pl.len(), reasons=pl.col("left_out").unique().sort()
    )
    table = manifest.exams.select("patient_id", "exam_id")
    table = table.join(seen, on="exam_id", how="left", maintain_order="left")
    table = table.join(gone, on="exam_id", how="left", maintain_order="left")
    table = table.with_columns(
        pl.col("num_read", "num_left_out", "num_duplicates").fill_null(0),
        pl.col("other_views", "reasons").fill_null(pl.lit([], dtype=pl.List(pl.String))),
        pl.col("implant").fill_null(False),
        num_views=pl.sum_horizontal(pl.col(slot).is_not_null() for slot in SLOTS),
        num_breasts=pl.sum_horizontal(_both(side) for side in ("R", "L")),
        mixed_sides=_mixed(),
    )
    return table.with_columns(line=_line())


def with_views(manifest: Manifest, views: Sequence[str]) -> Manifest:
    """The manifest as if only these views had been taken; exams without any stay, empty.

    Raises:
        ManifestError: A name that is no view of a slot.
    """
    wrong = [v for v in views if v not in POSITIONS]
    if wrong:
        raise ManifestError(f"view '{wrong[0]}': need {' or '.join(POSITIONS)}")
    return replace(manifest, images=manifest.images.filter(pl.col("view").is_in(list(views))))


def with_exams(manifest: Manifest, exams: Iterable[str]) -> Manifest:
    """The manifest with these exams alone, its rows in their order."""
    chosen = pl.DataFrame({"exam_id": list(exams)}, schema={"exam_id": pl.String})

    def of(table: pl.DataFrame) -> pl.DataFrame:
        return table.join(chosen, on="exam_id", how="semi", maintain_order="left")

    return replace(
        manifest,
        images=of(manifest.images),
        breasts=of(manifest.breasts),
        exams=of(manifest.exams),
        findings=of(manifest.findings),
    )


def screening_exams(manifest: Manifest) -> Manifest:
    """The manifest with the exams alone that its source calls screening.

    Raises:
        ManifestError: Its source says of no exam what it was for, or none of them is screening.
    """
    exams = manifest.exams
    screening = exams["screening"].drop_nulls() if "screening" in exams.columns else pl.Series([])
    if screening.is_empty():
        raise ManifestError(
            f"--screening: source '{manifest.source}' does not say which exams are screening; leave"
            " it out, or add a column 'screening' to its table of exams"
        )
    chosen = exams.filter(pl.col("screening").fill_null(False))
    if chosen.is_empty():
        raise ManifestError(f"--screening: none of {len(exams):,} exams is a screening exam")
    return with_exams(manifest, chosen["exam_id"].to_list())


def _both(side: str) -> pl.Expr:
    return pl.col(f"{side}-CC").is_not_null() & pl.col(f"{side}-MLO").is_not_null()


def _mixed() -> pl.Expr:
    has = {slot: pl.col(slot).is_not_null() for slot in SLOTS}
    one = has["R-CC"] & has["L-MLO"] & ~has["R-MLO"] & ~has["L-CC"]
    other = has["L-CC"] & has["R-MLO"] & ~has["L-MLO"] & ~has["R-CC"]
    return one | other


def _line() -> pl.Expr:
    """The exam in words: "3 of 4 views, lacks L-MLO; 1 duplicate; also L-ML; implant"."""
    absent = pl.concat_list(
        pl.when(pl.col(slot).is_null()).then(pl.lit(slot)) for slot in SLOTS
    ).list.drop_nulls()
    lacks = pl.when((pl.col("num_views") > 0) & (pl.col("num_views") < len(SLOTS)))
    parts = [
        pl.format("{} of 4 views", "num_views")
        + lacks.then(pl.format(", lacks {}", absent.list.join(" "))).otherwise(pl.lit("")),
        pl.when(pl.col("mixed_sides")).then(pl.lit("mixed sides: no breast has both views")),
        pl.when(pl.col("num_duplicates") == 1).then(pl.lit("1 duplicate")),
        pl.when(pl.col("num_duplicates") > 1).then(pl.format("{} duplicates", "num_duplicates")),
        pl.when(pl.col("other_views").list.len() > 0).then(
            pl.format("also {}", pl.col("other_views").list.join(" "))
        ),
        pl.when(pl.col("implant")).then(pl.lit("implant")),
        pl.when(pl.col("num_left_out") > 0).then(
            pl.format("left out: {} ({})", "num_left_out", pl.col("reasons").list.join(", "))
        ),
    ]
    return pl.concat_str(parts, separator="; ", ignore_nulls=True)
