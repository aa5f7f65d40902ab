"""Mammo-CLIP: rows with two captions, its scale of pixels, and published names."""

import timm
import torch

from factory import caption_batch
from fourview.checkpoint.convert import place
from fourview.models.mammo_clip.model import TINY, MammoClip
from fourview.models.mammo_clip.objective import _rows
from fourview.models.mammo_clip.published import BLOCKS, BODY, PUBLISHED


def test_rows_have_the_first_and_the_last_caption_of_an_image():
    image, first, last = _rows(torch.tensor([4, 4, 1, 7, 7]))
    assert image.tolist() == [1, 4, 7]
    assert first.tolist() == [2, 0, 3]
    assert last.tolist() == [2, 1, 4]


def test_features_do_not_depend_on_the_exposure():
    model = MammoClip(TINY).eval()
    pixels = caption_batch("0", "1").pixels
    torch.testing.assert_close(
        model.image_features(pixels), model.image_features(0.5 * pixels), rtol=1e-4, atol=1e-5
    )
    assert model.image_features(torch.zeros(1, 1, 64, 32)).isfinite().all()


def published_names(blocks):
    """Names of an EfficientNet whose blocks are numbered through, in the order of its layers."""
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    names = ["_conv_stem.weight", *(f"_bn0.{n}" for n in norm)]
    for number in range(sum(blocks)):
        at = f"_blocks.{number}."
        if number >= blocks[0]:
            names += [f"{at}_expand_conv.weight", *(f"{at}_bn0.{n}" for n in norm)]
        names += [f"{at}_depthwise_conv.weight", *(f"{at}_bn1.{n}" for n in norm)]
        names += [f"{at}_se_{k}.{n}" for k in ("reduce", "expand") for n in ("weight", "bias")]
        names += [f"{at}_project_conv.weight", *(f"{at}_bn2.{n}" for n in norm)]
    return [*names, "_conv_head.weight", *(f"_bn1.{n}" for n in norm)]


def test_every_published_name_of_the_encoder_gets_its_place_in_turn():
    """timm keeps the order of layers too, so the two lists must pair one to one."""
    for weights, size in zip(PUBLISHED, BLOCKS, strict=True):
        network = timm.create_model(f"tf_efficientnet_{size}", num_classes=0)
        wanted = {BODY + k: v for k, v in network.state_dict().items()}
        names = published_names(BLOCKS[size])
        assert len(names) == len(wanted)
        state = {
            f"image_encoder.{name}": value
            for name, value in zip(names, wanted.values(), strict=True)
        }
        extra = {"image_encoder._fc.weight": torch.zeros(1, 1)}
        placed = place(state | extra, weights, wanted, where="a file")
        assert all(placed[name] is value for name, value in wanted.items())
