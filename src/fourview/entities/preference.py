"""Which of several images of one view stands for it: the one rule, for files and manifests.

Rule:    the preferred image has, in this order:
         1. no displaced implant, then the fewest modifiers (rolled, tangential, ...);
         2. pixels that are meant to be looked at (For Presentation);
         3. the better kind (KINDS);
         4. the earlier place in the source's own list (``rank``, where it has one);
         5. the later acquisition: a repeat was made because the first was poor;
         6. more pixels;
         7. the smaller image id, so that there is always one answer and the order of files or rows
            never matters.
Unknown: comes after what is known, in every line of the rule.
"""

import polars as pl

KINDS = ("ffdm", "film", "cesm_low_energy", "synthetic")  # the best first; others come last
_MAY_BE_ABSENT = ("is_for_presentation", "rank", "acquired")
_MOMENT = 14  # digits of YYYYMMDDHHMMSS; a date alone is its midnight


def best_first(images: pl.DataFrame) -> pl.DataFrame:
    """The images sorted by the rule of this module, the preferred one first.

    Views are not told apart: the first of each view in the answer is that view's preferred image.

    Args:
        images: Table with ``image_id``, ``kind``, ``modifiers``, ``rows`` and ``cols``, and where
            they are known ``is_for_presentation``, ``rank`` and ``acquired``.
    """
    kinds = {kind: place for place, kind in enumerate(KINDS)}
    modifiers = pl.col("modifiers").cast(pl.List(pl.String))
    acquired = pl.col("acquired")
    if images.schema.get("acquired") == pl.String:
        acquired = acquired.str.pad_end(_MOMENT, "0")
    keys = (  # and whether the larger value comes first
        (modifiers.list.contains("implant_displaced").fill_null(False), False),
        (modifiers.list.len().fill_null(0), False),
        (pl.col("is_for_presentation").cast(pl.Boolean), True),
        (pl.col("kind").replace_strict(kinds, default=len(KINDS), return_dtype=pl.Int32), False),
        (pl.col("rank"), False),
        (acquired, True),
        (pl.col("rows").cast(pl.Int64) * pl.col("cols"), True),
        (pl.col("image_id"), False),
    )
    unknown = {c: pl.lit(None, pl.Int8) for c in _MAY_BE_ABSENT if c not in images.columns}
    ordered = images.with_columns(**unknown).sort(
        [key for key, _ in keys], descending=[larger for _, larger in keys], nulls_last=True
    )
    return ordered.select(images.columns)
