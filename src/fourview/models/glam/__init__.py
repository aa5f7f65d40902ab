"""GLAM (MICCAI 2025): CC and MLO of a breast aligned along the AP axis; see README.md."""

from fourview.contract import ModelFamily, Stage
from fourview.models.glam.model import TINY, Glam, GlamConfig
from fourview.models.glam.objective import GlamObjective, GlamObjectiveConfig

FAMILY = ModelFamily(
    name="glam",
    kind="pretrain",
    paper="Du, Chen, Dvornek 2025, MICCAI (GLAM)",
    config=GlamConfig,
    build=Glam,
    stages={
        "pretrain": Stage(objective=GlamObjective, settings=GlamObjectiveConfig, feed="captions")
    },
    pixel_spec="glam-518",
    tiny_config=TINY,
    backbone="image_tower",
)
