"""The published models: facts about their files; the weights are not part of this package.

Published names: an EfficientNet with its blocks numbered through, HuggingFace's names for BERT, and
two linear projections. Ours has the blocks by stage, as timm.
"""

from dataclasses import replace

from fourview.contract import PublishedWeights
from fourview.models.mammo_clip.model import MammoClipConfig

BLOCKS = {"b2": (2, 3, 3, 4, 4, 5, 2), "b5": (3, 5, 5, 7, 7, 9, 3)}  # of each stage
BODY = "image_tower.body.body.network."
NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
OF_BLOCK = (  # with the expansion, which the first stage does not have
    (r"_expand_conv\.weight", "conv_pw.weight"),
    (rf"_bn0\.{NORM}", r"bn1.\1"),
    (r"_depthwise_conv\.weight", "conv_dw.weight"),
    (rf"_bn1\.{NORM}", r"bn2.\1"),
    (r"_se_reduce\.(weight|bias)", r"se.conv_reduce.\1"),
    (r"_se_expand\.(weight|bias)", r"se.conv_expand.\1"),
    (r"_project_conv\.weight", "conv_pwl.weight"),
    (rf"_bn2\.{NORM}", r"bn3.\1"),
)
OF_FIRST = (
    (r"_depthwise_conv\.weight", "conv_dw.weight"),
    (rf"_bn1\.{NORM}", r"bn1.\1"),
    (r"_se_reduce\.(weight|bias)", r"se.conv_reduce.\1"),
    (r"_se_expand\.(weight|bias)", r"se.conv_expand.\1"),
    (r"_project_conv\.weight", "conv_pw.weight"),
    (rf"_bn2\.{NORM}", r"bn2.\1"),
)


def _names(blocks: tuple[int, ...]) -> tuple[tuple[str, str], ...]:
    image = r"image_encoder\."
    names = [
        (rf"{image}_conv_stem\.weight", f"{BODY}conv_stem.weight"),
        (rf"{image}_bn0\.{NORM}", rf"{BODY}bn1.\1"),
        (rf"{image}_conv_head\.weight", f"{BODY}conv_head.weight"),
        (rf"{image}_bn1\.{NORM}", rf"{BODY}bn2.\1"),
        (r"text_encoder\.(?:text_encoder\.)?((?:embeddings|encoder)\..+)",
         r"text_tower.network.model.\1"),
        (r"image_projection\.(?:projection\.)?(weight|bias)", r"image_head.\1"),
        (r"text_projection\.(?:projection\.)?(weight|bias)", r"text_head.\1"),
        (r"logit_scale", "logit_scale"),
    ]  # fmt: skip
    number = 0
    for stage, count in enumerate(blocks):
        for place in range(count):
            ours = f"{BODY}blocks.{stage}.{place}."
            for theirs, mine in OF_BLOCK if stage else OF_FIRST:
                names.append((rf"{image}_blocks\.{number}\.{theirs}", ours + mine))
            number += 1
    return tuple(names)


def _config(size: str) -> MammoClipConfig:
    config = MammoClipConfig()
    return replace(
        config,
        image=replace(config.image, name=f"tf_efficientnet_{size}", weights="none"),
        text=replace(config.text, weights="none"),
        dropout={"b2": 0.3, "b5": 0.4}[size],
    )


PUBLISHED = tuple(
    PublishedWeights(
        name=f"mammo-clip-{size}",
        config=_config(size),
        pixel_specs=("mammoclip-1520x912",),
        licence="as stated where its authors published the file; not known to us",
        source=f"Ghosh et al. 2024, Mammo-CLIP, {size}-model-best-epoch",
        consent=True,
        may_release=False,
        names=_names(blocks),
        unused=(
            r"image_encoder\._fc\..+",  # a classifier of ImageNet or of nothing
            r"text_encoder\.(?:text_encoder\.)?pooler\..+",
            r".*\.position_ids",
        ),
    )
    for size, blocks in BLOCKS.items()
)
