"""The published weights of MammoScreen: names, scores, one model of three networks, fine-tuning.

The weights themselves are not here: random ones stand under the published names.
"""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from fourview.checkpoint.convert import convert, published_names
from fourview.checkpoint.ensemble import member_for, members_of, read_ensemble
from fourview.cli.main import main
from fourview.contract import ExamBatch, task
from fourview.dicom.exams import read_exams
from fourview.errors import CheckpointError
from fourview.models import screen_ensemble
from fourview.models.screen_ensemble.model import STRIDE, TINY, ScreenConfig, ScreenNetwork
from fourview.models.screen_ensemble.objective import ScreenObjective, ScreenObjectiveConfig
from fourview.phantom.write import write_phantom
from fourview.predict.reader import load_model
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import SPECS, PixelSpec

SMALL = {  # the published layouts, small enough for a test
    "mammoscreen-2048x1024": PixelSpec(
        name="mammoscreen-2048x1024", rows=256, cols=128, layout="stretched"
    ),
    "mammoscreen-1920x1280": PixelSpec(
        name="mammoscreen-1920x1280", rows=192, cols=128, layout="stretched"
    ),
    "mammoscreen-1536x1536": PixelSpec(
        name="mammoscreen-1536x1536", rows=160, cols=160, layout="square"
    ),
}


def published_state(network: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under the published names, with scores that spread."""
    torch.manual_seed(seed)
    state = {}
    for number in range(3):
        backbone = timm.create_model(network, num_classes=0, global_pool="", in_chans=1)
        for module in backbone.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        state |= {f"net{number}.backbone.{k}": v for k, v in backbone.state_dict().items()}
        state[f"net{number}.linear.weight"] = torch.randn(5, backbone.num_features)
        state[f"net{number}.linear.bias"] = torch.randn(5)
    return state


@pytest.fixture(scope="module")
def _tiny():
    """Published layouts and names, at tiny sizes, while this module is tested."""
    family = screen_ensemble.FAMILY
    tiny = tuple(replace(weights, config=TINY) for weights in family.published)
    with pytest.MonkeyPatch.context() as patch:
        for name, spec in SMALL.items():
            patch.setitem(SPECS, name, spec)
        patch.setattr(screen_ensemble, "FAMILY", replace(family, published=tiny))
        yield


@pytest.fixture(scope="module")
def converted(tmp_path_factory, _tiny):
    root = tmp_path_factory.mktemp("mammoscreen")
    state = published_state(TINY.network)
    save_file({k: v.contiguous() for k, v in state.items()}, root / "model.safetensors")
    convert([root / "model.safetensors"], "mammoscreen", root / "made")
    return root / "made", state


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    write_phantom(root, num_exams=1, seed=3, rows=256)
    return root, next(e for e in read_exams([root / "dicom"]) if e.images)


def independent_scores(state, number, images) -> np.ndarray:
    """Cancer and densities of images in 8 bits, by timm's backbone and plain numpy."""
    backbone = timm.create_model(TINY.network, num_classes=0, global_pool="", in_chans=1).eval()
    start = f"net{number}.backbone."
    backbone.load_state_dict({k[len(start) :]: v for k, v in state.items() if k.startswith(start)})
    with torch.no_grad():
        grids = [backbone(torch.from_numpy(i)[None, None] / 255 * 2 - 1).numpy() for i in images]
    pooled = np.stack([grid.mean(axis=(2, 3))[0] for grid in grids]).astype(np.float64)
    weight, bias = (state[f"net{number}.linear.{k}"].double().numpy() for k in ("weight", "bias"))
    logits = pooled @ weight.T + bias
    densities = np.exp(logits[:, 1:] - logits[:, 1:].max(axis=1, keepdims=True))
    densities /= densities.sum(axis=1, keepdims=True)
    return np.concatenate([1 / (1 + np.exp(-logits[:, :1])), densities], axis=1)


def test_the_published_network_has_the_published_names():
    """Of tf_efficientnetv2_s itself: 780 tensors and the linear layer, in three networks."""
    names = set(ScreenNetwork(ScreenConfig()).state_dict())
    backbone = timm.create_model("tf_efficientnetv2_s", num_classes=0, global_pool="", in_chans=1)
    assert names == {f"backbone.{k}" for k in backbone.state_dict()} | {
        "linear.weight",
        "linear.bias",
    }
    assert ScreenNetwork(ScreenConfig()).linear.weight.shape == (5, 1280)
    assert {"mammoscreen", "mammoscreen-net0", "mammoscreen-net2"} <= set(published_names())


def test_scores_are_those_of_the_published_way(converted, exam):
    """Mean over the images of a breast, then over the networks, to 1e-5."""
    made, state = converted
    _, four = exam
    prediction = load_model(made).predict(four)
    for breast in prediction.breasts:
        views = [i for i in four.images if i.view.side == breast.side]
        expected = np.zeros(5)
        for number, spec in enumerate(SMALL.values()):
            images = [np.rint(process(i, spec).pixels * 255).astype(np.float32) for i in views]
            expected += independent_scores(state, number, images).mean(axis=0) / 3
        got = [breast.scores[name] for name in ("cancer", "A", "B", "C", "D")]
        np.testing.assert_allclose(got, expected, atol=1e-5)
        assert breast.score == breast.scores["cancer"]
    assert prediction.model == "screen_ensemble:mammoscreen"
    assert {h.class_name for i in prediction.images for h in i.heatmaps} == {"cancer"}


def test_one_command_makes_one_model_that_read_and_predict_take(converted, exam, tmp_path, capsys):
    made, _ = converted
    root, _ = exam
    run = lambda *words: main([str(w) for w in words])  # noqa: E731
    for words in (
        ("read", root / "dicom", "--model", made, "-o", tmp_path / "read"),
        ("index", root, "--source", "phantom", "-o", tmp_path / "manifest"),
    ):
        with pytest.raises(SystemExit, match="0"):
            run(*words)
    stores = []
    for name in SMALL:
        with pytest.raises(SystemExit, match="0"):
            run("prepare", tmp_path / "manifest", "--spec", name, "-o", tmp_path / name)
        stores += ["--store", tmp_path / name]
    with pytest.raises(SystemExit, match="0"):
        run("predict", made, "--manifest", tmp_path / "manifest", *stores, "--exact", "-o",
            tmp_path / "scores.parquet")  # fmt: skip
    said = json.loads((tmp_path / "read" / "result.json").read_text())
    rows = pl.read_parquet(tmp_path / "scores.parquet").filter(pl.col("unit") == "breast")
    for breast in said["breasts"]:
        by_class = dict(
            rows.filter(pl.col("side") == breast["side"]).select("class", "score").rows()
        )
        assert breast["score"] == pytest.approx(by_class["cancer"], abs=1e-5)
        assert by_class.keys() == {"cancer", "A", "B", "C", "D"}
    page = (tmp_path / "read" / "report.html").read_text()
    assert "screen_ensemble:mammoscreen" in page
    assert "density" in page
    capsys.readouterr()


def test_each_network_asks_for_its_store(converted, exam, tmp_path, capsys):
    made, _ = converted
    root, _ = exam
    for words in (
        ["index", str(root), "--source", "phantom", "-o", str(tmp_path / "m")],
        ["prepare", str(tmp_path / "m"), "--spec", "mammoscreen-2048x1024", "-o",
         str(tmp_path / "s")],
    ):  # fmt: skip
        with pytest.raises(SystemExit, match="0"):
            main(words)
    with pytest.raises(SystemExit, match="3"):
        main(["predict", str(made), "--manifest", str(tmp_path / "m"), "--store",
              str(tmp_path / "s"), "-o", str(tmp_path / "p.parquet")])  # fmt: skip
    assert "reads mammoscreen-1920x1280" in capsys.readouterr().err


def test_the_heatmap_is_each_cells_part_of_the_cancer_logit():
    """Features times the head's weights, by hand; scaled to the score, as every map is."""
    torch.manual_seed(0)
    model = ScreenNetwork(TINY).eval()
    pixels = torch.rand(1, 1, 128, 96)
    index = torch.zeros(1, dtype=torch.long)
    batch = ExamBatch(pixels=pixels, exam=index, slot=index, rank=index, num_exams=1)
    output = model.explain(batch)
    with torch.no_grad():
        grid = model.features(pixels)
        part = torch.einsum("idhw,d->ihw", grid, model.linear.weight[0]).relu()
    assert output.heatmaps.shape[1] == 1
    assert output.heatmaps.max() == pytest.approx(output.image_scores[0, 0].item(), rel=1e-5)
    rows, cols = output.heatmaps.shape[2:]
    row, col = divmod(int(output.heatmaps.flatten().argmax()), cols)
    looks = np.array([(row + 0.5) * 128 / rows, (col + 0.5) * 96 / cols])
    cell = np.array(divmod(int(part.flatten().argmax()), part.shape[2]))
    expected = cell * STRIDE + model.first_center  # where that cell looks, in pixels
    assert np.abs(looks - expected).max() <= STRIDE / 2  # beyond the edge it cannot be drawn


def test_both_labels_train_and_either_may_be_unknown():
    torch.manual_seed(0)
    objective = ScreenObjective(ScreenNetwork(TINY), ScreenObjectiveConfig(density_weight=0.5))
    index = torch.tensor([0, 1])
    nan = torch.nan
    batch = ExamBatch(
        pixels=torch.rand(2, 1, 64, 64),
        exam=torch.zeros(2, dtype=torch.long),
        slot=index,
        rank=torch.zeros(2, dtype=torch.long),
        num_exams=1,
        targets={
            "cancer": torch.tensor([[1.0, nan]]),
            "density": torch.tensor([[nan, 2.0]]),
        },
    )
    terms = objective.eval()(batch)
    logits = terms.output.logits
    cancer = functional.binary_cross_entropy_with_logits(logits[:1, 0], torch.tensor([1.0]))
    density = functional.cross_entropy(logits[1:, 1:], torch.tensor([2]))
    torch.testing.assert_close(terms.total, cancer + 0.5 * density)
    assert set(terms.parts) == {"cancer", "density"}


def test_a_task_of_two_parts_has_both_parts_classes_and_scores():
    both = task("cancer_density")
    assert both.labels == {"cancer": ("cancer",), "density": ("A", "B", "C", "D")}
    scores = both.scores(torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0]]))
    torch.testing.assert_close(scores, torch.tensor([[0.5, 0.25, 0.25, 0.25, 0.25]]))
    assert both.is_suspicion


def test_a_run_starts_from_the_network_that_reads_its_pixels(converted):
    made, _ = converted
    assert member_for(made, "mammoscreen-1536x1536").name == "mammoscreen-net2"
    assert len(members_of(made)) == 3
    with pytest.raises(CheckpointError, match=r"no network of .* reads 'vlp-518'"):
        member_for(made, "vlp-518")


def test_a_command_trains_on_from_the_network_of_its_pixels(converted, tmp_path, capsys):
    made, _ = converted
    words = (
        ["phantom", tmp_path / "p", "--exams", 12, "--preset", "miniature", "--rows", 192],
        ["index", tmp_path / "p", "--source", "phantom", "-o", tmp_path / "m",
         "--split", "0.5,0.25,0.25"],
        ["prepare", tmp_path / "m", "--spec", "mammoscreen-1536x1536", "-o", tmp_path / "s"],
        ["train", "screen_ensemble:fine_tune", "--manifest", tmp_path / "m", "--store",
         tmp_path / "s", "-o", tmp_path / "run", "--start", made, "--set", "epochs=1",
         "--set", f"model.network={TINY.network}", "--set", "optimizer.lr=0",
         "--set", "pixel_spec=mammoscreen-1536x1536"],
    )  # fmt: skip
    for command in words:
        with pytest.raises(SystemExit, match="0"):
            main([str(word) for word in command])
    assert "began with all" in capsys.readouterr().err
    kept = load_file(tmp_path / "run" / "checkpoints" / "best" / "model.safetensors")
    given = load_file(made / "mammoscreen-net2" / "model.safetensors")
    assert torch.equal(kept["linear.weight"], given["linear.weight"])


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ({"recipe": "a:b", "members": ["../other"]}, "no name of a folder"),
        ({"recipe": "a:b", "members": []}, "0 members"),
        ({"recipe": "a:b"}, "damaged"),
        ([], "damaged"),
    ],
)
def test_a_file_that_leads_elsewhere_is_refused(told, match, tmp_path):
    (tmp_path / "ensemble.json").write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match=match):
        read_ensemble(tmp_path)


@pytest.mark.usefixtures("_tiny")
def test_a_file_with_other_names_is_refused(tmp_path):
    state = published_state(TINY.network)
    del state["net1.linear.bias"]
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="1 weights have no name"):
        convert([tmp_path / "model.safetensors"], "mammoscreen", tmp_path / "out")
    assert not (tmp_path / "out" / "ensemble.json").exists()
