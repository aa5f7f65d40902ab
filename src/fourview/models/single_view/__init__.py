"""The single-view baseline: any timm encoder, pooling, one linear layer; see README.md."""

from fourview.contract import ModelFamily, Stage
from fourview.models.single_view.located import LocatedObjective, LocatedObjectiveConfig
from fourview.models.single_view.model import TINY, SingleView, SingleViewConfig
from fourview.models.single_view.objective import SingleViewObjective, SingleViewObjectiveConfig

FAMILY = ModelFamily(
    name="single_view",
    kind="read",
    paper="EfficientNet-B0 baseline of Chen et al. 2022, MICCAI",
    config=SingleViewConfig,
    build=SingleView,
    stages={
        "located": Stage(objective=LocatedObjective, settings=LocatedObjectiveConfig, feed="boxes"),
        "train": Stage(objective=SingleViewObjective, settings=SingleViewObjectiveConfig),
    },
    pixel_spec="mvccl-1536x768",
    tiny_config=TINY,
    explain=SingleView.explain,
    marks="peaks",
    heavy=("encoder",),
    backbone="encoder",
)
