"""Runs of NYU's GLAM."""

from dataclasses import replace

from fourview.feeds.augment import AugmentConfig
from fourview.models.nyu_glam.model import NyuGlamConfig
from fourview.nn.resnet22 import ResNet22Config
from fourview.nn.resnet_v1 import ResNetConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig


def joint() -> Recipe:
    """Both networks trained at once.

    Liu et al. 2021 give architecture and pooling; learning rate, epochs and batch here are GMIC's
    ranges. Stadnick et al. 2021 measured the published model: 0.853 in NYU's reader study, 0.612 on
    INbreast, 0.785 on CMMD.
    """
    return Recipe(
        name="nyu_glam:joint",
        family="nyu_glam",
        stage="joint",
        model=NyuGlamConfig(),
        pixel_spec="nyu-2944x1920",
        unit="exam",
        batch=4,
        epochs=50,
        optimizer=OptimizerConfig(name="adam", lr=1e-5, weight_decay=0.0),
        schedule=ScheduleConfig(name="constant"),
        augment=AugmentConfig(
            vertical_flip=0.0, rotation=0.0, translation=100 / 2944, scale=(0.95, 1.05), shear=0.0
        ),
        select="auc",
    )


def sep_global() -> Recipe:
    """The look at the whole image alone, the first of two."""
    return replace(joint(), name="nyu_glam:sep_global", stage="global", objective=None)


def sep() -> Recipe:
    """The close look, after ``sep_global`` and without changing it."""
    return replace(
        joint(),
        name="nyu_glam:sep",
        stage="local",
        objective=None,
        starts_from="nyu_glam:sep_global",
    )


def small() -> Recipe:
    """Narrow networks on phantoms of 384 x 192, on a processor in minutes."""
    return replace(
        joint(),
        name="nyu_glam:small",
        model=NyuGlamConfig(
            global_network=ResNet22Config(widths=(8, 16, 32, 48), strides=(1, 1, 2, 2)),
            local_network=ResNetConfig(
                depths=(1, 1, 1, 1), widths=(8, 8, 16, 16), strides=(1, 1, 1, 1)
            ),
            patch_px=96,
        ),
        pixel_spec="mvccl-384x192",
        batch=8,
        epochs=12,
        optimizer=OptimizerConfig(name="adamw", lr=2e-3, weight_decay=1e-4),
        schedule=ScheduleConfig(name="one_cycle"),
    )


def mini() -> Recipe:
    """``small`` at 192 x 96, the same grids, half the epochs: a sixth of the time."""
    before = small()
    model = replace(
        before.model,
        global_network=ResNet22Config(widths=(8, 16, 32, 48), strides=(1, 1, 1, 2)),
        patch_px=48,
    )
    return replace(before, name="nyu_glam:mini", model=model, pixel_spec="mvccl-192x96", epochs=6)
