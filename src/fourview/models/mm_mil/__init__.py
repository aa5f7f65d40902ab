"""MM-MIL (IPMI 2023), after Wang et al. in our reading; see README.md of this folder."""

from fourview.contract import ModelFamily, Stage
from fourview.models.mm_mil.model import TINY, MmMil, MmMilConfig
from fourview.models.mm_mil.objective import MmMilObjective, MmMilObjectiveConfig

FAMILY = ModelFamily(
    name="mm_mil",
    kind="pretrain",
    paper="Wang et al. 2023, IPMI (MM-MIL), our reading",
    config=MmMilConfig,
    build=MmMil,
    stages={
        "pretrain": Stage(objective=MmMilObjective, settings=MmMilObjectiveConfig, feed="captions")
    },
    pixel_spec="vlp-518",
    tiny_config=TINY,
    backbone="image_tower",
)
