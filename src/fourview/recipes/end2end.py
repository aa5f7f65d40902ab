"""Runs of End2end: patches, then the new layers, then all layers."""

from dataclasses import replace

from fourview.feeds.augment import AugmentConfig
from fourview.models.end2end.model import DDSM_MEAN, End2endConfig
from fourview.models.end2end.objective import PatchObjectiveConfig
from fourview.nn.encoder import EncoderConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig


def patch() -> Recipe:
    """ResNet50 on patches of five kinds, at images of 1152 x 896.

    Shen et al. 2019: ten patches at each finding and as many of background, Adam. It needs findings
    with regions and kinds.
    """
    return Recipe(
        name="end2end:patch",
        family="end2end",
        stage="patch",
        model=End2endConfig(),
        pixel_spec="end2end-1152x896",
        batch=4,
        epochs=20,
        optimizer=OptimizerConfig(name="adam", lr=1e-4, weight_decay=1e-4),
        schedule=ScheduleConfig(name="constant"),
        augment=_still(),
    )


def top() -> Recipe:
    """The two new blocks on the patch classifier, which stays as it is: 1e-3, weight decay 1e-3."""
    return replace(
        patch(),
        name="end2end:top",
        stage="top",
        objective=None,
        feed=None,
        epochs=10,
        optimizer=OptimizerConfig(name="adam", lr=1e-3, weight_decay=1e-3),
        augment=_paper_augmentation(),
        starts_from="end2end:patch",
        select="auc",
    )


def paper() -> Recipe:
    """All layers after ``end2end:top``: a hundredth of its rate, weight decay 1e-2.

    Reported: AUC 0.86 to 0.88 by image on a split of CBIS-DDSM of their own, 0.95 to 0.96 on
    INbreast.
    """
    return replace(
        top(),
        name="end2end:paper",
        stage="all",
        epochs=30,
        optimizer=OptimizerConfig(name="adam", lr=1e-5, weight_decay=1e-2),
        starts_from="end2end:top",
    )


def small_patch() -> Recipe:
    """The first stage of ``end2end:small``."""
    return _small(patch(), "end2end:small_patch", epochs=4, rate=2e-3, starts_from=None)


def small_top() -> Recipe:
    """The second stage of ``end2end:small``."""
    return _small(
        top(), "end2end:small_top", epochs=3, rate=2e-3, starts_from="end2end:small_patch"
    )


def small() -> Recipe:
    """A small encoder on phantoms of 384 x 192, on a processor in minutes."""
    return _small(paper(), "end2end:small", epochs=6, rate=1e-3, starts_from="end2end:small_top")


def mini_patch() -> Recipe:
    """The first stage of ``end2end:mini``."""
    return _mini(small_patch(), "end2end:mini_patch", starts_from=None)


def mini_top() -> Recipe:
    """The second stage of ``end2end:mini``."""
    return _mini(small_top(), "end2end:mini_top", starts_from="end2end:mini_patch")


def mini() -> Recipe:
    """``small`` at 192 x 96, in a third of the time."""
    return _mini(small(), "end2end:mini", starts_from="end2end:mini_top")


def _mini(like: Recipe, name: str, *, starts_from: str | None) -> Recipe:
    objective = like.objective
    if isinstance(objective, PatchObjectiveConfig):
        objective = replace(objective, patch_px=32)
    return replace(
        like,
        name=name,
        objective=objective,
        pixel_spec="mvccl-192x96",
        starts_from=starts_from,
    )


def _small(like: Recipe, name: str, *, epochs: int, rate: float, starts_from: str | None) -> Recipe:
    objective = like.objective
    if isinstance(objective, PatchObjectiveConfig):
        objective = replace(objective, patch_px=64)
    return replace(
        like,
        name=name,
        model=End2endConfig(
            encoder=EncoderConfig(
                name="small", weights="none", mean=(DDSM_MEAN,) * 3, std=(0.25,) * 3
            ),
            top_widths=(32, 32, 64),
            average_flips=False,
        ),
        objective=objective,
        pixel_spec="mvccl-384x192",
        batch=8,
        epochs=epochs,
        optimizer=OptimizerConfig(name="adamw", lr=rate, weight_decay=1e-4),
        schedule=ScheduleConfig(name="one_cycle"),
        starts_from=starts_from,
    )


def _paper_augmentation() -> AugmentConfig:
    return AugmentConfig(
        vertical_flip=0.5, rotation=25.0, translation=0.0, scale=(0.8, 1.2), shear=11.5, gain=0.1
    )


def _still() -> AugmentConfig:
    """Boxes do not move with their pixels, so these images stay where they are."""
    return AugmentConfig(
        vertical_flip=0.0, rotation=0.0, translation=0.0, scale=(1.0, 1.0), shear=0.0, gain=0.1
    )
