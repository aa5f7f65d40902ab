"""Measures of experiments/mvccl.toml: what a reader of the truth would score.

fourview study experiments/mvccl.toml -o OUT
"""

import math

import polars as pl

from fourview.entities import Manifest
from fourview.store.store import Store
from fourview.study.study_runs import Run

KEYS = ["patient_id", "exam_id", "side"]


def oracle(
    run: Run, *, manifest: Manifest, store: Store, part: str | None, reads: str
) -> pl.DataFrame:
    """Scores of one who reads the truth of each view alone, and compares the two.

    Args:
        run: Any; no network is asked.
        manifest: Of phantoms with a finding in each view.
        store: Not read.
        part: Of the manifest's split.
        reads: ``size``: how alike in size what the views show is; ``depth``: how near to each
            other their findings' depths are.

    Returns:
        A row for each breast: ``score`` and ``known``; the least score where a view shows nothing.
    """
    del run, store
    exams = manifest.exams if part is None else manifest.exams.filter(pl.col("split") == part)
    shown = manifest.findings.join(
        manifest.images.select("image_id", "view"), on="image_id", how="inner"
    ).with_columns(
        size=((pl.col("x1") - pl.col("x0")) * (pl.col("y1") - pl.col("y0"))).log(),
        depth=pl.col("x_ap_mm"),
    )
    by_view = shown.group_by("exam_id", "side", "view").agg(pl.col(reads).mean())
    cc, mlo = (by_view.filter(pl.col("view") == view).drop("view") for view in ("CC", "MLO"))
    both = cc.join(mlo, on=["exam_id", "side"], suffix="_mlo")
    compared = both.with_columns(score=-(pl.col(reads) - pl.col(f"{reads}_mlo")).abs())
    return (
        manifest.breasts.join(
            exams.select("exam_id"), on="exam_id", how="semi", maintain_order="left"
        )
        .join(
            compared.select("exam_id", "side", "score"),
            on=["exam_id", "side"],
            how="left",
            maintain_order="left",
        )
        .select(*KEYS, pl.col("score").fill_null(-math.inf), known=pl.col("cancer") == 1)
    )
