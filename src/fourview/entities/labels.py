"""What is known of a breast: its own label, or its exam's where it has none of its own.

The rule goes from the nearest to the farthest, value by value: an image's own label, then that of
its breast, then that of its exam. Nothing is ever taken from the other breast, and an exam takes
nothing from its breasts here.

Cancer and BI-RADS are never an exam's: one cancer says nothing of the other breast, and an exam's
category is that of its worse breast.
"""

from collections.abc import Sequence

import polars as pl

BREAST_ONLY = ("cancer", "birads")
_OF_BREAST, _OF_EXAM = "{}:breast", "{}:exam"


def with_labels(
    rows: pl.DataFrame,
    labels: Sequence[str],
    *,
    breasts: pl.DataFrame | None,
    exams: pl.DataFrame,
    own: bool = True,
) -> pl.DataFrame:
    """Rows of images or breasts with these labels filled in; the order and other columns are kept.

    Args:
        rows: Table with ``exam_id``, and with ``side`` where ``breasts`` is given.
        labels: Columns to fill; one that no table has is null.
        breasts: The manifest's; None where the rows are breasts themselves.
        exams: The manifest's.
        own: Whether the rows' own values come first; without it they do not count.
    """
    sources: dict[str, list[str]] = {label: [] for label in labels}
    out = rows
    for label in labels:
        if own and label in rows.columns:
            sources[label].append(label)
    for name, table, on in (
        (_OF_BREAST, breasts, ["exam_id", "side"]),
        (_OF_EXAM, exams, ["exam_id"]),
    ):
        barred = BREAST_ONLY if name == _OF_EXAM else ()
        known = [c for c in labels if table is not None and c in table.columns and c not in barred]
        if table is not None and known:
            columns = {name.format(label): pl.col(label) for label in known}
            out = out.join(table.select(*on, **columns), on=on, how="left", maintain_order="left")
            for label in known:
                sources[label].append(name.format(label))
    out = out.with_columns(
        (pl.coalesce(places) if places else pl.lit(None)).alias(label)
        for label, places in sources.items()
    )
    extra = {place for places in sources.values() for place in places} - set(labels)
    return out.drop(extra)
