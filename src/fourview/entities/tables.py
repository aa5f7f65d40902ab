"""The tables that a data set and a model's scores are turned into.

Unknown is null, never 0 or -1. A table may have more columns than these; subgroups use any.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

_KEYS = {"patient_id": pl.String, "exam_id": pl.String}
IMAGES_SCHEMA: Mapping[str, Any] = {
    **_KEYS,
    "image_id": pl.String,
    "side": pl.String,  # R, L; null where the source does not say
    "view": pl.String,  # CC, MLO, ML, ...; null where the source does not say
    "path": pl.String,  # relative to the root of the data set
    "kind": pl.String,  # ffdm, film, synthetic, tomosynthesis, cesm_low_energy, cesm_subtracted
    "modifiers": pl.List(pl.String),
    "rows": pl.Int32,
    "cols": pl.Int32,
    "spacing_mm": pl.Float64,
    "vendor": pl.String,
    "voi": pl.String,  # overrides the spec's for files known to be wrong: header, ignore; else null
    "left_out": pl.String,  # why it is not read, a word of ``entities.reasons``; null where it is
}
BREASTS_SCHEMA: Mapping[str, Any] = {
    **_KEYS,
    "side": pl.String,
    "cancer": pl.Int8,  # 1, 0 or null, by the rule in manifest.json
    "birads": pl.Int8,
    "density": pl.String,  # A, B, C, D
}
EXAMS_SCHEMA: Mapping[str, Any] = {
    **_KEYS,
    "age": pl.Float64,
    "density": pl.String,
    "split": pl.String,  # train, validation, test; null where none is assigned
}
FINDINGS_SCHEMA: Mapping[str, Any] = {
    **_KEYS,
    "finding_id": pl.String,
    "image_id": pl.String,  # null for a finding that no image has a region of
    "side": pl.String,
    "kind": pl.String,
    "malignant": pl.Int8,
    "x0": pl.Float64,
    "y0": pl.Float64,
    "x1": pl.Float64,
    "y1": pl.Float64,
    "polygon": pl.List(pl.Float64),  # x y x y ...
    "frame": pl.String,  # stored; or flipped_unknown where the source's frame cannot be told
}
PREDICTIONS_SCHEMA: Mapping[str, Any] = {
    "unit": pl.String,  # image, breast, exam, finding, region
    **_KEYS,
    "side": pl.String,
    "image_id": pl.String,
    "finding_id": pl.String,
    "class": pl.String,  # cancer, A, B, ...
    "score": pl.Float64,
    "x0": pl.Float64,
    "y0": pl.Float64,
    "x1": pl.Float64,
    "y1": pl.Float64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The tables that a data set is turned into; read and checked by ``manifest.manifest``.

    Attributes:
        source: Name of the reader that made it.
        root: Folder that ``path`` is relative to.
        terms: Terms of use of the data, carried into checkpoints trained on them.
        label_rules: For each label, in words, how it was made.
        may_release_weights: False where the terms forbid to pass on weights trained on the data.
    """

    images: pl.DataFrame
    breasts: pl.DataFrame
    exams: pl.DataFrame
    findings: pl.DataFrame
    source: str
    root: str
    terms: str
    label_rules: Mapping[str, str] = field(default_factory=dict)
    may_release_weights: bool = True
