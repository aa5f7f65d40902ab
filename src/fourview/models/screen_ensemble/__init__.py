"""Cancer and density for screening, by networks whose openly licensed weights can be converted."""

from fourview.contract import ModelFamily, Stage
from fourview.models.screen_ensemble.model import TINY, ScreenConfig, ScreenNetwork
from fourview.models.screen_ensemble.objective import ScreenObjective, ScreenObjectiveConfig
from fourview.models.screen_ensemble.published import ENSEMBLES, PUBLISHED

FAMILY = ModelFamily(
    name="screen_ensemble",
    kind="read",
    paper="hub model ianpan/mammoscreen (Apache-2.0); no paper",
    config=ScreenConfig,
    build=ScreenNetwork,
    stages={"train": Stage(objective=ScreenObjective, settings=ScreenObjectiveConfig)},
    pixel_spec="mammoscreen-2048x1024",
    tiny_config=TINY,
    explain=ScreenNetwork.explain,
    marks="peaks",
    heavy=("backbone",),
    published=PUBLISHED,
    ensembles=ENSEMBLES,
)
