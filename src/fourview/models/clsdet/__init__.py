"""Cls-Det-RS (ISBI 2019): classes and places from image labels; see README.md of this folder."""

from fourview.contract import ModelFamily, Reads, Stage
from fourview.models.clsdet.model import TINY, Clsdet, ClsdetConfig, code_encoder
from fourview.models.clsdet.objective import ClsdetObjective, ClsdetObjectiveConfig

FAMILY = ModelFamily(
    name="clsdet",
    kind="read",
    paper="Bakalo et al. 2019, ISBI (Cls-Det-RS)",
    config=ClsdetConfig,
    build=Clsdet,
    stages={
        "train": Stage(
            objective=ClsdetObjective,
            settings=ClsdetObjectiveConfig,
            feed="regions",
            encoder=code_encoder,
        )
    },
    pixel_spec="clsdet-native",
    tiny_config=TINY,
    reads=Reads(feed="regions", encoder=code_encoder),
    marks="regions",
)
