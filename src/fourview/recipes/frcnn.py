"""Runs of Faster R-CNN."""

from dataclasses import replace

from fourview.feeds.augment import NO_AUGMENTATION
from fourview.models.frcnn.model import FrcnnConfig, VggConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig


def paper() -> Recipe:
    """VGG-16 with ImageNet weights on whole images of at most 2145 x 1737.

    Ribli et al. 2018: anchors of 128, 256 and 512 pixels, boxes of one class joined above an IoU of
    0.1. Optimiser and length are those of the detector's original program (SGD, 1e-3, weight decay
    5e-4, one image per step). Reported: AUC 0.95 on INbreast, 0.85 in the DREAM challenge. It needs
    findings with regions.
    """
    return Recipe(
        name="frcnn:paper",
        family="frcnn",
        model=FrcnnConfig(backbone=VggConfig(weights="imagenet")),
        pixel_spec="frcnn-2145x1737",
        batch=1,
        epochs=10,
        optimizer=OptimizerConfig(name="sgd", lr=1e-3, weight_decay=5e-4, clip_norm=10.0),
        schedule=ScheduleConfig(name="plateau", factor=0.1, patience=2),
        augment=NO_AUGMENTATION,  # boxes move with their pixels in the objective only
        select="auc",
    )


def small() -> Recipe:
    """A narrow network on phantoms of 384 x 192, on a processor in minutes."""
    return replace(
        paper(),
        name="frcnn:small",
        model=FrcnnConfig(
            backbone=VggConfig(blocks=((8,), (16,), (24,), (32,), (32,))),
            width=64,
            anchor_px=(12, 24, 48),
            size=(384, 192),
        ),
        pixel_spec="mvccl-384x192",
        batch=4,
        epochs=6,
        optimizer=OptimizerConfig(name="adamw", lr=1e-3, weight_decay=1e-4, clip_norm=10.0),
        schedule=ScheduleConfig(name="one_cycle"),
    )


def mini() -> Recipe:
    """``small`` at 192 x 96 with cells of 8 pixels, since masses have about 12 there."""
    before = small()
    return replace(
        before,
        name="frcnn:mini",
        model=replace(
            before.model,
            backbone=VggConfig(blocks=((8,), (16,), (24,), (32,))),
            anchor_px=(8, 16, 32),
            size=(192, 96),
        ),
        pixel_spec="mvccl-192x96",
    )
