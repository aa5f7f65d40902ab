"""NYU's GLAM (Liu et al. 2021), which segments from labels of breasts; see README.md."""

from torch import Tensor

from fourview.contract import ModelFamily, PublishedWeights, Stage
from fourview.models.nyu_glam.model import TINY, NyuGlam, NyuGlamConfig
from fourview.models.nyu_glam.objective import (
    GlobalObjective,
    JointObjective,
    LocalObjective,
    NyuGlamObjectiveConfig,
)

LICENCE = (
    "internal non-commercial research at NYU's terms, no modification, no redistribution (the "
    "repository's LICENSE file; its README says AGPL-3.0: the stricter text counts)"
)


def _classes_turned(name: str, value: Tensor) -> Tensor:
    """Benign and malignant there, cancer and benign here."""
    return value.flip(0) if "_saliency." in name else value


FAMILY = ModelFamily(
    name="nyu_glam",
    kind="read",
    paper="Liu et al. 2021, MIDL (NYU's GLAM)",
    config=NyuGlamConfig,
    build=NyuGlam,
    stages={
        "joint": Stage(objective=JointObjective, settings=NyuGlamObjectiveConfig),
        "global": Stage(objective=GlobalObjective, settings=NyuGlamObjectiveConfig),
        "local": Stage(objective=LocalObjective, settings=NyuGlamObjectiveConfig),
    },
    pixel_spec="nyu-2944x1920",
    tiny_config=TINY,
    explain=NyuGlam.explain,
    marks="peaks",
    heavy=("global_network", "local_network"),
    published=tuple(
        PublishedWeights(
            name=f"nyu_glam-{kind}",
            config=NyuGlamConfig(),
            pixel_specs=("nyu-2944x1920-parity", "nyu-2944x1920"),
            licence=LICENCE,
            source=f"Liu et al. 2021, github.com/nyukat/GLAM, model_{kind}.ckpt",
            consent=True,
            may_release=False,
            names=((r"(.+)", r"\1"),),  # the file's names are not known here: see README.md
            change=_classes_turned,
        )
        for kind in ("joint", "sep")
    ),
)
