"""Faster R-CNN (Ribli et al. 2018), the detector among the baselines; see README.md."""

from fourview.contract import ModelFamily, Stage
from fourview.models.frcnn.model import TINY, Frcnn, FrcnnConfig
from fourview.models.frcnn.objective import FrcnnObjective, FrcnnObjectiveConfig

FAMILY = ModelFamily(
    name="frcnn",
    kind="read",
    paper="Ribli et al. 2018, Scientific Reports (Faster R-CNN)",
    config=FrcnnConfig,
    build=Frcnn,
    stages={"train": Stage(objective=FrcnnObjective, settings=FrcnnObjectiveConfig, feed="boxes")},
    pixel_spec="frcnn-2145x1737",
    tiny_config=TINY,
    marks="boxes",
)
