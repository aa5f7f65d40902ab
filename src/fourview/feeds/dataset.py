"""The images of a store as an indexable torch ``Dataset``, for a training loop of one's own.

Fourview trains through feeds, which know of exams. This gives one image at a time: its pixels, its
ids and its label.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl
import torch
from torch.utils.data import Dataset

from fourview.entities import Manifest
from fourview.entities.labels import with_labels
from fourview.errors import StoreError
from fourview.manifest.manifest import images_to_read
from fourview.preprocess.pipeline import from_levels
from fourview.store.store import Store
from fourview.suggest import no_such

UNKNOWN = float("nan")


class StoreDataset(Dataset[dict[str, Any]]):
    """The images of a manifest that a store holds.

    Item i is a dict: ``pixels`` (1, row, col) in [0, 1], float32; ``label``, a float, NaN where
    unknown; ``image_id``, ``exam_id``, ``patient_id``, ``side``, ``view``. torch's default collate
    makes batches of it where all images have one size.

    Args:
        manifest: Whose images; the label comes from the image, else its breast, else its exam.
        store: Their pixels.
        label: A column: cancer, birads, density, ...; None gives NaN.
        classes: Of a label in words, its values in their order: the label is then the index.
        splits: Only images of these: train, validation, test; None takes all.

    Raises:
        StoreError: No table has the label, a value is no class, or no image is left.

    >>> StoreDataset.__name__
    'StoreDataset'
    """

    def __init__(
        self,
        manifest: Manifest,
        store: Store,
        *,
        label: str | None = "cancer",
        classes: Sequence[str] | None = None,
        splits: Sequence[str] | None = None,
    ) -> None:
        rows = images_to_read(manifest)
        if splits is not None:
            chosen = manifest.exams.filter(pl.col("split").is_in(list(splits)))
            rows = rows.filter(pl.col("exam_id").is_in(chosen["exam_id"].implode()))
        rows = rows.filter(pl.Series([i in store for i in rows["image_id"]], dtype=pl.Boolean))
        if rows.is_empty():
            raise StoreError(
                f"{store.path}: holds no image of {' and '.join(splits or ('this manifest',))}; "
                "prepare the manifest, or name other splits"
            )
        self.store = store
        self._labels = [UNKNOWN] * len(rows)
        if label is not None:
            self._labels = _labels(manifest, rows, label, classes)
        names = ("image_id", "exam_id", "patient_id", "side", "view")
        self._rows = list(rows.select(names).iter_rows(named=True))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Image ``index``; counted from the end where below 0."""
        row = self._rows[index]
        levels = self.store.read(row["image_id"])
        return {
            "pixels": torch.from_numpy(from_levels(levels))[None],
            "label": self._labels[index],
            **{name: "" if value is None else value for name, value in row.items()},
        }


def _labels(
    manifest: Manifest, rows: pl.DataFrame, label: str, classes: Sequence[str] | None
) -> list[float]:
    tables = (manifest.images, manifest.breasts, manifest.exams)
    if not any(label in table.columns for table in tables):
        there = sorted({name for table in tables for name in table.columns})
        raise StoreError(no_such("label", label, there))
    known = with_labels(
        rows.with_row_index("place"), [label], breasts=manifest.breasts, exams=manifest.exams
    ).sort("place")[label]
    if classes is not None:
        number = {name: float(k) for k, name in enumerate(classes)}
        strange = sorted({str(v) for v in known if v is not None and str(v) not in number})
        if strange:
            raise StoreError(
                f"label '{label}' has values {', '.join(strange[:5])} that are none of the classes "
                f"{', '.join(classes)}"
            )
        return [UNKNOWN if v is None else number[str(v)] for v in known]
    if not (known.dtype.is_numeric() or known.dtype in (pl.Boolean, pl.Null)):
        shown = ", ".join(sorted({str(v) for v in known if v is not None})[:6])
        raise StoreError(
            f"label '{label}' is in words ({shown}); give classes=(...) in their order"
        )
    return [UNKNOWN if v is None else float(v) for v in known]
