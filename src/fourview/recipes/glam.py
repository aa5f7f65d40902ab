"""Runs of GLAM: the published one, its ablations (table 5), and small ones for phantoms."""

from dataclasses import replace

from fourview.captions.augment import GENTLE, HEAVY
from fourview.feeds.augment import AugmentConfig
from fourview.feeds.augment_photo import PhotoConfig
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.models.glam.model import GlamConfig
from fourview.models.glam.objective import GlamObjectiveConfig
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
STEPS = 40_000  # about 32 passes over the training part, 70 % of the published 257,000 images
SPLIT = SplitConfig(train=0.7, validation=0.1, test=0.2)  # by patient, as MaMA


def paper() -> Recipe:
    """The published run: DINOv2 ViT-B/14 at 518, BioClinicalBERT, CC and aligned MLO, 9 x 9.

    Du et al. 2025 (MICCAI), section 3: learning rate 4e-5, decay 0.2, batch 144, 40,000 steps, all
    losses from the first one; AdamW as in the code (the paper says SGD, which cannot train a ViT at
    that rate). Screening exams (``index --screening``) with BI-RADS 0, 1 or 2, 70/10/20 by patient.
    Reported zero-shot on EMBED screening: BI-RADS 47.24 balanced accuracy, density 79.06.
    """
    return Recipe(
        name="glam:paper",
        family="glam",
        model=GlamConfig(
            image=ImageTowerConfig(pooled="cls"),
            text=TextTowerConfig(name=BERT, weights="pretrained", pooled="cls"),
        ),
        pixel_spec="glam-518",
        stage="pretrain",
        feed=CaptionFeedConfig(
            positive="partner",
            texts="every",
            augment=GENTLE,
            birads=(0, 1, 2),
        ),
        unit="exam",
        batch=144,
        steps=STEPS,
        optimizer=OptimizerConfig(
            name="adamw", lr=4e-5, weight_decay=0.2, decay="matrices", clip_norm=1.0
        ),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=0.1, lowest=2.5e-4),
        augment=AugmentConfig(
            vertical_flip=0.0,
            rotation=10.0,
            translation=0.05,
            scale=(0.9, 1.1),
            shear=0.0,
            gain=0.3,
        ),
        precision="bfloat16",
        split=SPLIT,
        contrast=ContrastConfig(chunk=12),
    )


def reference() -> Recipe:
    """As the public code computes it: free queries, CC with captions only, summed directions.

    Breasts stretched to a square, so that a column is a fraction of the depth; the published Hough
    transform, and 18 degrees where it finds no line. Six layers of the text encoder; captions with
    the heavy changes, their negations kept; jitter and blur without crops and flips, as the code
    has them for pairs; the weights after the last step.
    """
    recipe = paper()
    image = replace(recipe.model.image, mean=(0.5,) * 3, std=(0.5,) * 3)
    text = replace(recipe.model.text, layers=6)
    return replace(
        recipe,
        name="glam:reference",
        model=replace(
            recipe.model, image=image, text=text, pooling="free", view_norm="batch", max_scale=None
        ),
        objective=GlamObjectiveConfig(text_views="cc", text_weight=2.0, negatives="all"),
        feed=replace(recipe.feed, texts="anchor", augment=HEAVY),
        contrast=replace(recipe.contrast, gathered=False),
        optimizer=replace(recipe.optimizer, decay="all", clip_norm=None),
        augment=replace(
            recipe.augment, gain=0.0, photo=PhotoConfig(jitter=0.8, jitter_range=0.8, blur=0.4)
        ),
        select="last",
        pixel_spec="glam-518-published",
    )


def filled() -> Recipe:
    """Breasts as large as both views fit the frame, and nothing asked of places without tissue.

    In ``glam:paper`` a median breast fills a quarter of the super-patches, and most negatives are
    empty. Here both views of a breast have one scale, at which the larger fills 756 x 378 pixels
    (54 x 27 tokens, 6 x 3 a super-patch), and what is less than a tenth breast is left out.
    """
    recipe = paper()
    return replace(
        recipe,
        name="glam:filled",
        pixel_spec="glam-756x378",
        objective=GlamObjectiveConfig(least_tissue=0.1),
    )


def union() -> Recipe:
    """One softmax over both kinds of negatives, the paper's Eq. 4."""
    return replace(
        paper(), name="glam:union", objective=GlamObjectiveConfig(local_negatives="union")
    )


def no_local() -> Recipe:
    """Without the local alignment (table 5)."""
    recipe = paper()
    return replace(recipe, name="glam:no_local", model=replace(recipe.model, local=False))


def no_patient_negatives() -> Recipe:
    """Negatives from the same image only (table 5)."""
    return replace(
        paper(),
        name="glam:no_patient_negatives",
        objective=GlamObjectiveConfig(local_negatives="position"),
    )


def average_pooling() -> Recipe:
    """Super-patches are means of their cells (table 5)."""
    recipe = paper()
    model = replace(recipe.model, pooling="average")
    return replace(recipe, name="glam:average_pooling", model=model)


def no_columns() -> Recipe:
    """A super-patch looks for itself in the whole other view (table 5)."""
    recipe = paper()
    return replace(recipe, name="glam:no_columns", model=replace(recipe.model, columns=False))


def m16() -> Recipe:
    """4 x 4 super-patches (table 5)."""
    recipe = paper()
    return replace(recipe, name="glam:m16", model=replace(recipe.model, super_patches=(4, 4)))


def m324() -> Recipe:
    """18 x 18 super-patches (table 5)."""
    recipe = paper()
    return replace(recipe, name="glam:m324", model=replace(recipe.model, super_patches=(18, 18)))


def phantom() -> Recipe:
    """GLAM small enough for phantoms on a CPU: 6 x 6 super-patches over 12 x 6 tokens."""
    return Recipe(
        name="glam:phantom",
        family="glam",
        model=GlamConfig(
            image=ImageTowerConfig(
                name="small",
                weights="none",
                widths=(8, 16, 24, 32, 32),
                mean=(0.3,) * 3,
                std=(0.25,) * 3,
            ),
            text=TextTowerConfig(dim=32, layers=1),
            dim=64,
            super_patches=(6, 6),
            pooling_heads=4,
        ),
        pixel_spec="glam-96x48",
        stage="pretrain",
        feed=CaptionFeedConfig(positive="partner", texts="every", anchors="exam"),
        unit="exam",
        batch=48,
        epochs=28,
        optimizer=OptimizerConfig(name="adamw", lr=3e-3, weight_decay=0.01, decay="matrices"),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=0.1),
        augment=AugmentConfig(
            vertical_flip=0.0,
            rotation=4.0,
            translation=0.03,
            scale=(0.95, 1.05),
            shear=0.0,
            gain=0.1,
        ),
        split=SplitConfig(train=0.76, validation=0.04, test=0.2),
    )


def phantom_unaligned() -> Recipe:
    """The same with MLO views as they are, to see what the alignment does."""
    return replace(phantom(), name="glam:phantom_unaligned", pixel_spec="vlp-96x48")


def phantom_findings() -> Recipe:
    """Captions that tell the finding and the impression only, beside mama:phantom_findings.

    12 x 6 super-patches of 19 mm over 24 x 12 tokens. What it reaches is in docs/results/vlp.md.
    """
    recipe = phantom()
    return replace(
        recipe,
        name="glam:phantom_findings",
        model=replace(recipe.model, super_patches=(12, 6)),
        pixel_spec="glam-192x96",
        feed=replace(recipe.feed, segments=("findings", "impression"), anchors="image"),
        batch=16,  # of two images
        steps=600,
        epochs=None,
        select="last",
        split=SPLIT,
    )


def phantom_findings_no_local() -> Recipe:
    """The same without the local alignment."""
    recipe = phantom_findings()
    return replace(
        recipe, name="glam:phantom_findings_no_local", model=replace(recipe.model, local=False)
    )


def phantom_findings_union() -> Recipe:
    """The same with one softmax over both kinds of negatives, the paper's Eq. 4."""
    return replace(
        phantom_findings(),
        name="glam:phantom_findings_union",
        objective=GlamObjectiveConfig(local_negatives="union"),
    )


def phantom_findings_no_columns() -> Recipe:
    """The same where a super-patch looks for itself in the whole other view."""
    recipe = phantom_findings()
    return replace(
        recipe,
        name="glam:phantom_findings_no_columns",
        model=replace(recipe.model, columns=False),
    )
