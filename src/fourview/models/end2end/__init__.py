"""End2end (Shen et al. 2019): from patches to whole images; see README.md of this folder."""

from fourview.contract import ModelFamily, Stage
from fourview.models.end2end.model import TINY, End2end, End2endConfig
from fourview.models.end2end.objective import (
    ImageObjective,
    ImageObjectiveConfig,
    PatchObjective,
    PatchObjectiveConfig,
    TopObjective,
)

FAMILY = ModelFamily(
    name="end2end",
    kind="read",
    paper="Shen et al. 2019, Scientific Reports (End2end)",
    config=End2endConfig,
    build=End2end,
    stages={
        "patch": Stage(objective=PatchObjective, settings=PatchObjectiveConfig, feed="boxes"),
        "top": Stage(objective=TopObjective, settings=ImageObjectiveConfig),
        "all": Stage(objective=ImageObjective, settings=ImageObjectiveConfig),
    },
    pixel_spec="end2end-1152x896",
    tiny_config=TINY,
    explain=End2end.explain,
    marks="peaks",
    heavy=("encoder",),
    backbone="encoder",
)
