"""Runs of the single-view baseline, and of the model that ships with the package."""

from dataclasses import replace

from fourview.feeds.augment import AugmentConfig
from fourview.models.single_view.located import LocatedObjectiveConfig
from fourview.models.single_view.model import SingleViewConfig
from fourview.nn.encoder import EncoderConfig
from fourview.recipes import mvccl
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig

LITE = "encoder.body.network"
STILL = ("conv_stem", "bn1", "blocks.0", "blocks.1")  # to stride 4: a third of the time


def paper() -> Recipe:
    """EfficientNet-B0 on one view at a time, the baseline of Chen et al. 2022, Table 1.

    Trained as ``mvccl:paper``; reported AUC 0.886 (0.873 to 0.890) by image on ADMANI-1.
    """
    return _of(mvccl.paper(), "single_view:paper", SingleViewConfig())


def small() -> Recipe:
    """The same small encoder and training as ``mvccl:small``, one view at a time."""
    other = mvccl.small()
    return _of(other, "single_view:small", SingleViewConfig(encoder=other.model.encoder))


def located() -> Recipe:
    """The model that ships with the package: EfficientNet-Lite0 to stride 16, told by boxes.

    It needs findings with regions. Begin with ImageNet weights:
    ``--set model.encoder.weights=FILE``. The data and commands that made the weights, and what
    they reach, are in predict/embedded/single_view-located.
    """
    return Recipe(
        name="single_view:located",
        family="single_view",
        stage="located",
        model=SingleViewConfig(
            encoder=EncoderConfig(
                name="tf_efficientnet_lite0",
                weights="none",
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
                stride=16,
            ),
            pool="top",
            top=0.004,
        ),
        pixel_spec="mvccl-512x256",
        objective=LocatedObjectiveConfig(still=tuple(f"{LITE}.{name}." for name in STILL)),
        batch=4,
        steps=1_800,
        optimizer=OptimizerConfig(name="adamw", lr=1e-3, weight_decay=1e-4, clip_norm=5.0),
        schedule=ScheduleConfig(name="one_cycle", warmup=0.15),
        augment=AugmentConfig(
            vertical_flip=0.5,
            rotation=15.0,
            translation=0.05,
            scale=(0.85, 1.2),
            shear=5.0,
            gain=0.2,
        ),
        select="auc",
    )


def mini_eyes() -> Recipe:
    """An encoder for ``mvccl:mini_heads``: ``small`` for 8 epochs, with cells merged as there."""
    other = mvccl.mini_heads()
    base = mvccl.mini()
    return _of(base, "single_view:mini_eyes", SingleViewConfig(encoder=other.model.encoder))


def _of(other: Recipe, name: str, model: SingleViewConfig) -> Recipe:
    return replace(other, name=name, family="single_view", model=model, objective=None)
