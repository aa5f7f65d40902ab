"""Linear probes and fine-tuning of image towers.

``fourview train probe:linear --start RUN`` probes the tower of any language-image run; the part of
the training images and the task are ``--set feed.fraction=0.01`` and ``--set model.task=birads7``.
"""

from dataclasses import replace

from fourview.feeds.augment import AugmentConfig
from fourview.feeds.kinds.images import ImageFeedConfig
from fourview.models.probe.model import ProbeConfig
from fourview.nn.image_tower import ImageTowerConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig

STEPS = 8_000  # both papers
BATCH = 36  # MaMA; GLAM has 96
ROUNDS = 8  # looks at the validation part; the papers have none
PHANTOM_MEAN = (0.3, 0.3, 0.3)  # of processed phantoms inside the breast, to one digit
PHANTOM_STD = (0.25, 0.25, 0.25)
AUGMENT = AugmentConfig(  # GLAM's soft alignment: nothing that a caption's side or depth denies
    vertical_flip=0.0, rotation=10.0, translation=0.05, scale=(0.9, 1.1), shear=0.0, gain=0.2
)


def dinov2_linear() -> Recipe:
    """Linear probe of DINOv2 as it was pretrained on photographs: the DINOv2-ViT rows.

    MaMA, Tables 1 to 3, and its section 4.2: SGD with momentum 0.9, 5e-4 falling to 1e-5 as a
    cosine after 100 steps of warm-up, weight decay 1e-3, 8,000 steps of 36 images drawn evenly from
    the classes. Published on EMBED BI-RADS with 100 %: balanced accuracy 29.33, AUC 70.11.
    """
    return Recipe(
        name="probe:dinov2_linear",
        family="probe",
        model=ProbeConfig(),
        pixel_spec="vlp-518",
        stage="linear",
        feed=ImageFeedConfig(draws=STEPS * BATCH // ROUNDS),
        unit="exam",
        batch=BATCH,
        epochs=ROUNDS,
        optimizer=OptimizerConfig(name="sgd", lr=5e-4, weight_decay=1e-3),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=100 / STEPS, lowest=0.02),
        augment=AUGMENT,
        precision="bfloat16",
    )


def dinov2_fine_tune() -> Recipe:
    """Full fine-tuning of DINOv2; settings of ``probe:dinov2_linear``, nothing frozen."""
    return replace(
        dinov2_linear(), name="probe:dinov2_fine_tune", stage="fine_tune", objective=None
    )


def random_linear() -> Recipe:
    """Linear probe of the same network with random weights throughout: the Random-ViT rows."""
    return replace(dinov2_linear(), name="probe:random_linear", model=_random())


def random_fine_tune() -> Recipe:
    """Training the network from random weights, with the settings of fine-tuning."""
    return replace(dinov2_fine_tune(), name="probe:random_fine_tune", model=_random())


def linear() -> Recipe:
    """Linear probe of a pre-trained tower: give its run with ``--start``, else ``mama:paper``."""
    return replace(dinov2_linear(), name="probe:linear", model=_random(), starts_from="mama:paper")


def fine_tune() -> Recipe:
    """Full fine-tuning of a pre-trained tower: give its run with ``--start``."""
    return replace(
        dinov2_fine_tune(), name="probe:fine_tune", model=_random(), starts_from="mama:paper"
    )


def small_linear() -> Recipe:
    """Linear probe of a small tower on phantoms; with ``--start`` of a pre-trained one.

    Without a start the tower is random: the row that any pre-training has to beat.
    """
    return Recipe(
        name="probe:small_linear",
        family="probe",
        model=ProbeConfig(
            image=ImageTowerConfig(name="small", weights="none", mean=PHANTOM_MEAN, std=PHANTOM_STD)
        ),
        pixel_spec="mvccl-192x96",
        stage="linear",
        unit="exam",
        batch=32,
        epochs=10,
        optimizer=OptimizerConfig(name="adamw", lr=1e-2, weight_decay=1e-3),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=0.05, lowest=0.02),
        augment=AugmentConfig(
            vertical_flip=0.5, rotation=5.0, translation=0.05, scale=(0.95, 1.05), shear=0.0
        ),
    )


def small_fine_tune() -> Recipe:
    """Training the small tower of ``probe:small_linear`` with its head."""
    return replace(
        small_linear(),
        name="probe:small_fine_tune",
        stage="fine_tune",
        objective=None,
        optimizer=OptimizerConfig(name="adamw", lr=2e-3, weight_decay=1e-4),
    )


def _random() -> ProbeConfig:
    return ProbeConfig(image=ImageTowerConfig(weights="none"))
