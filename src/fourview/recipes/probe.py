"""Linear probes and fine-tuning of image towers.

``fourview train probe:linear --start RUN`` probes the tower of any language-image run; the part of
the training images and the task are ``--set feed.fraction=0.01`` and ``--set model.task=birads7``.
"""

from dataclasses import replace

from fourview.feeds.augment import NO_AUGMENTATION, AugmentConfig
from fourview.feeds.augment_photo import SIMCLR, PhotoConfig
from fourview.feeds.kinds.images import ImageFeedConfig
from fourview.models.probe.model import ProbeConfig
from fourview.models.probe.objective import ProbeObjectiveConfig
from fourview.nn.image_tower import ImageTowerConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig, SplitConfig

STEPS = 8_000  # both papers
ROUNDS = 8  # looks at the validation part; it chooses nothing, as in the papers
BATCH, GLAM_BATCH = 36, 96  # of MaMA and of GLAM
SPLIT = SplitConfig(train=0.7, validation=0.1, test=0.2)  # by patient; MaMA, section 4.1
RSNA_SPLIT = SplitConfig(train=0.8, validation=0.05, test=0.15)  # 85/15, MaMA and GLAM
PHANTOM_MEAN = (0.3, 0.3, 0.3)  # of processed phantoms inside the breast, to one digit
PHANTOM_STD = (0.25, 0.25, 0.25)
AUGMENT = AugmentConfig(  # GLAM's soft alignment: nothing that a caption's side or depth denies
    vertical_flip=0.0, rotation=10.0, translation=0.05, scale=(0.9, 1.1), shear=0.0, gain=0.2
)


def dinov2_linear() -> Recipe:
    """Linear probe of DINOv2 as it was pretrained on photographs: the DINOv2-ViT rows.

    MaMA, Tables 1 to 3, and its section 4.2: SGD with momentum 0.9, 5e-4 falling to 1e-5 as a
    cosine after 100 steps of warm-up, weight decay 1e-3, 8,000 steps of 36 images drawn evenly from
    the classes, the weights after the last. Published on EMBED BI-RADS with 100 %: balanced
    accuracy 29.33, AUC 70.11.
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
        steps=STEPS,
        optimizer=OptimizerConfig(name="sgd", lr=5e-4, weight_decay=1e-3),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=100 / STEPS, lowest=0.02),
        augment=AUGMENT,
        precision="bfloat16",
        select="last",
        split=SPLIT,
    )


def dinov2_fine_tune() -> Recipe:
    """Full fine-tuning of DINOv2; settings of ``probe:dinov2_linear``, nothing frozen."""
    return _fine_tuned(dinov2_linear(), "probe:dinov2_fine_tune")


def random_linear() -> Recipe:
    """Linear probe of the same network with random weights throughout: the Random-ViT rows."""
    return replace(dinov2_linear(), name="probe:random_linear", model=_random())


def random_fine_tune() -> Recipe:
    """Training the network from random weights, with the settings of fine-tuning."""
    return replace(dinov2_fine_tune(), name="probe:random_fine_tune", model=_random())


def linear() -> Recipe:
    """Linear probe of a pre-trained tower, with MaMA's settings: give its run with ``--start``."""
    return replace(dinov2_linear(), name="probe:linear", model=_random(), starts_from="mama:paper")


def fine_tune() -> Recipe:
    """Full fine-tuning of a pre-trained tower, with MaMA's settings: give its run."""
    return _fine_tuned(linear(), "probe:fine_tune")


def reference_linear() -> Recipe:
    """Linear probe as MaMA's public code trains it: 72 images per step, SimCLR crops and flips."""
    recipe = linear()
    return replace(
        recipe,
        name="probe:reference_linear",
        batch=2 * BATCH,
        feed=replace(recipe.feed, draws=STEPS * 2 * BATCH // ROUNDS),
        augment=replace(NO_AUGMENTATION, vertical_flip=0.5, photo=SIMCLR),
    )


def reference_fine_tune() -> Recipe:
    """Full fine-tuning as MaMA's public code trains it."""
    return _fine_tuned(reference_linear(), "probe:reference_fine_tune")


def glam_linear() -> Recipe:
    """Linear probe with GLAM's settings: 96 images per step, 1,000 steps of warm-up.

    GLAM, section 3, and its code: 8,000 steps, SGD 5e-4 falling to 1e-5, weight decay 1e-3, classes
    drawn evenly; the class token of the tower. On VinDr-Mammo its code has the asymmetric loss and
    no balance: ``--set objective.loss=asymmetric --set feed.balanced=false``. Published on EMBED
    screening with 100 %: BI-RADS 50.07 balanced accuracy, density 79.61.
    """
    recipe = dinov2_linear()
    return replace(
        recipe,
        name="probe:glam_linear",
        model=ProbeConfig(image=ImageTowerConfig(weights="none", pooled="cls")),
        pixel_spec="glam-518",
        batch=GLAM_BATCH,
        feed=replace(recipe.feed, draws=STEPS * GLAM_BATCH // ROUNDS),
        schedule=replace(recipe.schedule, warmup=1_000 / STEPS),
        starts_from="glam:paper",
    )


def glam_fine_tune() -> Recipe:
    """Full fine-tuning with GLAM's settings. Published on EMBED screening: 51.81, density 80.32."""
    return _fine_tuned(glam_linear(), "probe:glam_fine_tune")


def rsna_linear() -> Recipe:
    """Linear probe for cancer on RSNA, with MaMA's settings and 85/15 by patient.

    Of the 85 % that both papers train on, 5 go to a validation part, which chooses nothing here but
    the operating points. Published: balanced accuracy 67.50, AUC 73.99 (MaMA, Table 3).
    """
    recipe = linear()
    return replace(
        recipe,
        name="probe:rsna_linear",
        model=replace(recipe.model, task="cancer"),
        split=RSNA_SPLIT,
    )


def rsna_fine_tune() -> Recipe:
    """Full fine-tuning for cancer on RSNA. Published: 65.20, 73.01 (MaMA, Table 3)."""
    return _fine_tuned(rsna_linear(), "probe:rsna_fine_tune")


def mammo_clip_linear() -> Recipe:
    """Linear probe with Mammo-CLIP's own settings: give ``fourview convert``'s folder as the start.

    Ghosh et al. 2024, the public code on RSNA: AdamW 5e-5, decay 1e-4, 6 images per step, 20
    passes, affine augmentation with both flips, cross entropy with weight 46.48 for cancer (on
    VinDr-Mammo: 8 images per step, 30 passes). Differs: the tower stays as it came, where theirs
    moves the statistics of its batch norms; the best pass is chosen on a validation part, where
    theirs is chosen on the part that is reported; no elastic deformation.
    """
    return Recipe(
        name="probe:mammo_clip_linear",
        family="probe",
        model=ProbeConfig(
            task="cancer", image=ImageTowerConfig(name="tf_efficientnet_b5", weights="none")
        ),
        pixel_spec="mammoclip-1520x912",
        stage="linear",
        objective=ProbeObjectiveConfig(positive_weight=46.48),
        feed=ImageFeedConfig(balanced=False),
        unit="exam",
        batch=6,
        epochs=20,
        optimizer=OptimizerConfig(name="adamw", lr=5e-5, weight_decay=1e-4),
        schedule=ScheduleConfig(name="warmup_cosine", warmup=1 / 20),
        augment=AugmentConfig(
            vertical_flip=0.5,
            rotation=20.0,
            translation=0.1,
            scale=(0.8, 1.2),
            shear=20.0,
            photo=PhotoConfig(mirror=0.5),
        ),
        precision="bfloat16",
        select="auc",
        starts_from="mammo_clip:mammo-clip-b5",
    )


def mammo_clip_fine_tune() -> Recipe:
    """Full fine-tuning with Mammo-CLIP's own settings."""
    recipe = mammo_clip_linear()
    return replace(recipe, name="probe:mammo_clip_fine_tune", stage="fine_tune")


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


def _fine_tuned(recipe: Recipe, name: str) -> Recipe:
    """The same with nothing frozen."""
    return replace(recipe, name=name, stage="fine_tune")


def _random() -> ProbeConfig:
    return ProbeConfig(image=ImageTowerConfig(weights="none"))
