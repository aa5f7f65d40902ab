"""GMIC against its formulas in numpy, and what its parts must do."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import nyu_formulas as formulas
from factory import exam_batch
from fourview.checkpoint.convert import place
from fourview.contract import ExamBatch
from fourview.models.gmic.model import TINY, Gmic, GmicConfig
from fourview.models.gmic.objective import GmicObjective, GmicObjectiveConfig
from fourview.models.gmic.published import PUBLISHED
from fourview.nn.regions import corners_in_pixels, cut, greedy_patches, spread, top_mean
from fourview.nn.resnet22 import ResNet22Config
from fourview.nn.resnet_v1 import ResNetConfig
from fourview.recipes import gmic as recipes

# float32 through about forty layers against float64
CLOSE = {"rtol": 2e-4, "atol": 2e-5}
SMALL = GmicConfig(
    global_network=ResNet22Config(widths=(2, 3, 4), strides=(1, 2, 2)),
    local_network=ResNetConfig(widths=(2, 3, 4, 5), depths=(2, 1, 1, 1)),
    num_patches=3,
    patch_px=48,
    attention_dim=4,
)


def images_batch(images: np.ndarray) -> ExamBatch:
    return ExamBatch(
        pixels=torch.from_numpy(images.astype(np.float32))[:, None],
        exam=torch.arange(len(images)),
        slot=torch.zeros(len(images), dtype=torch.long),
        rank=torch.zeros(len(images), dtype=torch.long),
        num_exams=len(images),
    )


def published_pair(seed: int = 0) -> tuple[Gmic, dict[str, np.ndarray]]:
    """A network with converted weights, and the weights as published."""
    shapes = formulas.gmic_shapes((2, 3, 4), (2, 3, 4, 5), (2, 1, 1, 1), 4)
    state = formulas.filled(shapes, seed)
    model = Gmic(SMALL).eval()
    tensors = {name: torch.from_numpy(value.copy()) for name, value in state.items()}
    model.load_state_dict(place(tensors, PUBLISHED[0], model.state_dict(), where="test"))
    return model, formulas.in_float64(state)


@pytest.mark.parametrize("size", [(144, 112), (150, 101)])  # the second leaves patches outside
def test_agrees_with_the_formulas(size):
    images = np.random.default_rng(3).random((2, *size)) ** 3
    model, state = published_pair()
    with torch.no_grad():
        output = model(images_batch(images))
    benign_first = [1, 0]
    for index, image in enumerate(images.astype(np.float32)):
        want = formulas.gmic(
            state, image, strides=(1, 2, 2), depths=(2, 1, 1, 1), num_patches=3, patch=48
        )
        np.testing.assert_allclose(
            output.saliency[index, benign_first].numpy(), want["saliency"], **CLOSE
        )
        assert output.patch_corners[index].tolist() == want["corners"].tolist()
        np.testing.assert_allclose(output.attention[index].numpy(), want["attention"], **CLOSE)
        np.testing.assert_allclose(
            output.local_logits[index, benign_first].sigmoid().numpy(), want["local"], **CLOSE
        )
        np.testing.assert_allclose(
            output.image_scores[index, benign_first].numpy(), want["fusion"], **CLOSE
        )
        np.testing.assert_allclose(
            output.global_scores[index, benign_first].numpy(),
            [formulas.top_mean(m, SMALL.top) for m in want["saliency"]],
            **CLOSE,
        )
    assert output.image_scores.std() > 0.01  # else any network would agree


def test_has_the_published_size():
    model = Gmic(GmicConfig())

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(model) == 14_110_322
    assert count(model.global_network) == 2_799_536
    assert count(model.local_network) == 11_176_512
    assert len(model.state_dict()) == 258


def test_the_grid_of_the_published_size_is_46_by_30_with_windows_of_4_by_4():
    network = Gmic(TINY).global_network.__class__(
        ResNet22Config(widths=(1, 1, 1, 1, 1), strides=(1, 2, 2, 2, 2))
    )
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 2944, 1920)).shape[2:] == (46, 30)
    cells = torch.tensor([[[0, 0], [1, 2], [42, 26]]])
    pixels = corners_in_pixels(cells, (46, 30), (2944, 1920))
    assert pixels.tolist() == [[[0, 0], [64, 128], [42 * 64, 26 * 64]]]


@pytest.mark.parametrize(
    ("part", "cells"), [(0.02, 28), (0.03, 41), (0.05, 69), (0.10, 138)], ids=str
)
def test_pools_as_many_cells_as_published(part, cells):
    grid = torch.arange(46 * 30.0).reshape(46, 30)
    want = sum(range(46 * 30 - cells, 46 * 30)) / cells
    assert top_mean(grid, part).item() == pytest.approx(want)


def test_a_constant_map_does_not_decide_where_to_look():
    saliency = torch.full((1, 2, 6, 5), 0.5)
    saliency[0, 1, 3, 2] = 0.9
    assert spread(saliency)[0, 0].abs().max() == 0
    window = greedy_patches(spread(saliency).sum(dim=1), (1, 1), 1)
    assert window.tolist() == [[[3, 2]]]


def test_of_equal_windows_the_first_is_taken_and_none_twice():
    corners = greedy_patches(torch.ones(1, 4, 4), (2, 2), 4)
    assert corners[0].tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]


def test_a_cut_beyond_the_image_is_put_at_the_lower_right():
    image = torch.arange(1.0, 13).reshape(1, 1, 3, 4)
    patches = cut(image, torch.tensor([[[1, 2], [0, 0]]]), 3)
    assert patches[0, 0].tolist() == [[1, 1, 1], [1, 7, 8], [1, 11, 12]]
    assert patches[0, 1].tolist() == [[1, 2, 3], [5, 6, 7], [9, 10, 11]]


def test_masked_maps_are_dark_outside_the_breast():
    batch = exam_batch("0", size=(64, 32), labels=("cancer", "benign"))
    batch = replace(batch, pixels=batch.pixels * (torch.arange(32) < 12))
    model = Gmic(replace(TINY, mask_saliency=True)).eval()
    with torch.no_grad():
        maps = model(batch).saliency
    assert (maps[..., 1:] == 0).all() and (maps[..., :1] > 0).all()  # cells of 16 pixels


def test_the_loss_is_three_cross_entropies_and_the_mean_of_the_maps():
    batch = exam_batch("0", "1", "2", labels=("cancer", "benign"))
    batch.targets["benign"][1] = math.nan
    model = Gmic(TINY).eval()
    with torch.no_grad():
        terms = GmicObjective(model, GmicObjectiveConfig(sparsity_weight=0.5))(batch)
        output = model(batch)
    want = 0.0
    for c, label in enumerate(("cancer", "benign")):
        known = [i for i in range(3) if not math.isnan(batch.target_of_images(label)[i])]
        assert len(known) == (3 if label == "cancer" else 2)
        for scores in (
            output.local_logits.sigmoid(),
            output.global_scores,
            output.fusion_logits.sigmoid(),
        ):
            for i in known:
                p, y = float(scores[i, c]), float(batch.target_of_images(label)[i])
                want -= (y * math.log(p) + (1 - y) * math.log(1 - p)) / len(known)
        cells = output.saliency[:, c].flatten().tolist()
        want += 0.5 * sum(cells) / len(cells)
    assert terms.total.item() == pytest.approx(want, rel=1e-5)  # float32 sums in another order


def test_the_recipes_have_the_published_values():
    settings = [
        (r.model.top, r.objective.sparsity_weight, r.optimizer.lr)
        for r in (getattr(recipes, f"published_{n}")() for n in range(1, 6))
    ]
    assert settings == [
        (0.02, 3.259e-6, 4.134e-6),
        (0.03, 2.280e-4, 1.165e-5),
        (0.03, 1.416e-4, 3.224e-5),
        (0.05, 9.407e-6, 1.460e-5),
        (0.10, 4.278e-5, 3.525e-6),
    ]
    assert [w.config.top for w in PUBLISHED] == [top for top, _, _ in settings]
