"""Mammo-CLIP (MICCAI 2024): two views and two texts of a breast; see README.md of this folder."""

from fourview.contract import ModelFamily, Stage
from fourview.models.mammo_clip.model import TINY, MammoClip, MammoClipConfig
from fourview.models.mammo_clip.objective import MammoClipObjective, MammoClipObjectiveConfig
from fourview.models.mammo_clip.published import PUBLISHED

FAMILY = ModelFamily(
    name="mammo_clip",
    kind="pretrain",
    paper="Ghosh et al. 2024, MICCAI (Mammo-CLIP)",
    config=MammoClipConfig,
    build=MammoClip,
    stages={
        "pretrain": Stage(
            objective=MammoClipObjective, settings=MammoClipObjectiveConfig, feed="captions"
        )
    },
    pixel_spec="mammoclip-1520x912",
    tiny_config=TINY,
    backbone="image_tower",
    published=PUBLISHED,
)
