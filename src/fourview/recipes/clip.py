"""Runs of CLIP, SLIP and ConVIRT; the settings of MaMA's engine, so that only losses differ."""

from dataclasses import replace

from fourview.feeds.augment import AugmentConfig
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.models.clip.model import ClipConfig
from fourview.models.clip.objective import ClipObjectiveConfig
from fourview.nn.image_tower import ImageTowerConfig
from fourview.nn.text_tower import TextTowerConfig
from fourview.train.recipe import (
    ContrastConfig,
    OptimizerConfig,
    Recipe,
    ScheduleConfig,
    SplitConfig,
)

BERT = "Bio_ClinicalBERT"  # a folder of text models: docs/weights.md
STEPS = 40_000  # MaMA's; about 23 passes over its 252,822 training images
SPLIT = SplitConfig(train=0.7, validation=0.1, test=0.2)  # by patient, as MaMA's


def paper() -> Recipe:
    """CLIP with the vision tower and settings that MaMA's paper gives all its baselines.

    Du et al. 2025, section 4: DINOv2 ViT-B/14 with registers at 518, AdamW, 4e-5, decay 0.1, batch
    144, 40,000 steps. The text encoder of the baselines is not stated: BioClinicalBERT, captions as
    MaMA's. Reported zero-shot on EMBED: BI-RADS 23.05 balanced accuracy, density 73.56.
    """
    return Recipe(
        name="clip:paper",
        family="clip",
        model=ClipConfig(
            text=TextTowerConfig(name=BERT, weights="pretrained", pooled="mean"),
        ),
        pixel_spec="vlp-518",
        stage="pretrain",
        feed=CaptionFeedConfig(positive="none"),
        unit="exam",
        batch=144,
        steps=STEPS,
        optimizer=OptimizerConfig(
            name="adamw", lr=4e-5, weight_decay=0.1, decay="matrices", clip_norm=1.0
        ),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=0.1, lowest=2.5e-4),
        augment=_mammograms(),
        precision="bfloat16",
        split=SPLIT,
        contrast=ContrastConfig(chunk=12),
    )


def slip() -> Recipe:
    """CLIP with a second augmentation of the image and SimCLR's loss between the two.

    Mu et al. 2022, with the code's temperature of 0.5. Reported by MaMA's paper, zero-shot on
    EMBED: BI-RADS 24.14, density 75.45.
    """
    recipe = paper()
    return replace(
        recipe,
        name="clip:slip",
        model=replace(recipe.model, projector=True),
        feed=replace(recipe.feed, positive="same"),
    )


def convirt() -> Recipe:
    """ConVIRT: heads with a hidden layer, one sentence of a report, 3/4 of the weight on one way.

    Zhang et al. 2022: weight 0.75, temperature 0.1 fixed. Differs: the mean over tokens where the
    paper takes their maximum. Reported by MaMA's paper, zero-shot: BI-RADS 25.27, density 64.85.
    """
    recipe = paper()
    return replace(
        recipe,
        name="clip:convirt",
        model=replace(recipe.model, heads="mlp", temperature=0.1, learn_temperature=False),
        objective=ClipObjectiveConfig(image_weight=0.75, text="sentence"),
    )


def phantom() -> Recipe:
    """CLIP small enough for phantoms on a CPU, beside mama:phantom and glam:phantom."""
    return Recipe(
        name="clip:phantom",
        family="clip",
        model=ClipConfig(
            image=ImageTowerConfig(
                name="small",
                weights="none",
                widths=(8, 16, 24, 32, 32),
                mean=(0.3,) * 3,
                std=(0.25,) * 3,
            ),
            text=TextTowerConfig(dim=32, layers=1),
            dim=64,
        ),
        pixel_spec="glam-96x48",
        stage="pretrain",
        feed=CaptionFeedConfig(positive="none", anchors="exam"),
        unit="exam",
        batch=48,
        epochs=28,
        optimizer=OptimizerConfig(name="adamw", lr=3e-3, weight_decay=0.01, decay="matrices"),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=0.1),
        augment=_gentle(),
        split=SplitConfig(train=0.76, validation=0.04, test=0.2),
    )


def phantom_findings() -> Recipe:
    """Captions that tell the finding and the impression only, beside mama:phantom_findings.

    As many images per step as there: an item here has one, there two. What it reaches is in
    docs/results/vlp.md.
    """
    recipe = phantom()
    return replace(
        recipe,
        name="clip:phantom_findings",
        pixel_spec="glam-192x96",
        feed=replace(recipe.feed, segments=("findings", "impression"), anchors="image"),
        batch=32,
        steps=600,
        epochs=None,
        select="last",
        split=SPLIT,
    )


def _mammograms() -> AugmentConfig:
    """No flips and no narrow crops, which would lose what the caption names."""
    return AugmentConfig(
        vertical_flip=0.0, rotation=10.0, translation=0.06, scale=(0.8, 1.1), shear=0.0, gain=0.3
    )


def _gentle() -> AugmentConfig:
    """Rows and columns keep their meaning."""
    return AugmentConfig(
        vertical_flip=0.0, rotation=4.0, translation=0.03, scale=(0.95, 1.05), shear=0.0, gain=0.1
    )
