"""Runs of Cls-Det-RS and its baselines."""

from dataclasses import replace

from fourview.feeds.augment import NO_AUGMENTATION
from fourview.feeds.copies import CopyRule
from fourview.feeds.grid import RegionRule
from fourview.feeds.kinds.regions import RegionFeedSettings
from fourview.models.clsdet.model import ClsdetConfig, HeadName
from fourview.models.clsdet.objective import ClsdetObjectiveConfig
from fourview.nn.encoder import EncoderConfig
from fourview.nn.region_encoder import RegionEncoderConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig, SplitConfig

SMALL_CODE = 224  # mean and maximum of the 112 channels at stride 16 of EfficientNet-Lite0


def paper() -> Recipe:
    """The published run: codes of VGG-M-128, 10 regions selected.

    Bakalo et al. 2019, sections 2 and 3: regions of 224 at full resolution, Adam, 1e-4, dropout,
    L2, 256 images per step, five folds by patient (``fourview crossval``). Unstated, and taken: L2
    1e-4, dropout 0.5, 30 epochs. The encoder's weights come from a file that the user made:
    ``--set feed.encoder.network.weights=FILE``. Reported: AUROC 0.728 for malignant against the
    rest, 0.841 for any finding against none.
    """
    return Recipe(
        name="clsdet:paper",
        family="clsdet",
        model=ClsdetConfig(),
        pixel_spec="clsdet-native",
        feed=RegionFeedSettings(),
        batch=256,
        epochs=30,
        optimizer=OptimizerConfig(name="adam", lr=1e-4, weight_decay=1e-4),
        schedule=ScheduleConfig(name="constant"),
        augment=NO_AUGMENTATION,
    )


def max_region() -> Recipe:
    """The paper's baseline: an image is what its most suspicious region is (0.699, 0.817)."""
    return _with_head(paper(), "clsdet:max_region", "max_region")


def db_baseline() -> Recipe:
    """The paper's baseline: WSDDN, without normal class and selection (0.709, 0.826)."""
    return _with_head(paper(), "clsdet:db_baseline", "db_baseline")


def dual_branch() -> Recipe:
    """Between the two: a normal class, but all regions in the detection branch."""
    return _with_head(paper(), "clsdet:dual_branch", "dual_branch")


def inbreast() -> Recipe:
    """The paper's INbreast run: half of the patients, drawn at random, are the test (0.73).

    Where the manifest has no split of its own; a tenth of the other half chooses the checkpoint.
    """
    return replace(
        paper(),
        name="clsdet:inbreast",
        split=SplitConfig(train=0.45, validation=0.05, test=0.5),
    )


def fine_tune() -> Recipe:
    """After ``paper``: the encoder trained too, on the regions' pixels, one image per step.

    The paper does not do this ("transfer learning due to small data"). It begins with the head of
    the run on codes; ``model.encoder`` and its weights have to be those of the codes.
    """
    base = paper()
    return replace(
        base,
        name="clsdet:fine_tune",
        model=replace(base.model, encoder=RegionEncoderConfig()),
        feed=replace(base.feed, reads="pixels"),
        batch=1,
        epochs=5,
        optimizer=OptimizerConfig(name="adam", lr=1e-5, weight_decay=1e-4),
        starts_from="clsdet:paper",
    )


def small() -> Recipe:
    """Phantoms of 0.6 mm pixels: regions of 48 (29 mm), a cut EfficientNet-Lite0; one core.

    Weights of the encoder: ``--set feed.encoder.network.weights=FILE``. What it reaches with the
    four heads is in docs/results/clsdet.md.
    """
    encoder = RegionEncoderConfig(
        network=EncoderConfig(
            name="tf_efficientnet_lite0", weights="none", mean=(0.5,) * 3, std=(0.5,) * 3
        ),
        level=3,
        pool="mean_max",
    )
    return replace(
        paper(),
        name="clsdet:small",
        model=ClsdetConfig(code_dim=SMALL_CODE),
        feed=RegionFeedSettings(
            windows=RegionRule(side=48, stride=24),
            encoder=encoder,
            copies=CopyRule(copies=2, shift_px=12),
            labels="findings",
        ),
        batch=16,
        epochs=25,
        optimizer=OptimizerConfig(name="adam", lr=1e-3, weight_decay=1e-4),
    )


def small_dual_branch() -> Recipe:
    """The ``small`` run without region selection."""
    return _with_head(small(), "clsdet:small_dual_branch", "dual_branch")


def small_max_region() -> Recipe:
    """The ``small`` run of Max-region."""
    return _with_head(small(), "clsdet:small_max_region", "max_region")


def small_db_baseline() -> Recipe:
    """The ``small`` run of DB-Baseline."""
    return _with_head(small(), "clsdet:small_db_baseline", "db_baseline")


def small_boxes() -> Recipe:
    """The ``small`` run without selection, told in training which regions hit a finding.

    Not the paper's, which has labels of images alone: what the same codes and head can mark at best
    (docs/results/clsdet.md).
    """
    base = small_dual_branch()
    return replace(
        base,
        name="clsdet:small_boxes",
        feed=replace(base.feed, boxes=True),
        objective=ClsdetObjectiveConfig(boxes=1.0),
    )


def _with_head(recipe: Recipe, name: str, head: HeadName) -> Recipe:
    return replace(recipe, name=name, model=replace(recipe.model, head=head))
