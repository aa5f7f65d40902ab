from dataclasses import replace

import pytest
import torch
from torch import nn

from factory import patch_batch
from fourview.contract import PatchBatch
from fourview.errors import RecipeError
from fourview.feeds.kinds.patches import PatchSettings
from fourview.losses.weighted import weighted_cross_entropy
from fourview.models.find import find_family
from fourview.models.lesion.model import TINY, Lesion, LesionConfig, input_maps, mean_by_finding
from fourview.models.lesion.objective import (
    PAPER,
    AggregateObjective,
    LesionObjectiveConfig,
    PatchObjective,
)
from fourview.nn.encoder import EncoderConfig
from fourview.recipes.lesion import ROWS, paper, paper_patch
from fourview.train.run import objective_of

GENERATOR = torch.Generator().manual_seed(0)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # float32 sums in another order


def maps_of(num: int = 3, context: int = 2) -> torch.Tensor:
    maps = torch.rand(num, 1 + context, 5, 4, generator=GENERATOR)
    maps[:, 0] *= maps[:, 0] > 0.6
    return maps


def test_embedding_maps_are_h_wherever_the_window_touches_a_cell_and_0_elsewhere():
    maps, h = maps_of(), torch.randn(3, 4, generator=GENERATOR)
    inputs = input_maps(replace(TINY, inputs=("embedding",)), maps, h)
    for p in range(3):
        for k in range(4):
            for r in range(5):
                for c in range(4):
                    want = h[p, k].item() if maps[p, 0, r, c] > 0 else 0.0
                    assert inputs[p, k, r, c].item() == want


def test_coordinates_are_row_and_column_of_the_cells_that_the_window_touches():
    maps, h = maps_of(), torch.zeros(3, 4)
    config = replace(TINY, inputs=("coordinates",))
    inputs = input_maps(config, maps, h)
    assert inputs.shape == (3, config.num_maps, 5, 4)
    for p in range(3):
        for r in range(5):
            for c in range(4):
                touched = maps[p, 0, r, c] > 0
                want = ((r + 0.5) / 2.5 - 1, (c + 0.5) / 2 - 1) if touched else (0, 0)
                assert inputs[p, :, r, c].tolist() == pytest.approx(want, abs=1e-6)  # float32


def test_of_the_location_map_the_network_sees_only_how_near_the_edge_is():
    """Its convolutions reach two cells, and it averages over the grid."""
    torch.manual_seed(0)
    for inputs, blind in ((("location",), True), (("coordinates",), False)):
        config = replace(TINY, inputs=inputs)
        model = Lesion(config).eval()
        model.aggregate[0].running_mean.uniform_(-0.5, 0.5)
        model.aggregate[3].running_mean.uniform_(-0.5, 0.5)

        def said(top: int, left: int, config=config, model=model) -> torch.Tensor:
            maps = torch.zeros(1, 3, 16, 14)
            maps[0, 0, top : top + 3, left : left + 3] = torch.tensor([0.5, 1.0, 0.4])
            with torch.no_grad():
                return model.aggregate(input_maps(config, maps, torch.zeros(1, 4)))

        inside = [said(2, 2), said(11, 9), said(5, 8)]
        for other in inside[1:]:
            assert torch.allclose(inside[0], other, atol=1e-5) == blind
        assert not torch.allclose(inside[0], said(4, 0), atol=1e-5)  # at the edge


@pytest.mark.parametrize(
    ("row", "channels"),
    [
        ("location", 1),
        ("saliency", 2),
        ("location_saliency", 3),
        ("embedding", 32),
        ("location_embedding", 33),
        ("embedding_saliency", 34),
        ("all", 35),
    ],
)
def test_every_row_of_table_3_reads_as_many_channels_as_the_paper(row, channels):
    config = replace(TINY, dim=32, inputs=ROWS[row])
    assert config.num_maps == channels
    maps, h = maps_of(), torch.randn(3, 32, generator=GENERATOR)
    x = input_maps(config, maps, h)
    assert x.shape == (3, channels, 5, 4)
    if "location" in ROWS[row]:
        assert torch.equal(x[:, :1], maps[:, :1])
    if "saliency" in ROWS[row]:
        assert torch.equal(x[:, -2:], maps[:, 1:])


def test_norm_and_relu_come_before_each_convolution():
    kinds = [type(layer) for layer in Lesion(TINY).aggregate]
    block = [nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
    assert kinds == [*block, *block, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]
    without = [type(layer) for layer in Lesion(replace(TINY, input_norm=False)).aggregate]
    assert without == kinds[2:]


def test_the_aggregation_network_is_its_formula():
    torch.manual_seed(0)
    model = Lesion(TINY).eval()
    norm, _, first, second_norm, _, second, _, _, head = model.aggregate
    for layer in (norm, second_norm):
        layer.running_mean.uniform_(-0.5, 0.5)
        layer.running_var.uniform_(0.5, 2)
        layer.weight.data.uniform_(0.5, 2)
        layer.bias.data.uniform_(-0.5, 0.5)
    x = torch.randn(2, TINY.num_maps, 5, 4, generator=GENERATOR)

    def normed(values, layer):
        mean, var = layer.running_mean.double(), layer.running_var.double()
        scale = layer.weight.double() / (var + layer.eps).sqrt()
        centred = values - mean[None, :, None, None]
        return centred * scale[None, :, None, None] + layer.bias.double()[None, :, None, None]

    def convolved(values, weight):
        padded = nn.functional.pad(values, (1, 1, 1, 1))
        out = torch.zeros(len(values), len(weight), 5, 4, dtype=torch.float64)
        for r in range(5):
            for c in range(4):
                part = padded[:, :, r : r + 3, c : c + 3]
                out[:, :, r, c] = torch.einsum("pmij,omij->po", part, weight.double())
        return out

    y = convolved(normed(x.double(), norm).clamp(min=0), first.weight)
    y = convolved(normed(y, second_norm).clamp(min=0), second.weight)
    want = y.mean(dim=(2, 3)) @ head.weight.double().T + head.bias.double()
    torch.testing.assert_close(model.aggregate(x).double(), want, rtol=1e-4, atol=1e-5)


def test_a_finding_scores_the_mean_over_its_windows_of_malignant_against_benign():
    torch.manual_seed(0)
    model, batch = Lesion(TINY).eval(), patch_batch("0123")
    with torch.no_grad():
        output = model(batch)
    p = output.logits.double().softmax(dim=1)
    for finding in range(4):
        own = [i for i in range(12) if batch.patches.finding[i] == finding]
        want = sum(p[i, 0] / (p[i, 0] + p[i, 1]) for i in own) / len(own)
        assert output.finding_scores[finding, 0].item() == pytest.approx(want.item(), abs=1e-6)


def test_a_finding_without_windows_is_unknown():
    patches = PatchBatch(
        image=torch.tensor([0]),
        box=torch.zeros(1, 4),
        finding=torch.tensor([1]),
        num_findings=2,
    )
    scores = mean_by_finding(torch.tensor([0.3]), patches)
    assert scores[0].isnan() and scores[1].item() == pytest.approx(0.3)


def test_without_maps_the_windows_own_outputs_decide():
    torch.manual_seed(0)
    model, batch = Lesion(TINY).eval(), patch_batch("01")
    alone = replace(batch, patches=replace(batch.patches, maps=None))
    with torch.no_grad():
        output = model(alone)
        want = model.local.head(model.local(batch.patches.pixels))
    torch.testing.assert_close(output.logits, want, **CLOSE)
    with torch.no_grad():
        features = model.local.encoder(batch.patches.pixels)
    coded = replace(batch.patches, pixels=None, codes=features)
    with torch.no_grad():
        again = model(replace(batch, patches=coded))
        fresh = model(batch)
    torch.testing.assert_close(again.logits, fresh.logits, **CLOSE)


def test_patches_and_the_right_number_of_heatmaps_are_asked_for():
    model, batch = Lesion(TINY).eval(), patch_batch("01")
    with pytest.raises(RecipeError, match="feed 'patches'"):
        model(replace(batch, patches=None))
    one = replace(batch.patches, maps=batch.patches.maps[:, :2])
    with pytest.raises(RecipeError, match="1 heatmaps"):
        model(replace(batch, patches=one))


def test_aggregation_leaves_the_patch_network_and_its_statistics_alone():
    torch.manual_seed(0)
    objective = AggregateObjective(Lesion(TINY), LesionObjectiveConfig()).train()
    before = {k: v.clone() for k, v in objective.model.local.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.1)
    objective(patch_batch("0123", "0123")).total.backward()
    optimizer.step()
    assert all(torch.equal(v, before[k]) for k, v in objective.model.local.state_dict().items())
    alone = PatchObjective(Lesion(TINY), LesionObjectiveConfig()).train()
    alone(patch_batch("0123")).total.backward()
    assert all(p.grad is None for p in alone.model.aggregate.parameters())


def test_a_frozen_encoder_keeps_weights_and_statistics_while_what_follows_learns():
    torch.manual_seed(0)
    model = Lesion(replace(TINY, frozen_encoder=True))
    objective = PatchObjective(model, LesionObjectiveConfig()).train()
    before = {k: v.clone() for k, v in model.local.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.1)
    objective(patch_batch("0123", "0123")).total.backward()
    optimizer.step()
    after = model.local.state_dict()
    moved = {k for k, v in after.items() if not torch.equal(v, before[k])}
    assert moved == {"embedding.weight", "embedding.bias", "head.weight", "head.bias"}
    stages = find_family("lesion").stages
    saved, drawn = PatchSettings(saved=4), PatchSettings()
    assert stages["patch"].encoder(model, saved) is model.local.encoder
    assert stages["patch"].encoder(model, drawn) is model.local.encoder
    assert stages["patch"].encoder(Lesion(TINY), saved) is None


def test_class_weights_are_the_papers():
    recipe = paper_patch()
    classes = objective_of(recipe, Lesion(TINY)).classes  # as the feed draws them
    assert classes.per_epoch == recipe.feed.per_epoch == PAPER
    assert classes.weights == pytest.approx((500, 285.714, 2, 2.0222), rel=1e-4)
    assert classes.mean == 4
    shares = [w * n / 10000 / 4 for w, n in zip(classes.weights, PAPER, strict=True)]
    assert shares == pytest.approx([0.25] * 4)


def test_the_weighted_loss_is_its_sum_over_windows_and_mean_weight():
    logits = torch.randn(6, 4, generator=GENERATOR)
    targets = torch.tensor([0.0, 3.0, 2.0, float("nan"), 1.0, 2.0])
    weights = (500.0, 285.0, 2.0, 2.02)
    log_p = logits.double().log_softmax(dim=1)
    known = [i for i in range(6) if not targets[i].isnan()]
    total = sum(-weights[int(targets[i])] * log_p[i, int(targets[i])] for i in known)
    loss = weighted_cross_entropy(logits, targets, weights, mean_weight=4.0)
    assert loss.item() == pytest.approx(total.item() / (5 * 4), rel=1e-6)
    torchs = weighted_cross_entropy(logits, targets, weights, mean_weight=4.0, reduction="torch")
    kept = ~targets.isnan()
    want = nn.functional.cross_entropy(
        logits[kept], targets[kept].long(), weight=torch.tensor(weights)
    )
    assert torchs.item() == pytest.approx(want.item(), rel=1e-6)
    nothing = weighted_cross_entropy(logits, torch.full((6,), torch.nan), weights, mean_weight=4.0)
    assert nothing.item() == 0


@pytest.mark.parametrize(
    ("name", "dim"), [("densenet161", 2208), ("densenet121", 1024), ("resnetv2_50", 2048)]
)
def test_published_encoders_are_built_with_as_many_features(name, dim):
    config = LesionConfig(encoder=EncoderConfig(name=name, weights="none"))
    with torch.device("meta"):
        model = Lesion(config)
    assert model.local.embedding.in_features == dim
    assert model.aggregate[2].weight.shape == (32, 34, 3, 3)


def test_the_published_run_is_a_chain_on_the_papers_grid():
    recipe = paper()
    assert (recipe.starts_from, recipe.context) == ("lesion:paper_patch", "gmic:published_1")
    assert recipe.feed.grid == (46, 30) and recipe.patience_epochs == 10
    assert recipe.model.inputs == ("embedding", "saliency")
    with pytest.raises(ValueError, match="inputs"):
        replace(recipe.model, inputs=())
