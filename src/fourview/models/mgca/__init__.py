"""MGCA (NeurIPS 2022): instances, words with patches, and prototypes; see README.md."""

from fourview.contract import ModelFamily, Stage
from fourview.models.mgca.model import TINY, Mgca, MgcaConfig
from fourview.models.mgca.objective import MgcaObjective, MgcaObjectiveConfig

FAMILY = ModelFamily(
    name="mgca",
    kind="pretrain",
    paper="Wang et al. 2022, NeurIPS (MGCA)",
    config=MgcaConfig,
    build=Mgca,
    stages={
        "pretrain": Stage(objective=MgcaObjective, settings=MgcaObjectiveConfig, feed="captions")
    },
    pixel_spec="vlp-518",
    tiny_config=TINY,
    backbone="image_tower",
    frozen=("logit_scale",),  # the temperature is 0.07 throughout
)
