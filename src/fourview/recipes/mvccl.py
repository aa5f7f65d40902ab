"""Runs of BRAIxMVCCL, and the rows of its ablation.

``paper`` is the published run, ``small`` a tiny model that ships too, ``mini`` the full
model on miniature phantoms. A row of the paper's Table 2 is one of these with another ``model``:
``ablation`` replaces the three switches and nothing else.
"""

from dataclasses import replace
from typing import Any, Literal

from fourview.feeds.augment import NO_AUGMENTATION, AugmentConfig
from fourview.models.mvccl.model import MvcclConfig
from fourview.nn.attention import AttentionConfig
from fourview.nn.encoder import EncoderConfig
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig

PHANTOM_MEAN = (0.3, 0.3, 0.3)  # of processed phantoms inside the breast, to one digit
PHANTOM_STD = (0.25, 0.25, 0.25)

Row = Literal[
    "single",
    "fusion",
    "fusion_max",
    "sa",
    "sa_pooled",
    "lcm",
    "lcm_pooled",
    "gcm",
    "sa_gcm",
    "full",
]
_SWITCHES: dict[Row, dict[str, Any]] = {
    "single": {"views": "one", "local": "none", "gcm": False},
    "fusion": {"local": "none", "gcm": False},
    "fusion_max": {"local": "none", "gcm": False, "pooling": "max"},
    "sa": {"local": "sa", "gcm": False},
    "sa_pooled": {"local": "sa", "gcm": False, "pooled": True},
    "lcm": {"local": "lcm", "gcm": False},
    "lcm_pooled": {"local": "lcm", "gcm": False, "pooled": True},
    "gcm": {"local": "none", "gcm": True},
    "sa_gcm": {"local": "sa", "gcm": True},
    "full": {"local": "lcm", "gcm": True},
}


def paper() -> Recipe:
    """The published run: EfficientNet-B0 with ImageNet weights at 1536 x 768.

    Chen et al. 2022, section 3: Adam, 1e-4, weight decay 1e-6, 8 images per step (read here as 4
    breasts of two views), 20 epochs, learning rate times 0.1 on a plateau of the validation cross
    entropy.
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
        select="cross_entropy",  # the plateau is one of the cross entropy, without l_sim
    )


def small() -> Recipe:
    """A tiny model that ships with the package: a small encoder at 192 x 96, trained on phantoms.

    It exists so that every stage can be tried in seconds, without data or a GPU; what reads where
    nothing is named is ``single_view:located``. Its weights, the commands that
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


def ablation(base: Recipe, row: Row) -> Recipe:
    """A row of Chen et al. 2022, Table 2: ``base`` with other modules.

    What is joined for the classifier: ``single`` the mean pooled features of one view, ``fusion``
    those of both, ``sa`` and ``lcm`` the local features of both, ``gcm`` the global ones of the
    pair. "Fusion" is ticked in all rows but the first: ``sa_pooled`` and ``lcm_pooled`` join the
    mean pooled features beside a row's own, which is the other way to read it. ``fusion_max`` joins
    max pooled features, which is what ``gcm`` begins with; not in the paper. Published AUC by
    image: single 0.8861 (in the text of section 3.4, not in the table), fusion 0.9088, sa 0.9183,
    lcm 0.9368, gcm 0.9241, sa_gcm 0.9353, full 0.9478.
    """
    family, _, name = base.name.partition(":")
    changed = replace(base.model, **_SWITCHES[row])
    return replace(base, name=f"{family}:{name}_{row}", model=changed)


def paper_single() -> Recipe:
    """Table 2, one view at a time: AUC 0.8861 published."""
    return ablation(paper(), "single")


def paper_fusion() -> Recipe:
    """Table 2, both views' pooled features joined: AUC 0.9088 published."""
    return ablation(paper(), "fusion")


def paper_sa() -> Recipe:
    """Table 2, fusion and self-attention: AUC 0.9183 published."""
    return ablation(paper(), "sa")


def paper_lcm() -> Recipe:
    """Table 2, fusion and local co-occurrence: AUC 0.9368 published."""
    return ablation(paper(), "lcm")


def paper_sa_pooled() -> Recipe:
    """``paper_sa`` with both views' pooled features joined beside it, as "Fusion" may be read."""
    return ablation(paper(), "sa_pooled")


def paper_lcm_pooled() -> Recipe:
    """``paper_lcm`` with both views' pooled features joined beside it, as "Fusion" may be read."""
    return ablation(paper(), "lcm_pooled")


def paper_gcm() -> Recipe:
    """Table 2, fusion and global consistency: AUC 0.9241 published."""
    return ablation(paper(), "gcm")


def paper_sa_gcm() -> Recipe:
    """Table 2, fusion, self-attention and global consistency: AUC 0.9353 published."""
    return ablation(paper(), "sa_gcm")


def mini() -> Recipe:
    """The full model on miniature phantoms: Table 2's last row in docs/results/mvccl.md.

    The encoder and training are those of ``small`` but for 8 epochs, so that seven rows with three
    seeds are trained in an hour on a processor; the results stand on that page.
    """
    return replace(small(), name="mvccl:mini", epochs=8)


def mini_single() -> Recipe:
    """``mini``, one view at a time."""
    return ablation(mini(), "single")


def mini_fusion() -> Recipe:
    """``mini`` with both views' pooled features joined."""
    return ablation(mini(), "fusion")


def mini_fusion_max() -> Recipe:
    """``mini_fusion`` with max pooling in place of mean pooling; not in the paper."""
    return ablation(mini(), "fusion_max")


def mini_sa() -> Recipe:
    """``mini`` with self-attention over both views and no global consistency."""
    return ablation(mini(), "sa")


def mini_lcm() -> Recipe:
    """``mini`` with local co-occurrence and no global consistency."""
    return ablation(mini(), "lcm")


def mini_sa_pooled() -> Recipe:
    """``mini_sa`` with both views' pooled features joined beside it."""
    return ablation(mini(), "sa_pooled")


def mini_lcm_pooled() -> Recipe:
    """``mini_lcm`` with both views' pooled features joined beside it."""
    return ablation(mini(), "lcm_pooled")


def mini_gcm() -> Recipe:
    """``mini`` with global consistency and no local features."""
    return ablation(mini(), "gcm")


def mini_gcm_unforced() -> Recipe:
    """``mini_gcm`` without its loss: the maps between the views are there, and free."""
    base = mini_gcm()
    objective = replace(base.objective, similarity_weight=0.0)
    return replace(base, name="mvccl:mini_gcm_unforced", objective=objective)


def mini_sa_gcm() -> Recipe:
    """``mini`` with self-attention and global consistency."""
    return ablation(mini(), "sa_gcm")


def mini_positions() -> Recipe:
    """``mini`` whose local co-occurrence knows where in its view a cell lies; not in the paper."""
    base = mini()
    model = replace(base.model, positions=True)
    return replace(base, name="mvccl:mini_positions", model=model)


def mini_slices() -> Recipe:
    """``mini`` with the views joined depth by depth in place of local co-occurrence."""
    base = mini()
    return replace(base, name="mvccl:mini_slices", model=replace(base.model, local="slices"))


def mini_dropout() -> Recipe:
    """``mini`` trained with one view of every third breast left out, to read single views too."""
    base = mini()
    return replace(
        base, name="mvccl:mini_dropout", augment=replace(base.augment, view_dropout=1 / 3)
    )


def mini_lite() -> Recipe:
    """``mini`` with EfficientNet-Lite0, a network made for ImageNet, for three epochs.

    For weights other than random, name a file: --set model.encoder.weights=FILE.
    """
    base = mini()
    encoder = EncoderConfig(
        name="tf_efficientnet_lite0", weights="none", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )
    return replace(
        base,
        name="mvccl:mini_lite",
        model=replace(base.model, encoder=encoder),
        epochs=3,
        optimizer=OptimizerConfig(name="adamw", lr=5e-4, weight_decay=1e-4),
    )


def mini_heads() -> Recipe:
    """``mini`` on a frozen encoder, whose codes are made once and kept: 2,000 steps in a minute.

    Begin with a run whose encoder has learned to see: --start RUN, of ``single_view:mini_eyes`` or
    of any family with this encoder; only its encoder is taken. Another row is another ``--set
    model.*``, such as model.local=none model.gcm=false for plain fusion.
    """
    base = mini()
    return replace(
        base,
        name="mvccl:mini_heads",
        stage="heads",
        model=replace(base.model, encoder=replace(base.model.encoder, merge=2)),
        batch=4,  # as published, 8 images
        epochs=None,
        steps=2000,
        optimizer=replace(base.optimizer, lr=1e-3),
        augment=NO_AUGMENTATION,
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
