"""BRAIxMVCCL (MICCAI 2022): CC and MLO of a breast read together; see README.md of this folder."""

from fourview.contract import ModelFamily, Stage
from fourview.models.mvccl.dissect import MvcclDissection
from fourview.models.mvccl.model import TINY, Mvccl, MvcclConfig, encoder_of
from fourview.models.mvccl.objective import HeadsObjective, MvcclObjective, MvcclObjectiveConfig

FAMILY = ModelFamily(
    name="mvccl",
    kind="read",
    paper="Chen et al. 2022, MICCAI (BRAIxMVCCL)",
    config=MvcclConfig,
    build=Mvccl,
    stages={
        "train": Stage(objective=MvcclObjective, settings=MvcclObjectiveConfig),
        "heads": Stage(
            objective=HeadsObjective,
            settings=MvcclObjectiveConfig,
            takes=("encoder.",),
            encoder=encoder_of,
        ),
    },
    pixel_spec="mvccl-1536x768",
    tiny_config=TINY,
    explain=Mvccl.explain,
    dissect=MvcclDissection,
    marks="peaks",
    heavy=("encoder",),
    backbone="encoder",
)
