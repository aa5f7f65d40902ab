"""Runs of Mammo-CLIP with EfficientNet-B2 and B5."""

from dataclasses import replace

from fourview.captions.augment import GENTLE
from fourview.feeds.augment import AugmentConfig
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.models.mammo_clip.model import MammoClipConfig
from fourview.nn.tokenizer import TokenizerConfig
from fourview.train.recipe import ContrastConfig, OptimizerConfig, Recipe, ScheduleConfig

BERT = "Bio_ClinicalBERT"  # a folder of text models: docs/weights.md


def b2() -> Recipe:
    """The published run with EfficientNet-B2 at 1520 x 912.

    Ghosh et al. 2024: AdamW, 5e-5, decay 1e-4, one epoch of warm-up of 15, affine augmentation.
    Differs: batch statistics stay as pretrained (batches come in parts), captions are made from
    tables. Reported by MaMA's paper, zero-shot on EMBED: BI-RADS 16.68 balanced accuracy.
    """
    return Recipe(
        name="mammo_clip:b2",
        family="mammo_clip",
        model=MammoClipConfig(),
        pixel_spec="mammoclip-1520x912",
        stage="pretrain",
        feed=CaptionFeedConfig(
            tokenizer=TokenizerConfig(max_tokens=256),
            positive="partner",
            num_texts=2,
            augment=GENTLE,
        ),
        unit="exam",
        batch=32,
        epochs=15,
        optimizer=OptimizerConfig(name="adamw", lr=5e-5, weight_decay=1e-4),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=1 / 15),
        augment=AugmentConfig(
            vertical_flip=0.5, rotation=20.0, translation=0.1, scale=(0.8, 1.2), shear=20.0
        ),
        precision="bfloat16",
        contrast=ContrastConfig(chunk=4, frozen_statistics=True),
    )


def b5() -> Recipe:
    """The same with EfficientNet-B5."""
    recipe = b2()
    image = replace(recipe.model.image, name="tf_efficientnet_b5")
    model = replace(recipe.model, image=image, dropout=0.4)
    return replace(recipe, name="mammo_clip:b5", model=model)
