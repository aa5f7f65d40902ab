"""Runs of BRAIxMVCCL."""

from fourview.data.augment import AugmentConfig
from fourview.models.mvccl.model import MvcclConfig
from fourview.nn.attention import AttentionConfig
from fourview.nn.encoder import EncoderConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig

PHANTOM_MEAN = (0.3, 0.3, 0.3)  # of processed phantoms inside the breast, to one digit
PHANTOM_STD = (0.25, 0.25, 0.25)


def paper() -> Recipe:
    """The published run: EfficientNet-B0 with ImageNet weights at 1536 x 768.

    Chen et al. 2022, section 3: Adam, 1e-4, weight decay 1e-6, 8 images a step (read here as 4
    breasts of two views), 20 epochs, learning rate times 0.1 on a plateau of the validation loss.
    Reported on private data: AUC 0.948 (0.937 to 0.953) by image on the ADMANI-1 test part.
    """
    return Recipe(
        name="mvccl:paper",
        family="mvccl",
        model=MvcclConfig(),
        pixel_spec="mvccl-1536x768",
        batch=4,
        epochs=20,
        optimizer=OptimizerConfig(name="adam", lr=1e-4, weight_decay=1e-6),
        schedule=ScheduleConfig(name="plateau", factor=0.1, patience=2),
        augment=AugmentConfig(),
    )


def small() -> Recipe:
    """The model that ships with the package: a small encoder at 192 x 96, trained on phantoms.

    It exists so that every stage can be tried without data or a GPU. Its weights, the commands that
    made them and what they reach are in predict/embedded/mvccl-small.
    """
    return Recipe(
        name="mvccl:small",
        family="mvccl",
        model=MvcclConfig(
            encoder=EncoderConfig(name="small", weights="none", mean=PHANTOM_MEAN, std=PHANTOM_STD),
            attention=AttentionConfig(dim=64, heads=4),
            head_dim=128,
            dropout=0.1,
        ),
        pixel_spec="mvccl-192x96",
        batch=32,
        epochs=18,
        optimizer=OptimizerConfig(name="adamw", lr=2e-3, weight_decay=1e-4),
        schedule=ScheduleConfig(name="one_cycle"),
        augment=_gentle(),
        select="auc",
    )


def _gentle() -> AugmentConfig:
    """For coarse pixels, where a wide affine map would blur what little there is to see."""
    return AugmentConfig(
        vertical_flip=0.5,
        rotation=5.0,
        translation=0.05,
        scale=(0.95, 1.05),
        shear=2.0,
        gain=0.1,
    )
