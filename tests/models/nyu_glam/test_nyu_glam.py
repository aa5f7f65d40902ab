"""NYU's GLAM against its formulas in numpy."""

import numpy as np
import torch

import nyu_formulas as formulas
from factory import exam_batch
from fourview.models.nyu_glam.model import NyuGlam, NyuGlamConfig
from fourview.models.nyu_glam.objective import LocalObjective, NyuGlamObjectiveConfig
from fourview.nn.published_names import resnet22_names
from fourview.nn.resnet22 import ResNet22Config
from fourview.nn.resnet_v1 import ResNetConfig

CLOSE = {"rtol": 2e-4, "atol": 2e-5}  # float32 through many layers against float64
WIDTHS, LOCAL = (2, 3, 4), (2, 3, 4, 5)
CONFIG = NyuGlamConfig(
    global_network=ResNet22Config(widths=WIDTHS, strides=(1, 2, 2)),
    local_network=ResNetConfig(depths=(1, 1, 1, 1), widths=LOCAL, strides=(1, 1, 1, 1)),
    top=0.05,
    patch_px=32,
)


def weights() -> dict[str, np.ndarray]:
    shapes = formulas.resnet22_shapes("global", WIDTHS)
    shapes |= formulas.resnet_v1_shapes("local", LOCAL, (1, 1, 1, 1), (1, 1, 1, 1))
    shapes |= {f"level.{i}.weight": (2, w, 1, 1) for i, w in enumerate(WIDTHS)}
    return formulas.filled(shapes | {"close.weight": (2, LOCAL[-1], 1, 1)}, seed=9)


def filled_model(state: dict[str, np.ndarray]) -> NyuGlam:
    import re  # noqa: PLC0415

    rules = (
        *resnet22_names(r"global\.", "global_network."),
        (r"local\.(.+)", r"local_network.\1"),
        (r"level\.(.+)", r"level_saliency.\1"),
        (r"close\.(.+)", r"local_saliency.\1"),
    )
    ours = {}
    for name, value in state.items():
        match, to = next((m, to) for rule, to in rules if (m := re.fullmatch(rule, name)))
        ours[match.expand(to)] = torch.from_numpy(value.copy())
    model = NyuGlam(CONFIG).eval()
    model.load_state_dict(ours, strict=True)
    return model


def test_agrees_with_the_formulas():
    state = weights()
    batch = exam_batch("0", "2", size=(128, 96), seed=2)
    model = filled_model(state)
    with torch.no_grad():
        output = model(batch)
        final = model.final_maps(output, (128, 96))
    for number in range(2):
        want = formulas.nyu_glam(
            formulas.in_float64(state),
            batch.pixels[number, 0].numpy(),
            strides=(1, 2, 2),
            top=0.05,
            patch=32,
        )
        assert output.corner[number].tolist() == want["corner"].tolist()
        np.testing.assert_allclose(output.image_scores[number], want["scores"], **CLOSE)
        np.testing.assert_allclose(output.local_map[number], want["local"], **CLOSE)
        np.testing.assert_allclose(final[number], want["final"], **CLOSE)


def test_the_published_size_has_the_published_grids():
    with torch.device("meta"):
        model = NyuGlam(NyuGlamConfig())
        levels = model.global_network(torch.zeros(1, 1, 2944, 1920))
        local = model.local_network(torch.zeros(1, 3, 512, 512))
    assert [tuple(level.shape[1:]) for level in levels] == [
        (64, 184, 120),
        (128, 92, 60),
        (256, 46, 30),
    ]
    assert tuple(local.shape[1:]) == (512, 128, 128)
    assert round(184 * 120 * 0.03) == 662


def test_the_close_look_is_trained_without_moving_the_other():
    torch.manual_seed(0)
    model = NyuGlam(CONFIG)
    before = {k: v.clone() for k, v in model.global_network.state_dict().items()}
    objective = LocalObjective(model, NyuGlamObjectiveConfig())
    objective.train()
    batch = exam_batch("0123", size=(128, 96), labels=("cancer", "benign"))
    objective(batch).total.backward()
    assert model.local_saliency.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.global_network.parameters())
    for name, value in model.global_network.state_dict().items():
        assert torch.equal(value, before[name]), name
