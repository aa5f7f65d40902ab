"""DMV-CNN (Wu et al. 2019): the NYU baseline that joins views; see README.md of this folder."""

from fourview.contract import ModelFamily, Stage
from fourview.models.dmv.model import TINY, Dmv, DmvConfig
from fourview.models.dmv.objective import DmvObjective, DmvObjectiveConfig
from fourview.models.dmv.patch_objective import PatchObjective, PatchObjectiveConfig
from fourview.models.dmv.published import PUBLISHED

FAMILY = ModelFamily(
    name="dmv",
    kind="read",
    paper="Wu et al. 2019, IEEE Transactions on Medical Imaging (DMV-CNN)",
    config=DmvConfig,
    build=Dmv,
    stages={
        "patches": Stage(objective=PatchObjective, settings=PatchObjectiveConfig, feed="boxes"),
        "train": Stage(objective=DmvObjective, settings=DmvObjectiveConfig),
    },
    pixel_spec="dmv-2974x1942",
    tiny_config=TINY,
    marks="peaks",  # of the patch classifier; the other kinds draw no maps
    heavy=("cc_network", "mlo_network"),
    published=PUBLISHED,
)
