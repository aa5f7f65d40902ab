"""Operating points of a run: thresholds chosen on its validation part."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from fourview.entities import SIDES, SLOTS
from fourview.evaluate.operating import choose_threshold
from fourview.feeds.samples import Sample
from fourview.predict.network import REGION_RULE

OPERATING_RULES = ("sensitivity-0.95", "sensitivity-0.90", "specificity-0.90", "youden")
MISS_RULES = tuple(f"sensitivity-{1 - missed:.2f}" for missed in (0, 0.01, 0.02, 0.03, 0.05))


def points_of_scores(
    predictions: pl.DataFrame, samples: Sequence[Sample], label: str
) -> dict[str, float]:
    """Thresholds by rule on the scores of breasts or, where there are any, of findings.

    Args:
        predictions: Predictions of the validation part.
        samples: Samples of that part, with what is known.
        label: The label that was trained.
    """
    of_findings = any(sample.findings for sample in samples)
    choose = _miss_rates if of_findings else _operating_points
    return choose(predictions, samples, label)


def region_points(
    predictions: pl.DataFrame, samples: Sequence[Sample], label: str
) -> dict[str, float]:
    """The threshold of drawn regions, chosen on what it is applied to: the regions themselves.

    An image counts with its best region, and with 0 where it has none; it is positive where its
    breast has the label. With ``specificity-0.90`` no more than a tenth of the images of breasts
    without the label have a region drawn on them.
    """
    regions = predictions.filter((pl.col("unit") == "region") & (pl.col("class") == label))
    best = dict(regions.group_by("image_id").agg(pl.col("score").max()).iter_rows())
    known = {
        image: sample.targets[label][SIDES.index(SLOTS[slot][0])]
        for sample in samples
        for image, slot in zip(sample.images, sample.slots, strict=True)
    }
    judged = [image for image, value in known.items() if value in (0.0, 1.0)]
    scores = np.array([best.get(image, 0.0) for image in judged])
    positive = np.array([known[image] == 1 for image in judged], dtype=bool)
    value = choose_threshold(scores, positive, REGION_RULE) if best else None
    return {} if value is None else {REGION_RULE: value}


def _operating_points(
    predictions: pl.DataFrame, samples: Sequence[Sample], label: str
) -> dict[str, float]:
    known = {
        (s.exam_id, side): value
        for s in samples
        for side, value in zip("RL", s.targets[label], strict=True)
        if value in (0.0, 1.0)
    }
    breasts = predictions.filter((pl.col("unit") == "breast") & (pl.col("class") == label))
    keys = list(zip(breasts["exam_id"], breasts["side"], strict=True))
    rows = [i for i, key in enumerate(keys) if key in known]
    scores = breasts["score"].to_numpy()[rows]
    positive = pl.Series([known[keys[i]] == 1 for i in rows], dtype=pl.Boolean).to_numpy()
    chosen = {rule: choose_threshold(scores, positive, rule) for rule in OPERATING_RULES}
    return {rule: value for rule, value in chosen.items() if value}


def _miss_rates(
    predictions: pl.DataFrame, samples: Sequence[Sample], label: str
) -> dict[str, float]:
    """Thresholds on a finding's score, the mean over its images, by how many cancers they miss."""
    known = {
        finding: max(v for v in sample.targets[label] if v in (0.0, 1.0))
        for sample in samples
        for finding in sample.findings
        if any(v in (0.0, 1.0) for v in sample.targets[label])
    }
    findings = predictions.filter(pl.col("unit") == "finding")
    means = findings.group_by("finding_id", maintain_order=True).agg(pl.col("score").mean())
    means = means.filter(pl.col("finding_id").is_in(list(known)) & pl.col("score").is_not_null())
    positive = np.array([known[f] == 1 for f in means["finding_id"]], dtype=bool)
    scores = means["score"].to_numpy()
    chosen = {rule: choose_threshold(scores, positive, rule) for rule in MISS_RULES}
    return {rule: value for rule, value in chosen.items() if value}
