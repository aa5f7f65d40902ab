"""The published DMV-CNN files: facts about their names; the weights are not part of this package.

View-wise names are those of the published state dict (270, and repetitions under ``l_cc``,
``r_cc``, ``l_mlo`` and ``r_mlo``). Of the image-wise file only the rule is known: one pair of
layers per view, of whose eight rows the first four count. Heatmaps need the patch classifier's file
beside the other.
"""

from dataclasses import replace

from torch import Tensor

from fourview.contract import PublishedWeights
from fourview.models.dmv.model import DmvConfig
from fourview.models.dmv.patches import PatchNetworkConfig
from fourview.nn.published_names import resnet22_names

_SLOTS = {"r_?cc": 0, "l_?cc": 1, "r_?mlo": 2, "l_?mlo": 3}
_NETWORKS = (
    *resnet22_names(r"four_view_resnet\.cc\.", "cc_network."),
    *resnet22_names(r"four_view_resnet\.mlo\.", "mlo_network."),
)
_VIEWS = PublishedWeights(
    name="dmv-views",
    config=DmvConfig(),
    pixel_specs=("dmv-2974x1942-parity", "dmv-2974x1942"),
    licence="AGPL-3.0",
    source="Wu et al. 2019, github.com/nyukat/breast_cancer_classifier",
    names=(
        *_NETWORKS,
        *(
            (rf"{theirs}_{view}\.{part}(weight|bias)", rf"{ours}.{number}.\1")
            for number, view in enumerate(("cc", "mlo"))
            for theirs, part, ours in (
                ("fc1", "", "hidden"),
                ("output_layer", r"fc_layer\.", "answer"),
            )
        ),
    ),
    aliases=tuple(
        (rf"four_view_resnet\.[lr]_{view}\.(.+)", rf"four_view_resnet.{view}.\1")
        for view in ("cc", "mlo")
    ),
)


def _first_four_rows(name: str, value: Tensor) -> Tensor:
    return value[:4] if name.startswith("answer.") else value


_IMAGE = replace(
    _VIEWS,
    name="dmv-image",
    config=DmvConfig(kind="image"),
    names=(
        *_NETWORKS,
        *(
            (rf"{theirs}_{view}\.{part}(weight|bias)", rf"{ours}.{slot}.\1")
            for view, slot in _SLOTS.items()
            for theirs, part, ours in (
                ("fc1", "", "hidden"),
                ("output_layer", r"fc_layer\.", "answer"),
            )
        ),
    ),
    change=_first_four_rows,
)
_PATCH_NAMES = ((r"((?:features|classifier)\..+)", r"patch_network.\1"),)
_PATCHES = replace(
    _VIEWS,
    name="dmv-patches",
    config=DmvConfig(kind="patches", patches=PatchNetworkConfig()),
    names=_PATCH_NAMES,
    aliases=(),
)


def _with_heatmaps(weights: PublishedWeights) -> PublishedWeights:
    config = replace(weights.config, patches=PatchNetworkConfig())
    name, names = f"{weights.name}-heatmaps", (*weights.names, *_PATCH_NAMES)
    return replace(weights, name=name, config=config, names=names)


PUBLISHED = (_VIEWS, _with_heatmaps(_VIEWS), _IMAGE, _with_heatmaps(_IMAGE), _PATCHES)
