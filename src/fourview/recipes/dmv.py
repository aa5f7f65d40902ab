"""Runs of DMV-CNN."""

from dataclasses import replace

from fourview.data.augment import NO_AUGMENTATION, AugmentConfig
from fourview.models.dmv.model import DmvConfig
from fourview.models.dmv.patches import PatchNetworkConfig
from fourview.nn.resnet22 import ResNet22Config
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig

SMALL_PATCHES = PatchNetworkConfig(
    growth=8, blocks=(2, 2, 2, 2), first=16, side_px=48, stride_px=36, at_once=128
)


def views() -> Recipe:
    """The view-wise model on pixels alone.

    Wu et al. 2019: Adam, 1e-5, L2 penalty 10^-4.5, 4 exams a step, the mean of five as an ensemble.
    The networks start from BI-RADS labels there, which are not public. Reported: AUC 0.876 for
    malignant breasts in the reader study with heatmaps, as an ensemble; 0.802 on INbreast and
    0.740 on CMMD as Stadnick et al. 2021 measured one model.
    """
    return Recipe(
        name="dmv:views",
        family="dmv",
        model=DmvConfig(),
        pixel_spec="dmv-2974x1942",
        unit="exam",
        batch=4,
        epochs=50,
        optimizer=OptimizerConfig(name="adam", lr=1e-5, weight_decay=10**-4.5),
        schedule=ScheduleConfig(name="constant"),
        augment=AugmentConfig(
            vertical_flip=0.0,
            rotation=0.0,
            translation=100 / 2974,  # as many pixels as the published window noise
            scale=(0.95, 1.05),
            shear=0.0,
        ),
        select="auc",
    )


def image() -> Recipe:
    """The image-wise model, otherwise as ``dmv:views``."""
    return replace(views(), name="dmv:image", model=DmvConfig(kind="image"))


def patches() -> Recipe:
    """The patch classifier, a DenseNet-121 on squares of 256 x 256 at and beside findings.

    It needs findings with regions. Batch, rate and length are those of ``dmv:views``: the paper's
    are not known here.
    """
    return replace(
        views(),
        name="dmv:patches",
        stage="patches",
        model=DmvConfig(kind="patches", patches=PatchNetworkConfig()),
        objective=None,
        feed=None,
        augment=NO_AUGMENTATION,
        select="loss",
    )


def views_heatmaps() -> Recipe:
    """The view-wise model with two channels of a patch classifier, which stays as it begins.

    Weights of ``fourview convert --as dmv-patches`` or dmv-views-heatmaps take the place of
    ``dmv:patches`` with --start. Every image costs some thousand squares a step, so this run needs
    a GPU.
    """
    return replace(
        views(),
        name="dmv:views_heatmaps",
        model=DmvConfig(patches=PatchNetworkConfig()),
        starts_from="dmv:patches",
    )


def image_heatmaps() -> Recipe:
    """The image-wise model, otherwise as ``dmv:views_heatmaps``."""
    before = views_heatmaps()
    return replace(before, name="dmv:image_heatmaps", model=replace(before.model, kind="image"))


def small() -> Recipe:
    """The view-wise model, narrow, on phantoms of 384 x 192, on a processor in minutes."""
    return _small(views(), "dmv:small", DmvConfig())


def small_image() -> Recipe:
    """The image-wise model of ``dmv:small``."""
    return _small(image(), "dmv:small_image", DmvConfig(kind="image"))


def small_patches() -> Recipe:
    """The patch classifier of ``dmv:small_heatmaps``: squares of 48 x 48, 55 of them an image."""
    config = DmvConfig(kind="patches", patches=SMALL_PATCHES)
    return replace(_small(patches(), "dmv:small_patches", config), epochs=8)


def small_heatmaps() -> Recipe:
    """``dmv:small`` with heatmaps."""
    config = DmvConfig(patches=SMALL_PATCHES)
    return replace(
        _small(views_heatmaps(), "dmv:small_heatmaps", config), starts_from="dmv:small_patches"
    )


def small_image_heatmaps() -> Recipe:
    """``dmv:small_image`` with heatmaps."""
    config = DmvConfig(kind="image", patches=SMALL_PATCHES)
    return replace(
        _small(image_heatmaps(), "dmv:small_image_heatmaps", config),
        starts_from="dmv:small_patches",
    )


def _small(like: Recipe, name: str, model: DmvConfig) -> Recipe:
    return replace(
        like,
        name=name,
        model=replace(
            model,
            network=ResNet22Config(widths=(8, 16, 32, 48), strides=(1, 1, 2, 2), first_padding=0),
            cc_size=(384, 192),
            mlo_size=(384, 192),
        ),
        pixel_spec="mvccl-384x192",
        batch=8,
        epochs=12,
        optimizer=OptimizerConfig(name="adamw", lr=2e-3, weight_decay=1e-4),
        schedule=ScheduleConfig(name="one_cycle"),
    )
