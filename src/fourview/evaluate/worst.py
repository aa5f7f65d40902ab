"""The worst errors of a table, and how its scores are spread by label."""

import numpy as np
import polars as pl

from fourview.entities import Curve
from fourview.evaluate.protocols import Protocol
from fourview.evaluate.units import Units

NUM_WORST = 10  # of each kind
NUM_BINS = 20
KINDS = ("highest without the label", "lowest with the label", "lowest score of the right class")
_IDS = ("patient_id", "exam_id", "side", "image_id", "finding_id")


def worst_errors(units: Units, protocol: Protocol, *, most: int = NUM_WORST) -> pl.DataFrame:
    """The units that a model is most wrong about, by the scores alone: no threshold is needed.

    Args:
        units: Scored and labelled.
        protocol: Says whether there is one score per unit or one per class.
        most: Rows of each kind.

    Returns:
        ``kind`` (one of KINDS), the ids that the unit has, ``label``, ``said`` (of several classes
        the one with the highest score) and ``score`` (of several classes that of the right one);
        the worst first within each kind.
    """
    ids = [name for name in _IDS if not units.frame[name].is_null().all()]
    if protocol.is_binary:
        rows = units.frame.select(
            *ids, pl.col("label").cast(pl.String), pl.lit("").alias("said"), "score"
        )
        positive = pl.Series(units.positive)
        parts = [
            rows.filter(~positive).sort("score", descending=True, maintain_order=True).head(most),
            rows.filter(positive).sort("score", maintain_order=True).head(most),
        ]
        kinds: tuple[str, ...] = KINDS[:2]
    else:
        names = np.array(protocol.classes)
        scores, best = units.class_scores, units.class_scores.argmax(axis=1)
        own = scores[np.arange(len(scores)), units.labels]
        rows = units.frame.select(ids).with_columns(
            label=pl.Series(names[units.labels], dtype=pl.String),
            said=pl.Series(names[best], dtype=pl.String),
            score=pl.Series(own),
        )
        wrong = pl.Series(best != units.labels)
        parts = [rows.filter(wrong).sort("score", maintain_order=True).head(most)]
        kinds = KINDS[2:]
    named = [
        p.select(pl.lit(k).alias("kind"), *p.columns) for p, k in zip(parts, kinds, strict=True)
    ]
    return pl.concat(named)


def histograms_of(units: Units, protocol: Protocol) -> tuple[Curve, ...]:
    """How many units without and with the label have a score in each of NUM_BINS equal bins.

    Returns:
        ``scores_negative`` and ``scores_positive``, with the bins' centres as x; none for several
        classes or an empty table. The bins go from 0 to 1 where all scores do.
    """
    if not protocol.is_binary or len(units.frame) == 0:
        return ()
    scores, positive = units.scores, units.positive
    low, high = float(scores.min()), float(scores.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, NUM_BINS + 1)
    centers = (edges[:-1] + edges[1:]) / 2
    return tuple(
        Curve(
            name=f"scores_{name}",
            x_label="score",
            y_label=f"{protocol.unit}s",
            x=centers,
            y=np.histogram(scores[own], edges)[0].astype(np.float64),
        )
        for name, own in (("negative", ~positive), ("positive", positive))
    )
