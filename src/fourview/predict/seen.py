"""An exam as each network of a reader sees it, and what they say of it together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from fourview.entities import Finding, Image
from fourview.feeds.pixels import ExamPixels
from fourview.predict.marks import Look
from fourview.predict.network import Network
from fourview.predict.table import mean_of_tables, prediction_rows, table_of

Scores = Mapping[tuple[str, str], Mapping[str, float]]  # by unit and id or side, of each class


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An exam as one network sees it; ``look`` is None where no image could be processed."""

    network: Network
    pixels: ExamPixels
    look: Look | None


def see(network: Network, pixels: ExamPixels) -> Seen:
    """Let a network, or its context, look at an exam."""
    first = network.first
    look = next(first.looks(first.feed_of_exam(pixels))) if pixels.images else None
    return Seen(network=network, pixels=pixels, look=look)


def scores_of(seen: Sequence[Seen]) -> Scores:
    """What is said of the images and breasts of an exam; unknown scores are left out."""
    tables = [
        table_of(prediction_rows(one.look.samples, one.look.output, one.look.classes))
        for one in seen
        if one.look is not None
    ]
    scores: dict[tuple[str, str], dict[str, float]] = {}
    if tables:
        known = mean_of_tables(tables).filter(pl.col("score").is_not_nan())
        whose = pl.coalesce("image_id", "side")
        for unit, key, name, score in known.select("unit", whose, "class", "score").iter_rows():
            scores.setdefault((unit, key), {})[name] = score
    return scores


def notes_of(image: Image, own: Sequence[Seen], seen: Sequence[Seen]) -> Iterator[str]:
    """Notes on how an image was processed, and on which networks could not read it."""
    for processed in (p for one in own for p in one.pixels.processed):
        if processed.image_id == image.image_id:
            yield from processed.notes
    for one in seen:
        for left in one.pixels.left_out:
            if left.image_id == image.image_id:
                yield f"not read by {one.network.name}: {left.detail}"


def mean_of_findings(of_each: Sequence[Sequence[Finding]]) -> tuple[Finding, ...]:
    """The first network's findings, with the mean of all networks' scores."""
    first, *others = of_each

    def mean(finding: Finding) -> Finding:
        same = [f for own in others for f in own if f.finding_id == finding.finding_id]
        known = [f.score for f in (finding, *same) if f.score is not None]
        return replace(finding, score=float(np.mean(known)) if known else None)

    return tuple(first if not others else map(mean, first))
