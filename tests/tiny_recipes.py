"""Recipes that two processes train in seconds, for ``--module tiny_recipes`` in tests.

Nothing in them depends on how a batch is shared: no dropout, no augmentation, and no statistics
over a part of the batch.
"""

from dataclasses import replace

from fourview.feeds.augment import NO_AUGMENTATION
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.models.find import find_family
from fourview.recipes.probe import small_linear
from fourview.train.recipe import ContrastConfig, OptimizerConfig, Recipe, SplitConfig

SPLIT = SplitConfig(train=0.5, validation=0.25, test=0.25)


def linear() -> Recipe:
    """A head on a tower that stays as it is; every image counts alike."""
    return replace(
        small_linear(),
        name="tiny:linear",
        model=replace(small_linear().model, image=find_family("clip").tiny_config.image),
        starts_from="tiny:contrast",
        batch=4,
        epochs=3,
        augment=NO_AUGMENTATION,
        split=SPLIT,
    )


def contrast() -> Recipe:
    """Images and captions, of which all processes compare all."""
    return Recipe(
        name="tiny:contrast",
        family="clip",
        model=find_family("clip").tiny_config,
        pixel_spec="mvccl-192x96",
        stage="pretrain",
        feed=CaptionFeedConfig(require=("density",), positive="none"),
        unit="exam",
        batch=8,
        epochs=6,
        optimizer=OptimizerConfig(name="adamw", lr=1e-3, decay="matrices"),
        augment=NO_AUGMENTATION,
        split=SPLIT,
        contrast=ContrastConfig(frozen_statistics=True),
    )


RECIPES = {"tiny:linear": linear, "tiny:contrast": contrast}
