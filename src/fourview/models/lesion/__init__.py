"""Benign or malignant, finding by finding (Wu et al. 2020); see README.md of this folder."""

from fourview.contract import ModelFamily, Reads, Stage
from fourview.models.lesion.model import (
    TINY,
    Lesion,
    LesionConfig,
    frozen_encoder,
    window_encoder,
)
from fourview.models.lesion.objective import (
    AggregateObjective,
    LesionObjectiveConfig,
    PatchObjective,
)

FAMILY = ModelFamily(
    name="lesion",
    kind="read",
    paper="Wu et al. 2020, lesion-level classification with local and global context",
    config=LesionConfig,
    build=Lesion,
    stages={
        "patch": Stage(
            objective=PatchObjective,
            settings=LesionObjectiveConfig,
            feed="patches",
            from_feed=("per_epoch",),
            encoder=frozen_encoder,
        ),
        "aggregate": Stage(
            objective=AggregateObjective,
            settings=LesionObjectiveConfig,
            feed="patches",
            from_feed=("per_epoch",),
            takes=("local.",),
            encoder=window_encoder,
        ),
    },
    pixel_spec="nyu-2944x1920",
    tiny_config=TINY,
    reads=Reads(feed="patches"),
    marks="patches",
)
