"""Marks against findings: the FROC curve, its points, and recall at a threshold.

A *mark* is a scored box on an image, in the stored frame. It is a hit if it overlaps a box that is
to be found; otherwise it is ignored if it overlaps one whose nature is unknown; otherwise it is
false. A box is found at the highest score of its hits. Images without marks count as images.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int, UInt16

from fourview.compiled import compiled
from fourview.entities import Curve
from fourview.evaluate.overlap import Corners, Points, outline_area, outline_in_box
from fourview.evaluate.protocols import FrocRule
from fourview.evaluate.ranks import ROUNDING
from fourview.evaluate.resample import Resampling, bootstrap
from fourview.evaluate.sums import GroupCounts, above

_BOX = ("x0", "y0", "x1", "y1")
LEAST_NUMBERS = 6  # of an outline: three points


@dataclass(frozen=True, slots=True, kw_only=True)
class FrocTable:
    """What is left of boxes once they are matched.

    Attributes:
        targets: One row for each box (or image) to be found: image_id and ``score``, the highest of
            its hits, null where it has none.
        false_marks: image_id and score of every false mark.
        images: image_id of every image that counts.
        num_ignored: Marks that are neither hit nor false.
    """

    targets: pl.DataFrame
    false_marks: pl.DataFrame
    images: pl.DataFrame
    num_ignored: int


def match_marks(
    marks: pl.DataFrame, findings: pl.DataFrame, images: pl.DataFrame, rule: FrocRule
) -> FrocTable:
    """Match marks with findings on the images that count.

    Args:
        marks: image_id, x0, y0, x1, y1, score.
        findings: image_id, x0, y0, x1, y1, malignant (1, 0, null), and polygon for rules that look
            at outlines; rows without a box are left out.
        images: image_id; marks and findings elsewhere do not count.
        rule: What is to be found, and from which overlap on it is.

    >>> from fourview.evaluate.protocols import find_protocol
    >>> box = {"image_id": ["a"], "x0": [10.0], "y0": [10.0], "x1": [30.0], "y1": [30.0]}
    >>> finding = pl.DataFrame(box | {"malignant": [1]})
    >>> mark = pl.DataFrame(box | {"x0": [12.0], "score": [0.8]})
    >>> rule = FrocRule(overlap="iou", at_least=0.5)
    >>> table = match_marks(mark, finding, finding.select("image_id"), rule)
    >>> table.targets["score"].to_list(), len(table.false_marks)
    ([0.8], 0)
    """
    images = images.select("image_id").unique(maintain_order=True)
    marks = marks.select("image_id", *_BOX, "score").with_row_index("mark")
    marks = marks.join(images, on="image_id", how="semi")
    boxes = findings.filter(pl.all_horizontal(pl.col(c).is_not_null() for c in _BOX))
    sought = pl.col("malignant") == 1 if rule.targets == "malignant" else pl.col("malignant") >= 0
    if "polygon" not in boxes.columns:
        boxes = boxes.with_columns(polygon=pl.lit(None, pl.List(pl.Float64)))
    boxes = (
        boxes.select("image_id", *_BOX, "polygon", sought=sought)
        .join(images, on="image_id", how="semi")
        .with_row_index("box")
    )
    pairs = marks.join(boxes, on="image_id", how="inner", suffix="_of_box")
    pairs = _touching(pairs, rule)
    hits = pairs.filter(pl.col("sought"))
    unknown = pairs.filter(pl.col("sought").is_null()).join(hits, on="mark", how="anti")
    false = marks.join(hits, on="mark", how="anti").join(unknown, on="mark", how="anti")
    best = hits.group_by("box").agg(pl.col("score").max())
    targets = boxes.filter(pl.col("sought")).join(best, on="box", how="left", maintain_order="left")
    if rule.recall_of == "image":
        targets = targets.group_by("image_id", maintain_order=True).agg(pl.col("score").max())
    return FrocTable(
        targets=targets.select("image_id", "score"),
        false_marks=false.select("image_id", "score"),
        images=images,
        num_ignored=unknown["mark"].n_unique(),
    )


def _touching(pairs: pl.DataFrame, rule: FrocRule) -> pl.DataFrame:
    """Pairs of mark and box that overlap as the rule asks; of an outline where it has one."""
    if rule.overlap != "iom_outline":
        return pairs.filter(_overlap(rule.overlap) >= rule.at_least)
    drawn = pl.col("polygon").list.len().fill_null(0) >= LEAST_NUMBERS
    plain = pairs.filter(~drawn & (_overlap("iom") >= rule.at_least))
    outlined = pairs.filter(drawn)  # a box that does not meet the outline's box misses it too
    outlined = outlined.filter(_overlap("iom") > 0)
    shares = [
        _outline_share(np.array(polygon, dtype=np.float64).reshape(-1, 2), (x0, y0, x1, y1))
        for polygon, x0, y0, x1, y1 in outlined.select("polygon", *_BOX).iter_rows()
    ]
    touch = pl.Series([share >= rule.at_least for share in shares], dtype=pl.Boolean)
    return pl.concat([plain, outlined.filter(touch)])


def _outline_share(points: Points, box: Corners) -> float:
    """Area that an outline and a box share, over the smaller of both."""
    smaller = min(outline_area(points), (box[2] - box[0]) * (box[3] - box[1]))
    return outline_in_box(points, box) / smaller if smaller > 0 else 0.0


def _overlap(kind: str) -> pl.Expr:
    def shared(low: str, high: str) -> pl.Expr:
        ends = pl.min_horizontal(high, f"{high}_of_box") - pl.max_horizontal(low, f"{low}_of_box")
        return ends.clip(lower_bound=0)

    def area(suffix: str) -> pl.Expr:
        width = pl.col(f"x1{suffix}") - pl.col(f"x0{suffix}")
        return width * (pl.col(f"y1{suffix}") - pl.col(f"y0{suffix}"))

    both = shared("x0", "x1") * shared("y0", "y1")
    if kind == "iom":
        return both / pl.min_horizontal(area(""), area("_of_box"))
    return both / (area("") + area("_of_box") - both)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrocStatistic:
    """Sensitivity at rates of false marks per image, for any weights.

    Attributes:
        events: Clusters of found targets and false marks, highest score first.
        is_target: Which of the two an event is.
        ends_tie: Whether the next event has a lower score.
        target: Clusters of all targets, found or not.
        image: Clusters of all images.
        rates: False marks per image, ascending or not.
    """

    events: Int[np.ndarray, " event"]
    is_target: Bool[np.ndarray, " event"]
    ends_tie: Bool[np.ndarray, " event"]
    target: Int[np.ndarray, " target"]
    image: Int[np.ndarray, " image"]
    rates: Float[np.ndarray, " rate"]

    @property
    def width(self) -> int:
        """One number per rate."""
        return len(self.rates)

    def one(
        self, counts: UInt16[np.ndarray, " cluster"], out: Float[np.ndarray, " number"]
    ) -> None:
        """Fill ``out`` for the given weights; NaN where there is no target or no image."""
        _froc_row(
            counts,
            self.events,
            self.is_target,
            self.ends_tie,
            self.target,
            self.image,
            self.rates,
            out,
        )


def froc_statistic(
    table: FrocTable, clusters: pl.DataFrame, rates: tuple[float, ...]
) -> FrocStatistic:
    """Sort the table; ``clusters`` gives each image_id its ``cluster``."""
    hits = _scores(table.targets.drop_nulls("score"), clusters)
    false = _scores(table.false_marks, clusters)
    scores = np.concatenate([hits[0], false[0]])
    order = np.argsort(-scores, kind="stable")
    falling = np.diff(scores[order]) != 0
    return FrocStatistic(
        events=np.concatenate([hits[1], false[1]])[order],
        is_target=np.repeat([True, False], [len(hits[0]), len(false[0])])[order],
        ends_tie=np.append(falling, [True] * (len(scores) > 0)).astype(bool),
        target=_scores(table.targets, clusters)[1],
        image=_clusters_of(table.images, clusters),
        rates=np.array(rates, dtype=np.float64),
    )


def froc_curve(table: FrocTable) -> Curve:
    """False marks per image against the share of targets found, at every distinct score.

    Raises:
        ValueError: There is no target or no image.

    One of two cancers is marked, and one mark is false, on four images:

    >>> table = FrocTable(
    ...     targets=pl.DataFrame({"image_id": ["a", "b"], "score": [0.9, None]}),
    ...     false_marks=pl.DataFrame({"image_id": ["c"], "score": [0.4]}),
    ...     images=pl.DataFrame({"image_id": ["a", "b", "c", "d"]}),
    ...     num_ignored=0,
    ... )
    >>> curve = froc_curve(table)
    >>> curve.x.tolist(), curve.y.tolist()
    ([0.0, 0.0, 0.25], [0.0, 0.5, 0.5])
    """
    if len(table.targets) == 0 or len(table.images) == 0:
        raise ValueError("a FROC curve needs images and something to be found on them")
    hits = np.sort(table.targets["score"].drop_nulls().to_numpy())
    false = np.sort(table.false_marks["score"].to_numpy())
    cuts = np.unique(np.concatenate([hits, false]))[::-1]
    zero = np.zeros(1)
    num_hits = len(hits) - np.searchsorted(hits, cuts)
    num_false = len(false) - np.searchsorted(false, cuts)
    return Curve(
        name="froc",
        x_label="false marks per image",
        y_label="share found",
        x=np.append(zero, num_false / len(table.images)),
        y=np.append(zero, num_hits / len(table.targets)),
    )


def recall_columns(
    table: FrocTable,
    clusters: pl.DataFrame,
    thresholds: Mapping[str, float],
    resampling: Resampling,
) -> dict[str, Float[np.ndarray, " row"]]:
    """Share of targets with a hit at or above each threshold, by the threshold's name."""
    scores, cluster = _scores(table.targets.fill_null(-np.inf), clusters)
    cuts = np.array(list(thresholds.values()), dtype=np.float64)
    everything = np.ones(len(scores), dtype=bool)
    statistic = GroupCounts.above_thresholds(scores, everything, cluster, cuts)
    hits, totals = above(bootstrap(statistic, resampling), cuts)
    with np.errstate(invalid="ignore"):
        recall = hits[1] / totals[1]
    return {name: recall[:, i] for i, name in enumerate(thresholds)}


def _scores(
    rows: pl.DataFrame, clusters: pl.DataFrame
) -> tuple[Float[np.ndarray, " row"], Int[np.ndarray, " row"]]:
    return rows["score"].cast(pl.Float64).to_numpy(), _clusters_of(rows, clusters)


def _clusters_of(rows: pl.DataFrame, clusters: pl.DataFrame) -> Int[np.ndarray, " row"]:
    joined = rows.select("image_id").join(
        clusters, on="image_id", how="left", maintain_order="left"
    )
    return joined["cluster"].cast(pl.Int32).to_numpy()


@compiled
def _froc_row(
    counts: UInt16[np.ndarray, " cluster"],
    events: Int[np.ndarray, " event"],
    is_target: Bool[np.ndarray, " event"],
    ends_tie: Bool[np.ndarray, " event"],
    target: Int[np.ndarray, " target"],
    image: Int[np.ndarray, " image"],
    rates: Float[np.ndarray, " rate"],
    out: Float[np.ndarray, " number"],
) -> None:
    num_targets, num_images = 0, 0
    for i in range(len(target)):
        num_targets += counts[target[i]]
    for i in range(len(image)):
        num_images += counts[image[i]]
    out[:] = np.nan
    if num_targets == 0 or num_images == 0:
        return
    out[:] = 0.0
    hits, false = 0, 0
    for i in range(len(events)):
        if is_target[i]:
            hits += counts[events[i]]
        else:
            false += counts[events[i]]
        if ends_tie[i]:  # no threshold lies between equal scores
            for r in range(len(rates)):
                if false <= rates[r] * num_images + ROUNDING:
                    out[r] = hits / num_targets
