"""GMIC (Shen et al. 2020): where to look closely is learnt from labels of breasts alone."""

from fourview.contract import ModelFamily, Stage
from fourview.models.gmic.model import TINY, Gmic, GmicConfig
from fourview.models.gmic.objective import GmicObjective, GmicObjectiveConfig
from fourview.models.gmic.published import PUBLISHED

FAMILY = ModelFamily(
    name="gmic",
    kind="read",
    paper="Shen et al. 2020, Medical Image Analysis (GMIC)",
    config=GmicConfig,
    build=Gmic,
    stages={"train": Stage(objective=GmicObjective, settings=GmicObjectiveConfig)},
    pixel_spec="nyu-2944x1920",
    tiny_config=TINY,
    explain=Gmic.explain,
    marks="peaks",
    heavy=("global_network", "local_network"),
    published=PUBLISHED,
)
