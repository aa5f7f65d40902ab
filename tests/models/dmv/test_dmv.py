"""DMV-CNN against its formulas in numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import nyu_formulas as formulas
from factory import exam_batch
from fourview.checkpoint.convert import place
from fourview.contract import ExamBatch
from fourview.errors import PixelError
from fourview.models.dmv.model import Dmv, DmvConfig
from fourview.models.dmv.objective import DmvObjective, DmvObjectiveConfig
from fourview.models.dmv.patches import TINY_PATCHES, PatchNetwork, starts
from fourview.models.dmv.published import PUBLISHED
from fourview.nn.resnet22 import ResNet22Config, standardised

CLOSE = {"rtol": 2e-4, "atol": 2e-5}  # float32 through many layers against float64
WIDTHS, STRIDES = (2, 3, 4), (1, 2, 2)
CONFIG = DmvConfig(
    network=ResNet22Config(widths=WIDTHS, strides=STRIDES, first_padding=0),
    cc_size=(60, 52),
    mlo_size=(72, 44),
)
WEIGHTS = {weights.name: weights for weights in PUBLISHED}


def converted(name: str, config: DmvConfig, state: dict[str, np.ndarray]) -> Dmv:
    model = Dmv(config).eval()
    tensors = {key: torch.from_numpy(value.copy()) for key, value in state.items()}
    model.load_state_dict(place(tensors, WEIGHTS[name], model.state_dict(), where="test"))
    return model


def windows_of(batch: ExamBatch) -> dict[str, np.ndarray]:
    """The windows of one exam by view, standardised after cutting."""
    windows = {}
    for number, slot in enumerate(batch.slot.tolist()):
        rows, cols = CONFIG.cc_size if slot < 2 else CONFIG.mlo_size
        window = batch.pixels[number, 0, :rows, :cols].numpy()
        windows[("R-CC", "L-CC", "R-MLO", "L-MLO")[slot]] = formulas.standardised(window)[None]
    return windows


def test_view_wise_agrees_with_the_formulas():
    state = formulas.filled(formulas.dmv_shapes(WIDTHS), seed=4)
    batch = exam_batch("0123", size=(72, 52), seed=5)
    with torch.no_grad():
        output = converted("dmv-views", CONFIG, state)(batch)
    want = formulas.dmv_views(formulas.in_float64(state), windows_of(batch), STRIDES)
    got = output.breast_scores[0]
    for side, name in enumerate(("right", "left")):
        np.testing.assert_allclose(got[side, 0], want[f"{name}_malignant"], **CLOSE)
        np.testing.assert_allclose(got[side, 1], want[f"{name}_benign"], **CLOSE)
    assert len({round(value, 3) for value in want.values()}) == 4  # no row stands for another


def test_image_wise_takes_the_head_of_its_view_and_the_first_four_rows():
    heads = {"lcc": 1, "rcc": 1, "lmlo": 1, "rmlo": 1}
    state = formulas.filled(formulas.dmv_shapes(WIDTHS, heads=heads), seed=6)
    batch = exam_batch("0123", size=(72, 52), seed=7)
    with torch.no_grad():
        output = converted("dmv-image", replace(CONFIG, kind="image"), state)(batch)
    exact = formulas.in_float64(state)
    for number, (view, window) in enumerate(windows_of(batch).items()):
        side, position = view.lower().split("-")
        code = formulas.relu_mean(exact, f"four_view_resnet.{position}", window, STRIDES)
        benign, malignant = formulas.dmv_head(exact, side + position, code)[:2]
        np.testing.assert_allclose(output.image_scores[number], [malignant, benign], **CLOSE)
    breasts = output.image_scores.reshape(2, 2, 2).mean(dim=0)
    torch.testing.assert_close(output.breast_scores[0], breasts)


def test_has_the_published_sizes():
    def count(config: DmvConfig) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in Dmv(config).parameters() if p.requires_grad)

    assert count(DmvConfig()) == 6_132_592
    assert count(DmvConfig(patches=TINY_PATCHES)) == 6_135_728
    assert count(DmvConfig(kind="image")) == 5_870_464 - 4 * 4 * 257  # without the unused rows


def patch_state(network: PatchNetwork, seed: int) -> dict[str, np.ndarray]:
    return formulas.filled({k: tuple(v.shape) for k, v in network.state_dict().items()}, seed)


def test_the_patch_classifier_agrees_with_the_formulas():
    network = PatchNetwork(TINY_PATCHES).eval()
    state = patch_state(network, 8)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    for side in (32, 39):  # an odd side needs other padding
        patch = np.random.default_rng(side).standard_normal((side, side)).astype(np.float32)
        with torch.no_grad():
            got = network(torch.from_numpy(patch)[None, None]).softmax(dim=1)[0]
        want = formulas.densenet(formulas.in_float64(state), patch, TINY_PATCHES.blocks)
        np.testing.assert_allclose(got, want, **CLOSE)


def test_heat_is_the_mean_over_the_squares_that_cover_a_pixel():
    torch.manual_seed(0)
    network = PatchNetwork(TINY_PATCHES).eval()
    pixels = standardised(torch.rand(1, 1, 70, 45, generator=torch.Generator().manual_seed(1)))
    got = network.heatmaps(pixels)[0]
    total, count = torch.zeros(2, 70, 45), torch.zeros(70, 45)
    for y in starts(70, 32, 12):
        for x in starts(45, 32, 12):
            with torch.no_grad():
                said = network(pixels[:, :, y : y + 32, x : x + 32]).softmax(dim=1)[0]
            total[:, y : y + 32, x : x + 32] += torch.stack([said[1], said[0]])[:, None, None]
            count[y : y + 32, x : x + 32] += 1
    torch.testing.assert_close(got, total / count)


@pytest.mark.parametrize("length", [256, 257, 326, 327, 700, 1942, 2677, 2974])
def test_squares_cover_an_axis_with_the_published_number(length):
    corners = starts(length, 256, 70)
    full, rest = divmod(length - 256, 70)
    assert len(corners) == full + 1 + (rest > 0)
    assert corners[0] == 0 and corners[-1] == length - 256
    strides = set(np.diff(corners).tolist())
    assert max(strides, default=0) <= 70 and max(strides, default=0) - min(strides, default=0) <= 1


def test_heatmaps_are_read_beside_the_pixels_and_their_network_is_left_alone():
    config = replace(CONFIG, patches=TINY_PATCHES)
    torch.manual_seed(0)
    model = Dmv(config)
    before = {k: v.clone() for k, v in model.patch_network.state_dict().items()}
    objective = DmvObjective(model, DmvObjectiveConfig())
    objective.train()
    batch = exam_batch("0123", "0123", size=(72, 52), labels=("cancer", "benign"))
    objective(batch).total.backward()
    assert all(p.grad is None for p in model.patch_network.parameters())
    assert model.cc_network.stem.weight.grad[:, 1:].abs().sum() > 0  # heat reaches the network
    for name, value in model.patch_network.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_patch_classifier_alone_scores_by_its_peaks():
    model = Dmv(replace(CONFIG, kind="patches", patches=TINY_PATCHES)).eval()
    batch = exam_batch("02", size=(64, 48))
    with torch.no_grad():
        output = model(batch)
        heat = model.patch_network.heatmaps(standardised(batch.pixels))
    torch.testing.assert_close(output.image_scores[:, 0], heat[:, 1].amax(dim=(1, 2)))
    torch.testing.assert_close(output.heatmaps.amax(dim=(2, 3)), output.image_scores)


def test_a_canvas_that_is_too_small_is_refused():
    with pytest.raises(PixelError, match="64 x 52"):
        Dmv(CONFIG)(exam_batch("2", size=(64, 52)))


@pytest.mark.parametrize("kind", ["views", "image", "patches"])
def test_cancer_alone_is_the_malignant_half_of_the_published_heads(kind):
    """Where benign is not labelled its heads are absent; the others say what they said."""
    patches = TINY_PATCHES if kind == "patches" else None
    config = replace(CONFIG, kind=kind, patches=patches)
    torch.manual_seed(3)
    both, alone = Dmv(config).eval(), Dmv(replace(config, task="cancer")).eval()
    state = both.state_dict()
    for name in [name for name in state if name.startswith("answer.")]:
        state[name] = state[name].chunk(2)[1]  # malignant rows come after the benign ones
    alone.load_state_dict(state)
    batch = exam_batch("0123", "03", size=(72, 52))
    with torch.no_grad():
        one, two = alone(batch), both(batch)
    assert one.breast_scores.shape == (2, 2, 1)
    torch.testing.assert_close(one.image_scores, two.image_scores[:, :1])
    torch.testing.assert_close(one.breast_scores, two.breast_scores[..., :1], equal_nan=True)
    with pytest.raises(ValueError, match="need abnormality, or cancer alone"):
        replace(config, task="density")
