"""Runs of the screening networks; settings are ours, since those of the weights are not published.

Start from one of the converted networks: ``--start mammoscreen``. Which one follows from the pixel
spec: ``--set pixel_spec=mammoscreen-1536x1536`` takes net2.
"""

from dataclasses import replace

from fourview.feeds.augment import AugmentConfig
from fourview.models.screen_ensemble.model import TINY, ScreenConfig
from fourview.models.screen_ensemble.published import SPECS
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig


def fine_tune() -> Recipe:
    """Go on from published weights on your own exams, for cancer and density together.

    Exams without a density train cancer alone, and the other way round.
    """
    return Recipe(
        name="screen_ensemble:fine_tune",
        family="screen_ensemble",
        model=ScreenConfig(),
        pixel_spec=SPECS[0],
        batch=4,
        epochs=10,
        optimizer=OptimizerConfig(name="adamw", lr=2e-5, weight_decay=1e-2),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=0.05),
        augment=AugmentConfig(rotation=10.0, translation=0.05, scale=(0.9, 1.1), shear=5.0),
        select="auc",
    )


def mini() -> Recipe:
    """A network of 100,000 weights on small phantoms, to see that everything runs."""
    return replace(
        fine_tune(),
        name="screen_ensemble:mini",
        model=TINY,
        pixel_spec="mvccl-192x96",
        batch=16,
        epochs=4,
        optimizer=OptimizerConfig(name="adamw", lr=2e-3, weight_decay=1e-2),
    )
