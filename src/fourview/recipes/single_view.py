"""Runs of the single-view baseline."""

from dataclasses import replace

from fourview.models.single_view.model import SingleViewConfig
from fourview.recipes import mvccl
from fourview.train.recipe import Recipe


def paper() -> Recipe:
    """EfficientNet-B0 on one view at a time, the baseline of Chen et al. 2022, Table 1.

    Trained as ``mvccl:paper``; reported AUC 0.886 (0.873 to 0.890) by image on ADMANI-1.
    """
    return _of(mvccl.paper(), "single_view:paper", SingleViewConfig())


def small() -> Recipe:
    """The same small encoder and training as ``mvccl:small``, one view at a time."""
    other = mvccl.small()
    return _of(other, "single_view:small", SingleViewConfig(encoder=other.model.encoder))


def mini_eyes() -> Recipe:
    """An encoder for ``mvccl:mini_heads``: ``small`` for 8 epochs, with cells merged as there."""
    other = mvccl.mini_heads()
    base = mvccl.mini()
    return _of(base, "single_view:mini_eyes", SingleViewConfig(encoder=other.model.encoder))


def _of(other: Recipe, name: str, model: SingleViewConfig) -> Recipe:
    return replace(other, name=name, family="single_view", model=model, objective=None)
