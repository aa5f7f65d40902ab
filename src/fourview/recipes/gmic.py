"""Runs of GMIC."""

from dataclasses import replace

from fourview.feeds.augment import AugmentConfig
from fourview.models.gmic.model import GmicConfig
from fourview.models.gmic.objective import GmicObjectiveConfig
from fourview.nn.resnet22 import ResNet22Config
from fourview.nn.resnet_v1 import ResNetConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig


def published_1() -> Recipe:
    """The first of the five published models: t = 2 %, beta 3.259e-6, lr 4.134e-6.

    Shen et al. 2020 searched lr in 10^[-5.5, -4] and beta in 10^[-5.5, -3.5]; the values of the
    five are their authors'. Four exams (16 images) per step, Adam, trained end to end. The paper
    begins with a global network trained on BI-RADS labels (not published) and a local one from
    ImageNet. Reported: AUC 0.93 for malignant breasts on NYU's test set, mean of the five.
    """
    return Recipe(
        name="gmic:published_1",
        family="gmic",
        model=GmicConfig(local_network=ResNetConfig(weights="imagenet")),
        objective=GmicObjectiveConfig(),
        pixel_spec="nyu-2944x1920",
        unit="exam",
        batch=4,
        epochs=50,
        optimizer=OptimizerConfig(name="adam", lr=4.134e-6, weight_decay=0.0),
        schedule=ScheduleConfig(name="constant"),
        augment=AugmentConfig(
            vertical_flip=0.0,
            rotation=0.0,
            translation=100 / 2944,  # as many pixels as the published window noise
            scale=(0.95, 1.05),
            shear=0.0,
        ),
        select="auc",
    )


def finetune() -> Recipe:
    """Table 1 of Chen et al. 2022 (BRAIxMVCCL): the published first model, trained on.

    They took the settings that GMIC's authors gave for their models, which are those of
    ``gmic:published_1`` here. Begins with converted weights: fourview convert FILE --as gmic-1
    -o DIR, then --start DIR. Published AUC by image: 0.889 and 0.844 on ADMANI 1 and 2.
    """
    return replace(
        published_1(), name="gmic:finetune", model=GmicConfig(), starts_from="gmic:gmic-1"
    )


def published_2() -> Recipe:
    """The second published model: t = 3 %, beta 2.280e-4, lr 1.165e-5."""
    return _published(2, top=0.03, beta=2.280e-4, rate=1.165e-5)


def published_3() -> Recipe:
    """The third published model: t = 3 %, beta 1.416e-4, lr 3.224e-5."""
    return _published(3, top=0.03, beta=1.416e-4, rate=3.224e-5)


def published_4() -> Recipe:
    """The fourth published model: t = 5 %, beta 9.407e-6, lr 1.460e-5."""
    return _published(4, top=0.05, beta=9.407e-6, rate=1.460e-5)


def published_5() -> Recipe:
    """The fifth published model: t = 10 %, beta 4.278e-5, lr 3.525e-6."""
    return _published(5, top=0.10, beta=4.278e-5, rate=3.525e-6)


def small() -> Recipe:
    """GMIC on phantoms of 384 x 192, on a processor in minutes.

    Cells of 16 pixels (a 24 x 12 grid) and patches of 64, so that the parts keep their proportions;
    narrow networks with random weights. What the patches and maps add can be seen, not how well
    the published model reads.
    """
    return Recipe(
        name="gmic:small",
        family="gmic",
        model=GmicConfig(
            global_network=ResNet22Config(widths=(8, 16, 32, 48), strides=(1, 1, 2, 2)),
            local_network=ResNetConfig(depths=(1, 1, 1, 1), widths=(16, 24, 32, 48)),
            top=0.03,
            num_patches=3,
            patch_px=64,
            attention_dim=32,
        ),
        objective=GmicObjectiveConfig(sparsity_weight=1e-2),
        pixel_spec="mvccl-384x192",
        batch=16,
        epochs=12,
        optimizer=OptimizerConfig(name="adamw", lr=2e-3, weight_decay=1e-4),
        schedule=ScheduleConfig(name="one_cycle"),
        augment=AugmentConfig(
            vertical_flip=0.5,
            rotation=5.0,
            translation=0.05,
            scale=(0.95, 1.05),
            shear=2.0,
            gain=0.1,
        ),
        select="auc",
    )


def mini() -> Recipe:
    """``small`` at 192 x 96, the same grid of 24 x 12, half the epochs: a sixth of the time."""
    before = small()
    model = replace(
        before.model,
        global_network=ResNet22Config(widths=(8, 16, 32, 48), strides=(1, 1, 1, 2)),
        patch_px=32,
    )
    return replace(before, name="gmic:mini", model=model, pixel_spec="mvccl-192x96", epochs=6)


def _published(number: int, *, top: float, beta: float, rate: float) -> Recipe:
    first = published_1()
    return replace(
        first,
        name=f"gmic:published_{number}",
        model=replace(first.model, top=top),
        objective=GmicObjectiveConfig(sparsity_weight=beta),
        optimizer=replace(first.optimizer, lr=rate),
    )
