"""The published weights: three networks in one file, ``model.safetensors`` of about 244 MB.

Names are ``net0.`` to ``net2.``, then ``backbone.`` and timm's name, or ``linear.weight`` and
``linear.bias``; nothing else is in the file.
"""

from fourview.contract import PublishedWeights
from fourview.models.screen_ensemble.model import ScreenConfig

SPECS = ("mammoscreen-2048x1024", "mammoscreen-1920x1280", "mammoscreen-1536x1536")
NAME = "mammoscreen"
PUBLISHED = tuple(
    PublishedWeights(
        name=f"{NAME}-net{number}",
        config=ScreenConfig(),
        pixel_specs=(spec,),
        licence="Apache-2.0",
        source=(
            f"hub model ianpan/mammoscreen, model.safetensors, net{number}; trained by its author "
            "on RSNA 2022 and CBIS-DDSM, whose terms are yours to read"
        ),
        names=((rf"net{number}\.((?:backbone|linear)\..+)", r"\1"),),
        unused=(rf"net[^{number}]\..+",),
    )
    for number, spec in enumerate(SPECS)
)
ENSEMBLES = {NAME: tuple(weights.name for weights in PUBLISHED)}
