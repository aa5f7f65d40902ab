"""Runs of DMV-CNN."""

from dataclasses import replace

from fourview.feeds.augment import NO_AUGMENTATION, AugmentConfig
from fourview.geometry import Size
from fourview.models.dmv.model import DmvConfig
from fourview.models.dmv.patches import PatchNetworkConfig
from fourview.nn.resnet22 import ResNet22Config
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig

MINI_PATCHES = PatchNetworkConfig(
    growth=8, blocks=(2, 2, 2, 2), first=16, side_px=32, stride_px=24, at_once=128
)


def views() -> Recipe:
    """The view-wise model on pixels alone.

    Wu et al. 2019: Adam, 1e-5, L2 penalty 10^-4.5, 4 exams per step, the mean of five networks.
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


def finetune() -> Recipe:
    """Table 1 of Chen et al. 2022 (BRAIxMVCCL): the published view-wise model, trained on.

    Adam 1e-6, weight decay 1e-6, and a batch of 8, read here as 8 images, which are 2 exams.
    Begins with converted weights: fourview convert FILE --as dmv-views -o DIR, then --start DIR.
    Published AUC by image: 0.799 and 0.771 on ADMANI 1 and 2.
    """
    return replace(
        views(),
        name="dmv:finetune",
        batch=2,
        optimizer=OptimizerConfig(name="adam", lr=1e-6, weight_decay=1e-6),
        starts_from="dmv:dmv-views",
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
    ``dmv:patches`` with --start. Every image costs some thousand squares per step, so this run
    needs a GPU.
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
    return _narrow(views(), "dmv:small", size=(384, 192), strides=(1, 1, 2, 2))


def mini() -> Recipe:
    """``small`` at 192 x 96, half the epochs: a fifth of the time."""
    return _mini(views(), "dmv:mini")


def mini_image() -> Recipe:
    """The image-wise model of ``dmv:mini``."""
    return _mini(image(), "dmv:mini_image")


def mini_patches() -> Recipe:
    """The patch classifier of ``dmv:mini_heatmaps``: squares of 32 x 32, 32 of them per image."""
    return _mini(patches(), "dmv:mini_patches")


def mini_heatmaps() -> Recipe:
    """``dmv:mini`` with heatmaps."""
    return replace(_mini(views_heatmaps(), "dmv:mini_heatmaps"), starts_from="dmv:mini_patches")


def mini_image_heatmaps() -> Recipe:
    """``dmv:mini_image`` with heatmaps."""
    return replace(
        _mini(image_heatmaps(), "dmv:mini_image_heatmaps"), starts_from="dmv:mini_patches"
    )


def _mini(like: Recipe, name: str) -> Recipe:
    narrow = replace(_narrow(like, name, size=(192, 96), strides=(1, 1, 1, 2)), epochs=6)
    if narrow.model.patches is None:
        return narrow
    return replace(narrow, model=replace(narrow.model, patches=MINI_PATCHES))


def _narrow(like: Recipe, name: str, *, size: Size, strides: tuple[int, ...]) -> Recipe:
    network = ResNet22Config(widths=(8, 16, 32, 48), strides=strides, first_padding=0)
    return replace(
        like,
        name=name,
        model=replace(like.model, network=network, cc_size=size, mlo_size=size),
        pixel_spec=f"mvccl-{size[0]}x{size[1]}",
        batch=8,
        epochs=12,
        optimizer=OptimizerConfig(name="adamw", lr=2e-3, weight_decay=1e-4),
        schedule=ScheduleConfig(name="one_cycle"),
    )
