"""MaMA (IPMI 2025): several views of an exam, captions, and their sentences; see README.md."""

from fourview.contract import ModelFamily, Stage
from fourview.models.mama.model import TINY, Mama, MamaConfig
from fourview.models.mama.objective import MamaObjective, MamaObjectiveConfig

FAMILY = ModelFamily(
    name="mama",
    kind="pretrain",
    paper="Du, Onofrey, Dvornek 2025, IPMI (MaMA)",
    config=MamaConfig,
    build=Mama,
    stages={
        "pretrain": Stage(objective=MamaObjective, settings=MamaObjectiveConfig, feed="captions")
    },
    pixel_spec="vlp-518",
    tiny_config=TINY,
    backbone="image_tower",
)
