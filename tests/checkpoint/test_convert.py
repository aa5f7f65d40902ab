"""Published weights: every name has a place, nothing is run, and what comes out scores."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import fourview
import nyu_formulas as formulas
from factory import drawn_mammogram
from fourview.checkpoint.card import load_checkpoint, read_card
from fourview.checkpoint.convert import convert, find_published, place
from fourview.cli.main import main
from fourview.entities import Exam, Image, View
from fourview.errors import CheckpointError, TrainingError
from fourview.models.find import find_family
from fourview.study.chain import _require_trainable
from fourview.study.find_recipe import find_recipe
from fourview.study.start import starting_from
from fourview.train.begin import begin_with
from fourview.train.recipe import override


def published_file(path: Path, state: dict[str, np.ndarray], **more) -> Path:
    """As torch 1.1 wrote it; ``more`` beside the weights if there is any."""
    tensors = {name: torch.from_numpy(value.copy()) for name, value in state.items()}
    held = {"model": tensors, **more} if more else tensors
    torch.save(held, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def gmic_state():
    state = formulas.filled(formulas.gmic_shapes())
    state["fusion_dnn.weight"] *= 1e-3  # deep features grow; a score of 1.0 would say nothing
    return state


def breast_image(name: str) -> Image:
    side, position = name.split("-")
    pixels = drawn_mammogram(side, position, cancer=True, size=(1200, 900))
    return Image(
        image_id=name,
        patient_id="p",
        exam_id="e",
        view=View(side=side, position=position),
        pixels=pixels,
        stored_size=pixels.shape,
        bits=16,
        value_range=(0.0, 65535.0),
        spacing_mm=None,
        bright_is_dense=True,
    )


def test_a_published_gmic_file_converts_loads_and_scores(tmp_path, gmic_state, capsys):
    assert len(gmic_state) == 258
    source = published_file(tmp_path / "sample_model_1.p", gmic_state)
    with pytest.raises(SystemExit, match="0"):
        main(["convert", str(source), "--as", "gmic-1", "-o", str(tmp_path / "gmic")])
    assert "licence of the weights: AGPL-3.0" in capsys.readouterr().out
    card = read_card(tmp_path / "gmic")
    assert card.licence == "AGPL-3.0" and "AGPL-3.0" in card.terms
    reader = fourview.load_model(tmp_path / "gmic")
    exam = Exam(patient_id="p", exam_id="e", images=(breast_image("R-CC"),))
    said = reader.predict(exam)
    assert 0 < said.breasts[0].score < 1
    assert "benign" in said.breasts[0].scores
    np.testing.assert_array_equal(  # published rows are benign, malignant
        reader.model.fusion.bias.detach().numpy(), gmic_state["fusion_dnn.bias"][::-1]
    )


def test_a_published_dmv_file_converts_with_its_repeated_names(tmp_path):
    state = formulas.filled(formulas.dmv_shapes())
    assert len(state) == 270
    repeated = {
        name.replace(".cc.", f".{side}_cc.").replace(".mlo.", f".{side}_mlo."): value
        for name, value in state.items()
        if name.startswith("four_view_resnet.")
        for side in "lr"
    }
    source = published_file(tmp_path / "dmv.p", state | repeated, epoch=3)
    convert([source], "dmv-views", tmp_path / "dmv")
    model, card, _ = load_checkpoint(tmp_path / "dmv")
    assert card.pixel_spec == "dmv-2974x1942-parity" and card.licence == "AGPL-3.0"
    np.testing.assert_array_equal(
        model.answer[1].bias.detach().numpy(), state["output_layer_mlo.fc_layer.bias"]
    )
    repeated["four_view_resnet.l_cc.first_conv.weight"] = (
        repeated["four_view_resnet.l_cc.first_conv.weight"] + 1
    )
    with pytest.raises(CheckpointError, match=r"should repeat 'four_view_resnet\.cc\.first_conv"):
        placed("dmv-views", state | repeated)


def placed(name: str, state: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """As ``convert`` does it once the file is read."""
    family, weights = find_published(name)
    with torch.device("meta"):
        wanted = family.build(weights.config).state_dict()
    tensors = {key: torch.from_numpy(value) for key, value in state.items()}
    return place(tensors, weights, wanted, where="file.p")


def densenet_state() -> dict[str, np.ndarray]:
    from torchvision.models import densenet121  # noqa: PLC0415

    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in densenet121(num_classes=4).state_dict().items()}
    return formulas.filled(shapes)


def test_torchvision_names_are_those_of_the_patch_classifier():
    state = densenet_state()
    places = placed("dmv-patches", state)
    assert {name.removeprefix("patch_network.") for name in places} == set(state)
    for name, value in places.items():
        np.testing.assert_array_equal(value, state[name.removeprefix("patch_network.")])


def test_two_files_make_the_model_with_heatmaps(tmp_path):
    views = published_file(tmp_path / "v.p", formulas.filled(formulas.dmv_shapes(channels=3)))
    patches = published_file(tmp_path / "p.p", densenet_state())
    convert([views, patches], "dmv-views-heatmaps", tmp_path / "both")
    model, _, _ = load_checkpoint(tmp_path / "both")
    assert model.cc_network.stem.weight.shape[1] == 3 and model.patch_network is not None


def test_names_without_a_place_and_places_without_a_name_are_listed(tmp_path, gmic_state):
    wrong = {k.replace("mil_attn_w", "mil_attn_q"): v for k, v in gmic_state.items()}
    with pytest.raises(CheckpointError) as error:
        placed("gmic-1", wrong)
    assert "1 names have no place (mil_attn_q.weight [1, 128])" in str(error.value)
    assert "1 weights have no name (attention.weight.weight [1, 128])" in str(error.value)
    source = published_file(tmp_path / "wrong.p", wrong)
    (tmp_path / "names.json").write_text(json.dumps({"mil_attn_q.weight": "mil_attn_w.weight"}))
    convert([source], "gmic-1", tmp_path / "out", renamed=tmp_path / "names.json")
    assert read_card(tmp_path / "out").family == "gmic"


def test_wrong_shapes_and_numbers_are_refused(gmic_state):
    with pytest.raises(CheckpointError, match=r"fusion.bias is \[3\], need \[2\]"):
        placed("gmic-2", gmic_state | {"fusion_dnn.bias": np.zeros(3, np.float32)})
    with pytest.raises(CheckpointError, match="not all numbers are finite"):
        placed("gmic-2", gmic_state | {"fusion_dnn.bias": np.full(2, np.nan, np.float32)})


class Marks:
    """Leaves a folder where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path):
    torch.save({"model": {"a": Marks(tmp_path / "ran")}}, tmp_path / "bad.p")
    with pytest.raises(CheckpointError, match=r"it wants to run \w+\.mkdir"):
        convert([tmp_path / "bad.p"], "gmic-1", tmp_path / "out")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"hello" * 100, pickle.dumps({"a": 1}, protocol=4)])
def test_what_torch_did_not_save_is_named_so(tmp_path, content):
    (tmp_path / "file.p").write_bytes(content)
    with pytest.raises(CheckpointError, match="it is no file that torch saved"):
        convert([tmp_path / "file.p"], "gmic-1", tmp_path / "out")


def test_nyu_glam_wants_its_licence_accepted_and_then_its_names(tmp_path):
    source = published_file(tmp_path / "model_sep.ckpt", {"net.some": np.zeros(2, np.float32)})
    with pytest.raises(CheckpointError, match="--accept-licence"):
        convert([source], "nyu_glam-sep", tmp_path / "out")
    with pytest.raises(CheckpointError, match=r"1 names have no place \(net.some \[2\]\)"):
        placed("nyu_glam-sep", {"net.some": np.zeros(2, np.float32)})


def test_the_nearest_name_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="did you mean 'gmic-1'"):
        convert([tmp_path / "x"], "gmic1", tmp_path / "out")


@pytest.mark.parametrize(
    ("recipe", "weights", "shapes", "published"),
    [
        ("dmv:finetune", "dmv-views", formulas.dmv_shapes, (1e-6, 1e-6, 2)),  # 8 images: 2 exams
        ("gmic:finetune", "gmic-1", formulas.gmic_shapes, (4.134e-6, 0.0, 4)),
    ],
)
def test_a_fine_tuned_row_of_table_1_begins_with_converted_weights(
    recipe, weights, shapes, published, tmp_path
):
    convert([published_file(tmp_path / "p", formulas.filled(shapes()))], weights, tmp_path / "w")
    asked = find_recipe(recipe)
    settings = (asked.optimizer.lr, asked.optimizer.weight_decay, asked.batch)
    assert (settings, asked.optimizer.name) == (published, "adam")
    told = starting_from(asked, tmp_path / "w")
    assert told.pixel_spec == asked.pixel_spec
    network = find_family(asked.family).build(told.model)
    begun = begin_with(network, told, tmp_path / "w")
    assert not begun.anew
    theirs = load_checkpoint(tmp_path / "w")[0].state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in network.state_dict().items())
    one = override(told, ["model.task=cancer"])
    begun = begin_with(find_family(asked.family).build(one.model), one, tmp_path / "w")
    assert begun.anew and {name.split(".")[0] for name in begun.anew} <= HEADS
    with pytest.raises(TrainingError, match=f"fourview convert FILE --as {weights} -o DIR"):
        _require_trainable(asked.starts_from, asked)


HEADS = {"answer", "saliency", "local_head", "fusion"}
