"""The cohort's FROC or ROC curve for the threshold slider, and what of an exam is hit.

Every number is ``evaluate``'s: the same marks, images, rule and counts as ``fourview evaluate`` on
this table. Values come sorted by threshold, so that moving the slider asks the server for nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from fourview.entities import Manifest
from fourview.errors import EvaluationError
from fourview.evaluate.auc import counts_above
from fourview.evaluate.froc import froc_curve, match_marks
from fourview.evaluate.marks import MatchedMarks, matched_marks
from fourview.evaluate.protocols import Protocol
from fourview.evaluate.run import Draws, resampling_of
from fourview.evaluate.units import Units, gather_units
from fourview.serve.predictions import TableSource

BOX = ("x0", "y0", "x1", "y1")
Json = dict[str, Any]


class Curve:
    """The curve of one predictions table by one protocol.

    Args:
        source: The table.
        manifest: The data set's tables.
        protocol: Says what counts and when a mark is a hit.
    """

    def __init__(self, source: TableSource, manifest: Manifest, protocol: Protocol) -> None:
        self.protocol = protocol
        self.notes: tuple[str, ...] = ()
        self.matched: MatchedMarks | None = None
        self.units: Units | None = None
        if not protocol.is_binary:
            self.notes = (f"{protocol.name} has several classes: no curve of a threshold",)
            return
        try:
            units = gather_units(source.table, manifest, protocol, None)
        except EvaluationError as error:
            self.notes = (str(error),)
            return
        if units.frame.is_empty():
            self.notes = ("no scored breast has a known label",)
            return
        self.units = units
        resampling = resampling_of(units, protocol, Draws(replicates=0, seed=0, workers=1))
        self.matched, self.notes = matched_marks(
            source.table, manifest, units, protocol, resampling
        )

    def json(self) -> Json:
        """``kind`` froc, roc or none; cuts falling; what is found and what is false."""
        about = {"protocol": self.protocol.name, "notes": list(self.notes)}
        if self.matched is not None and len(self.matched.table.targets):
            table = self.matched.table
            curve = froc_curve(table)
            scores = [table.targets["score"].drop_nulls(), table.false_marks["score"]]
            cuts = np.unique(np.concatenate([s.to_numpy() for s in scores]))[::-1]
            return {
                **about,
                "kind": "froc",
                "x_label": "false marks per image",
                "y_label": "share of findings found",
                "cuts": cuts.tolist(),
                "x": curve.x[1:].tolist(),
                "y": curve.y[1:].tolist(),
            }
        if self.units is not None and 0 < self.units.positive.sum() < len(self.units.positive):
            fp, tp = counts_above(self.units.scores, self.units.positive)
            return {
                **about,
                "kind": "roc",
                "x_label": "1 - specificity",
                "y_label": "sensitivity",
                "cuts": np.unique(self.units.scores)[::-1].tolist(),
                "x": (fp[1:] / fp[-1]).tolist(),
                "y": (tp[1:] / tp[-1]).tolist(),
            }
        return {**about, "kind": "none"}

    def outcomes(self, image_ids: Sequence[str]) -> Json:
        """What the rule says of an exam's marks and findings.

        Returns:
            ``marks``: one row per mark of these images with its box and ``outcome`` hit, false,
            ignored or not counted; ``findings``: one row per finding that counts, with the highest
            score of its hits, null where it has none.
        """
        if self.matched is None or self.protocol.froc is None:
            return {"marks": [], "findings": []}
        mine = pl.col("image_id").is_in(list(image_ids))
        images = self.matched.images.filter(mine)
        marks = self.matched.marks.filter(mine)
        findings = self.matched.findings.filter(mine)
        mark_rows = [
            {"image_id": row["image_id"][0], "box": list(row.select(BOX).row(0)), "score": score}
            | {"outcome": self._outcome(row, findings, images)}
            for row, score in ((marks[i], marks["score"][i]) for i in range(len(marks)))
        ]
        finding_rows = []
        for i in range(len(findings)):
            table = match_marks(marks, findings[i], images, self.protocol.froc)
            if len(table.targets):
                box = list(findings[i].select(BOX).row(0))
                image_id, best = findings["image_id"][i], table.targets["score"][0]
                finding_rows.append({"image_id": image_id, "box": box, "score": best})
        return {"marks": mark_rows, "findings": finding_rows}

    def _outcome(self, mark: pl.DataFrame, findings: pl.DataFrame, images: pl.DataFrame) -> str:
        """One mark by itself, matched by the same function as all of them."""
        assert self.protocol.froc is not None
        if mark.join(images, on="image_id", how="semi").is_empty():
            return "not counted"
        table = match_marks(mark, findings, images, self.protocol.froc)
        if len(table.false_marks):
            return "false"
        return "ignored" if table.num_ignored else "hit"
