"""Several models read as one: the mean of their scores."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import polars as pl

from fourview.entities import PREDICTIONS_SCHEMA, Exam, ExamPrediction, Manifest
from fourview.errors import CheckpointError
from fourview.predict.reader import Reader, mean_prediction
from fourview.predict.samples import Progress
from fourview.store.store import Store

KEYS = [name for name in PREDICTIONS_SCHEMA if name != "score"]


class Ensemble:
    """Readers of one task whose scores are averaged; each with its own pixels.

    Attributes:
        readers: The members; findings and heatmaps are the first one's.
        card: The first one's, with every member's recipe, digest and terms.
        operating_points: Empty: thresholds of one member are not the mean's.
    """

    def __init__(self, readers: Sequence[Reader]) -> None:
        if not readers:
            raise CheckpointError("an ensemble of no models; name a run or several")
        tasks = {reader.task.name for reader in readers}
        if len(tasks) > 1:
            raise CheckpointError(
                f"models of different tasks ({', '.join(sorted(tasks))}) have no mean; read with "
                "each alone"
            )
        self.readers = tuple(readers)
        first = readers[0]
        self.task, self.spec = first.task, first.spec
        self.operating_points: dict[str, float] = {}
        self.card = replace(
            first.card,
            recipe=" + ".join(reader.card.recipe for reader in readers),
            digest=" + ".join(reader.card.digest for reader in readers),
            terms="; ".join(sorted({r.card.terms for r in readers if r.card.terms})),
            may_release=all(reader.card.may_release for reader in readers),
        )

    def predict(self, exam: Exam) -> ExamPrediction:
        """Read one exam with every member."""
        return mean_prediction([reader.predict(exam) for reader in self.readers])

    def predict_store(
        self,
        manifest: Manifest,
        store: Store,
        *,
        splits: Sequence[str] | None = None,
        batch_size: int = 8,
        workers: int = 0,
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """Mean scores of all exams whose pixels are in a store.

        Raises:
            CheckpointError: A member reads other pixels, or scores other units than the first.
        """
        tables = []
        for number, reader in enumerate(self.readers):
            shown = None if progress is None else partial(self._progress, progress, number)
            tables.append(
                reader.predict_store(
                    manifest,
                    store,
                    splits=splits,
                    batch_size=batch_size,
                    workers=workers,
                    progress=shown,
                )
            )
        return mean_of_tables(tables)

    def _progress(self, progress: Progress, number: int, done: int, of: int) -> None:
        progress(number * of + done, len(self.readers) * of)


def mean_of_tables(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables of predictions of the same units to one, in the order of the first.

    Raises:
        CheckpointError: They score different units.
    """
    first = tables[0]
    total = first["score"]
    for table in tables[1:]:
        if not table.select(KEYS).equals(first.select(KEYS)):
            raise CheckpointError("the models score different units of these exams: no mean")
        total = total + table["score"]
    return first.with_columns(score=total / len(tables))
