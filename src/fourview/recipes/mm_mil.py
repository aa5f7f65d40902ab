"""Runs of MM-MIL; the settings of MaMA's engine, so that only losses and heads differ."""

from fourview.feeds.augment import AugmentConfig
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.models.mm_mil.model import MmMilConfig
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
    """MM-MIL in our reading with DINOv2 ViT-B/14 at 518.

    Reported by MaMA's paper, zero-shot on EMBED: BI-RADS 21.78 balanced accuracy, density 69.73;
    its hyper-parameters there are not stated.
    """
    return Recipe(
        name="mm_mil:paper",
        family="mm_mil",
        model=MmMilConfig(
            text=TextTowerConfig(name=BERT, weights="pretrained", sentence="separator")
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
        augment=AugmentConfig(
            vertical_flip=0.0,
            rotation=10.0,
            translation=0.06,
            scale=(0.8, 1.1),
            shear=0.0,
            gain=0.3,
        ),
        precision="bfloat16",
        split=SPLIT,
        contrast=ContrastConfig(chunk=12),
    )
