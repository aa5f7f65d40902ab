"""Runs of the lesion network: windows first, then what lies around them.

``paper`` and ``small`` are the second of three runs that ``fourview train`` makes one after the
other where they are missing: context network (``context``), windows alone (``starts_from``), and
both together. A row of the paper's Table 3 is one of them with other ``inputs``.
"""

from dataclasses import replace
from typing import Literal

from fourview.feeds.kinds.patches import PatchSettings
from fourview.models.lesion.model import Input, LesionConfig
from fourview.nn.encoder import EncoderConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig, SplitConfig

Row = Literal[
    "location",
    "embedding",
    "saliency",
    "location_embedding",
    "location_saliency",
    "embedding_saliency",
    "all",
]
ROWS: dict[Row, tuple[Input, ...]] = {
    "location": ("location",),
    "embedding": ("embedding",),
    "saliency": ("saliency",),
    "location_embedding": ("location", "embedding"),
    "location_saliency": ("location", "saliency"),
    "embedding_saliency": ("embedding", "saliency"),
    "all": ("location", "embedding", "saliency"),
}
# Windows per epoch: malignant, benign, outside, negative (``feeds.kinds.patches``).
PAPER_WINDOWS = (20, 35, 5000, 4945)
SMALL_WINDOWS = (300, 300, 100, 100)
PHANTOM_MEAN = (0.4, 0.4, 0.4)  # of windows of phantoms, to one digit
PHANTOM_STD = (0.2, 0.2, 0.2)


def paper_patch() -> Recipe:
    """DenseNet-161 on windows alone: the first half of the published network.

    Wu et al. 2020: ImageNet weights but for the two last layers, windows of 128 to 384 pixels
    turned by up to 30 degrees, 10,000 per epoch of four classes, batch 25, Adam, the learning rate
    drawn from 10^[-6, -4] (``--trials``), stopped when the validation AUC of findings has not risen
    for 10 epochs. What a plain run takes, 1e-5, is the middle of that range.
    """
    return Recipe(
        name="lesion:paper_patch",
        family="lesion",
        stage="patch",
        model=LesionConfig(),
        feed=PatchSettings(per_epoch=PAPER_WINDOWS),
        pixel_spec="nyu-2944x1920",
        batch=25,
        epochs=200,
        optimizer=OptimizerConfig(name="adam", lr=1e-5, weight_decay=0.0, search=(1e-6, 1e-4)),
        schedule=ScheduleConfig(name="constant"),
        select="auc",
        patience_epochs=10,
    )


def paper() -> Recipe:
    """The published network: embedding and saliency maps through two convolutions.

    Batch 100, learning rate from 10^[-5, -3]; f_loc is frozen. AUC 0.799 (deviation 0.002) on 600
    biopsied lesions, Table 3.
    """
    before = paper_patch()
    return replace(
        before,
        name="lesion:paper",
        stage="aggregate",
        feed=replace(before.feed, grid=(46, 30)),
        batch=100,
        optimizer=replace(before.optimizer, lr=1e-4, search=(1e-5, 1e-3)),
        starts_from="lesion:paper_patch",
        context="gmic:published_1",
    )


def small_patch() -> Recipe:
    """Windows of phantoms at 384 x 192 through a small encoder, on a processor in a minute or two.

    Windows are the same part of the image as the paper's (17 to 50 of 384 rows), brought to
    48 x 48. Findings make three quarters of the windows: with the paper's share a small run would
    see a malignant one once in two epochs. The embedding has 16 numbers, not 32.
    """
    return Recipe(
        name="lesion:small_patch",
        family="lesion",
        stage="patch",
        model=LesionConfig(
            encoder=EncoderConfig(
                name="small",
                weights="none",
                mean=PHANTOM_MEAN,
                std=PHANTOM_STD,
                widths=(16, 24, 32, 32, 32),
            ),
            dim=16,
            channels=16,
        ),
        feed=PatchSettings(sides=(17.0, 50.0), patch_px=48, per_epoch=SMALL_WINDOWS, windows=8),
        pixel_spec="mvccl-384x192",
        batch=25,
        epochs=25,
        optimizer=OptimizerConfig(name="adam", lr=1e-3, weight_decay=0.0, search=(1e-4, 1e-2)),
        schedule=ScheduleConfig(name="constant"),
        split=SplitConfig(train=0.6, validation=0.15, test=0.25),
        select="auc",
        patience_epochs=6,
    )


def small() -> Recipe:
    """Embedding and saliency maps on phantoms, with ``gmic:small`` as context.

    Preset ``biopsied`` of the phantom is made for it. Results: docs/results/lesion.md.
    """
    before = small_patch()
    return replace(
        before,
        name="lesion:small",
        stage="aggregate",
        feed=replace(before.feed, grid=(24, 12)),
        batch=50,
        epochs=15,
        patience_epochs=5,
        optimizer=replace(before.optimizer, lr=2e-3, search=(2e-4, 2e-2)),
        starts_from="lesion:small_patch",
        context="gmic:small",
    )


def small_lite_patch() -> Recipe:
    """Windows of phantoms through EfficientNet-Lite0 as ImageNet left it, and two layers after it.

    A few hundred findings are too few to train an encoder from nothing, as ``small_patch`` shows.
    Weights are named on the command line: --set model.encoder.weights=FILE. Six windows of every
    place are drawn once, their codes are saved, and only the two layers are trained. Windows are a
    little larger than the paper's part of the image, so that most show a mass whole.
    """
    before = small_patch()
    encoder = EncoderConfig(
        name="efficientnet_lite0", weights="none", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    return replace(
        before,
        name="lesion:small_lite_patch",
        model=replace(before.model, encoder=encoder, frozen_encoder=True),
        feed=replace(before.feed, sides=(28.0, 56.0), patch_px=64, saved=6),
        batch=50,
        epochs=30,
        optimizer=OptimizerConfig(name="adamw", lr=1e-3, weight_decay=1e-2, search=(1e-4, 1e-2)),
    )


def small_lite() -> Recipe:
    """``small`` on the windows of ``small_lite_patch``: the runs of docs/results/lesion.md."""
    before = small_lite_patch()
    return replace(
        before,
        name="lesion:small_lite",
        stage="aggregate",
        feed=replace(before.feed, grid=(24, 12)),
        epochs=20,
        optimizer=OptimizerConfig(name="adam", lr=2e-3, weight_decay=0.0, search=(2e-4, 2e-2)),
        starts_from="lesion:small_lite_patch",
        context="gmic:small",
    )


def ablation(base: Recipe, row: Row) -> Recipe:
    """A row of Table 3: ``base`` with other maps.

    Published AUC: location 0.474, embedding 0.778, saliency 0.695, location and embedding 0.777,
    location and saliency 0.721, embedding and saliency 0.799, all 0.797.
    """
    model = replace(base.model, inputs=ROWS[row])
    return replace(base, name=f"{base.name}_{row}", model=model)


def small_location() -> Recipe:
    """``small`` with the location map alone."""
    return ablation(small(), "location")


def small_embedding() -> Recipe:
    """``small`` with embedding maps alone."""
    return ablation(small(), "embedding")


def small_saliency() -> Recipe:
    """``small`` with saliency maps alone."""
    return ablation(small(), "saliency")


def small_location_embedding() -> Recipe:
    """``small`` with location and embedding maps."""
    return ablation(small(), "location_embedding")


def small_location_saliency() -> Recipe:
    """``small`` with location and saliency maps."""
    return ablation(small(), "location_saliency")


def small_all() -> Recipe:
    """``small`` with all maps."""
    return ablation(small(), "all")
