"""Linear probe and full fine-tuning of an image tower; see README.md of this folder."""

from fourview.contract import ModelFamily, Stage
from fourview.models.probe.model import TINY, Probe, ProbeConfig
from fourview.models.probe.objective import (
    FineTuneObjective,
    LinearObjective,
    ProbeObjectiveConfig,
)

FAMILY = ModelFamily(
    name="probe",
    kind="read",
    paper="Du, Onofrey, Dvornek 2025 (MaMA), section 4.2; Du, Chen, Dvornek 2025 (GLAM)",
    config=ProbeConfig,
    build=Probe,
    stages={
        name: Stage(
            objective=objective,
            settings=ProbeObjectiveConfig,
            feed="images",
            takes=("image_tower.",),
        )
        for name, objective in (("linear", LinearObjective), ("fine_tune", FineTuneObjective))
    },
    pixel_spec="vlp-518",
    tiny_config=TINY,
    backbone="image_tower",
)
