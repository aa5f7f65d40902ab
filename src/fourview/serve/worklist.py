"""The cohort as a list: filtered, sorted and counted here, so that the page only shows it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from fourview.entities import SIDES, Manifest
from fourview.errors import ServeError
from fourview.evaluate.labels import labelled_units
from fourview.evaluate.protocols import Protocol
from fourview.serve.predictions import Source
from fourview.serve.wire import Body
from fourview.suggest import no_such

PAGE = 100
BINS = 20
OUTCOMES = ("tp", "fp", "fn", "tn")
FACETS = ("density", "split", "vendor")  # columns that are offered as filters
MAX_VALUES = 20  # of a facet
_KEYS = ["patient_id", "exam_id"]
Label = Literal["1", "0", "unknown"]


class Query(Body):
    """What the page asks of the list.

    Attributes:
        text: Part of an exam's or patient's id.
        where: Filters ``COLUMN:VALUE``; an exam has one of the values of each column.
        outcome: Exams with a breast of one of these, at ``threshold``.
        bar: ``LOW HIGH LABEL``: exams with a breast whose score lies in a bar of the histogram.
        around: Ordinal of an exam whose neighbours are asked for.
    """

    text: str = Field(default="", max_length=200)
    where: list[str] = Field(default=[], max_length=20)
    outcome: list[Literal["tp", "fp", "fn", "tn"]] = Field(default=[], max_length=4)
    threshold: float | None = None
    bar: str = Field(default="", max_length=80)
    sort: str = Field(default="", max_length=40)
    descending: bool = False
    page: int = Field(default=0, ge=0)
    around: int | None = None


class Worklist:
    """All exams with what is known and said of them.

    Args:
        exams: From ``Cohort.exams``.
        manifest: Labels, ages and densities; None where only files are known.
        sources: Predictions, the main one first.
        protocol: Says what the label of a breast is.
    """

    def __init__(
        self,
        exams: pl.DataFrame,
        manifest: Manifest | None,
        sources: Sequence[Source],
        protocol: Protocol,
    ) -> None:
        self.names = [source.name for source in sources]
        frame = exams.with_row_index("n", offset=1).with_columns(pl.col("n").cast(pl.Int64))
        self.breasts = _breasts(frame, manifest, sources, protocol)
        frame = _with_facts(frame, manifest)
        frame = frame.join(_by_side(self.breasts), on="n", how="left", maintain_order="left")
        for source in sources:
            counted = source.num_regions()
            if len(counted) and "regions" not in frame.columns:
                frame = frame.join(counted, on="exam_id", how="left", maintain_order="left").rename(
                    {"num_regions": "regions"}
                )
        if "regions" not in frame.columns:
            frame = frame.with_columns(regions=pl.lit(None, pl.Int32))
        if len(sources) > 1:
            gaps = [(pl.col(f"score_0_{s}") - pl.col(f"score_1_{s}")).abs() for s in SIDES]
            frame = frame.with_columns(difference=pl.max_horizontal(gaps))
        self.frame = frame
        self.facets = _facets(frame)

    @property
    def has_errors(self) -> bool:
        """Whether any breast has a label and a score."""
        return bool(self.frame["error"].is_not_null().any())

    def answer(self, query: Query, key: Callable[[str, str], str]) -> dict[str, Any]:
        """A page of the list, and counts over all that pass the filters.

        Args:
            query: What is asked.
            key: Gives the key of a patient's exam.

        Raises:
            ServeError: A column does not exist, or a filter cannot be read.
        """
        chosen = self._chosen(query)
        ordered = self._ordered(chosen, query)
        rows = ordered.slice(query.page * PAGE, PAGE).to_dicts()
        for row in rows:
            row["key"] = key(row["patient_id"], row["exam_id"])
        answer: dict[str, Any] = {
            "total": len(ordered),
            "all": len(self.frame),
            "page": query.page,
            "page_size": PAGE,
            "rows": rows,
            "sources": self.names,
            "facets": self.facets,
            "histogram": self._histogram(chosen),
            "outcomes": self._outcomes(chosen, query.threshold),
            "has_errors": self.has_errors,
        }
        if query.around is not None:
            answer["around"] = _neighbours(ordered, query.around, key)
        return answer

    def _chosen(self, query: Query) -> pl.DataFrame:
        frame = self.frame
        by_column: dict[str, list[str]] = {}
        for word in query.where:
            column, _, value = word.partition(":")
            if column not in self.facets:
                raise ServeError(no_such("filter", column, self.facets))
            by_column.setdefault(column, []).append(value)
        for column, values in by_column.items():
            text = pl.col(column).cast(pl.String).fill_null("unknown")
            frame = frame.filter(text.is_in(values))
        if query.text:
            held = [pl.col(c).str.contains(query.text, literal=True) for c in _KEYS]
            frame = frame.filter(pl.any_horizontal(held))
        if query.outcome:
            wanted = self._with_outcome(query.threshold).filter(
                pl.col("outcome").is_in(query.outcome)
            )
            frame = frame.join(wanted, on="n", how="semi", maintain_order="left")
        if query.bar:
            frame = frame.join(self._of_bar(query.bar), on="n", how="semi", maintain_order="left")
        return frame

    def _ordered(self, frame: pl.DataFrame, query: Query) -> pl.DataFrame:
        if not query.sort:
            by, down = ("error", True) if self.has_errors else ("n", False)
        else:
            by, down = query.sort, query.descending
        if by not in frame.columns:
            raise ServeError(f"cannot sort: {no_such('column', by, frame.columns)}")
        return frame.sort(by, "n", descending=[down, False], nulls_last=True, maintain_order=True)

    def _with_outcome(self, threshold: float | None) -> pl.DataFrame:
        if threshold is None or "score_0" not in self.breasts.columns:
            return self.breasts.clear().with_columns(outcome=pl.lit(None, pl.String))
        positive, called = pl.col("label") == 1, pl.col("score_0") >= threshold
        known = pl.col("label").is_not_null() & pl.col("score_0").is_not_null()
        outcome = (
            pl.when(positive & called)
            .then(pl.lit("tp"))
            .when(called)
            .then(pl.lit("fp"))
            .when(positive)
            .then(pl.lit("fn"))
            .otherwise(pl.lit("tn"))
        )
        return self.breasts.filter(known).with_columns(outcome=outcome)

    def _outcomes(self, frame: pl.DataFrame, threshold: float | None) -> dict[str, int]:
        """Breasts by outcome among the exams that pass the filters."""
        outcomes = self._with_outcome(threshold).join(frame, on="n", how="semi")
        counted = dict(outcomes.group_by("outcome").len().iter_rows())
        return {name: int(counted.get(name, 0)) for name in OUTCOMES}

    def _of_bar(self, bar: str) -> pl.DataFrame:
        try:
            low, high, label = bar.split(" ")
            inside = pl.col("score_0").is_between(float(low), float(high), closed="left")
        except ValueError:
            raise ServeError(f"bar is '{bar}', need LOW HIGH LABEL") from None
        if "score_0" not in self.breasts.columns:
            raise ServeError("there are no scores to choose a bar of")
        wanted = pl.col("label").is_null() if label == "unknown" else pl.col("label") == _bit(label)
        return self.breasts.filter(inside & wanted)

    def _histogram(self, frame: pl.DataFrame) -> dict[str, Any] | None:
        """Scores of breasts by label, of the exams that pass the filters."""
        if "score_0" not in self.breasts.columns:
            return None
        everything = self.breasts["score_0"].drop_nulls()
        if everything.is_empty():
            return None
        low, high = (float(v) for v in (everything.min(), everything.max()))  # type: ignore[arg-type]
        low, high = min(low, 0.0), max(high, 1.0)
        edges = np.linspace(low, high, BINS + 1)
        edges[-1] = np.nextafter(high, np.inf)  # half-open, the last bar too
        mine = self.breasts.join(frame, on="n", how="semi")
        counts = {}
        for name, rule in (
            ("1", pl.col("label") == 1),
            ("0", pl.col("label") == 0),
            ("unknown", pl.col("label").is_null()),
        ):
            scores = mine.filter(rule)["score_0"].drop_nulls().to_numpy()
            counts[name] = np.histogram(scores, edges)[0].tolist()
        return {"edges": edges.tolist(), "counts": counts}


def _breasts(
    frame: pl.DataFrame, manifest: Manifest | None, sources: Sequence[Source], protocol: Protocol
) -> pl.DataFrame:
    """n, side, label, birads, and score_K of each source: one row per breast."""
    sides = pl.DataFrame({"side": list(SIDES)})
    breasts = frame.select("n", *_KEYS).join(sides, how="cross")
    if manifest is None:
        known = (
            breasts.clear()
            .select(*_KEYS, "side")
            .with_columns(label=pl.lit(None, pl.Int8), birads=pl.lit(None, pl.Int8))
        )
    else:
        known = manifest.breasts.select(*_KEYS, "side", "birads", label="cancer")
        if protocol.is_binary and protocol.unit in ("breast", "image"):
            units, _ = labelled_units(manifest, "breast", protocol.label, "all")
            known = known.drop("label").join(
                units.select("exam_id", "side", "label"), on=["exam_id", "side"], how="left"
            )
    breasts = breasts.join(known, on=[*_KEYS, "side"], how="left", maintain_order="left")
    for place, source in enumerate(sources):
        scores = source.scores().select("exam_id", "side", score="score")
        scores = scores.unique(["exam_id", "side"], keep="first", maintain_order=True)
        breasts = breasts.join(
            scores, on=["exam_id", "side"], how="left", maintain_order="left"
        ).rename({"score": f"score_{place}"})
    return breasts.drop(_KEYS)


def _by_side(breasts: pl.DataFrame) -> pl.DataFrame:
    """One row per exam: label_R, label_L, birads_R, score_0_R, ..., and the larger error."""
    values = [c for c in breasts.columns if c not in ("n", "side")]
    error: pl.Expr = pl.lit(None, pl.Float64)
    if "score_0" in values:
        error = (pl.col("label") - pl.col("score_0")).abs()
    error = error.alias("error")
    per_side = [
        pl.col(c).filter(pl.col("side") == side).first().alias(f"{c}_{side}")
        for c in values
        for side in SIDES
    ]
    return (
        breasts.with_columns(error)
        .group_by("n", maintain_order=True)
        .agg(*per_side, pl.col("error").max())
    )


def _with_facts(frame: pl.DataFrame, manifest: Manifest | None) -> pl.DataFrame:
    """Age, density, split and vendor of each exam."""
    if manifest is None:
        return frame.with_columns(age=pl.lit(None, pl.Float64), density=pl.lit(None, pl.String))
    exams = manifest.exams.select(*_KEYS, "age", "density", "split")
    breasts = manifest.breasts.group_by(_KEYS).agg(of_breasts=pl.col("density").drop_nulls().max())
    vendors = manifest.images.group_by(_KEYS).agg(vendor=pl.col("vendor").drop_nulls().first())
    for table in (exams, breasts, vendors):
        frame = frame.join(table, on=_KEYS, how="left", maintain_order="left")
    return frame.with_columns(density=pl.coalesce("density", "of_breasts")).drop("of_breasts")


def _facets(frame: pl.DataFrame) -> Mapping[str, list[str]]:
    """Columns to filter by, with their values; those with one value only are no filter."""
    facets = {}
    for column in (*FACETS, "label_R", "label_L", "birads_R", "birads_L"):
        if column in frame.columns:
            values = frame[column].cast(pl.String).fill_null("unknown").unique().sort().to_list()
            if 1 < len(values) <= MAX_VALUES:
                facets[column] = values
    return facets


def _neighbours(
    ordered: pl.DataFrame, ordinal: int, key: Callable[[str, str], str]
) -> dict[str, Any]:
    """The place of an exam in the order, and the exams beside it; the first where it has none."""
    place = ordered.with_row_index("place").filter(pl.col("n") == ordinal)
    at = int(place["place"][0]) if len(place) else -1

    def one(index: int) -> dict[str, Any] | None:
        if not 0 <= index < len(ordered):
            return None
        row = ordered.row(index, named=True)
        return {"key": key(row["patient_id"], row["exam_id"]), "n": row["n"], "place": index + 1}

    return {
        "place": at + 1 if at >= 0 else None,
        "this": one(at),
        "previous": one(at - 1) if at > 0 else None,
        "next": one(at + 1),
    }


def _bit(label: str) -> int:
    if label not in ("0", "1"):
        raise ServeError(f"label is '{label}', need 1, 0 or unknown")
    return int(label)
