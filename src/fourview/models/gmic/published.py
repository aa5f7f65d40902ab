"""The five published models: facts about their files; the weights are not part of this package.

Published names: a ResNet-22 in ``ds_net``, a ResNet-18 in ``dn_resnet``, the rest by hand. Classes
are benign, malignant there and cancer, benign here.
"""

from dataclasses import replace

from torch import Tensor

from fourview.contract import PublishedWeights
from fourview.models.gmic.model import GmicConfig
from fourview.nn.published_names import resnet22_names

TOP = {1: 0.02, 2: 0.03, 3: 0.03, 4: 0.05, 5: 0.10}  # t; all else is the same
OF_CLASSES = ("saliency.weight", "local_head.weight", "fusion.weight", "fusion.bias")


def _classes_turned(name: str, value: Tensor) -> Tensor:
    return value.flip(0) if name in OF_CLASSES else value


_FIRST = PublishedWeights(
    name="gmic-1",
    config=GmicConfig(),
    pixel_specs=("nyu-2944x1920-parity", "nyu-2944x1920"),
    licence="AGPL-3.0",
    source="Shen et al. 2020, github.com/nyukat/GMIC, models/sample_model_1.p",
    names=(
        *resnet22_names(r"ds_net\.", "global_network."),
        (r"left_postprocess_net\.gn_conv_last\.weight", "saliency.weight"),
        (r"dn_resnet\.((?:conv1|bn1|layer\d)\..+)", r"local_network.\1"),
        (r"mil_attn_U\.weight", "attention.gate.weight"),
        (r"mil_attn_V\.weight", "attention.content.weight"),
        (r"mil_attn_w\.weight", "attention.weight.weight"),
        (r"classifier_linear\.weight", "local_head.weight"),
        (r"fusion_dnn\.(weight|bias)", r"fusion.\1"),
    ),
    change=_classes_turned,
)
PUBLISHED = tuple(
    replace(
        _FIRST,
        name=f"gmic-{number}",
        config=GmicConfig(top=top),
        source=_FIRST.source.replace("model_1", f"model_{number}"),
    )
    for number, top in TOP.items()
)
