"""CLIP, SLIP and ConVIRT on mammograms; see README.md of this folder."""

from fourview.contract import ModelFamily, Stage
from fourview.models.clip.model import TINY, Clip, ClipConfig
from fourview.models.clip.objective import ClipObjective, ClipObjectiveConfig

FAMILY = ModelFamily(
    name="clip",
    kind="pretrain",
    paper="Radford et al. 2021 (CLIP); Mu et al. 2022 (SLIP); Zhang et al. 2022 (ConVIRT)",
    config=ClipConfig,
    build=Clip,
    stages={
        "pretrain": Stage(objective=ClipObjective, settings=ClipObjectiveConfig, feed="captions")
    },
    pixel_spec="vlp-518",
    tiny_config=TINY,
    backbone="image_tower",
)
