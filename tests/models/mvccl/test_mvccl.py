"""BRAIxMVCCL against slow loops written from the paper's formulas, in float64."""

import json
import math
from dataclasses import replace

import pytest
import torch

from factory import exam_batch
from fourview.models.mvccl.model import TINY, Mvccl
from fourview.models.mvccl.modules import (
    DepthSlices,
    GlobalConsistencyConfig,
    LocalCoOccurrence,
    cosine,
)
from fourview.models.mvccl.objective import MvcclObjective, MvcclObjectiveConfig
from fourview.nn.attention import AttentionConfig
from fourview.recipes import mvccl
from fourview.train.inputs import differences

EXACT = 1e-10  # float64 against a loop: only the order of sums differs


def model(**changes) -> Mvccl:
    torch.manual_seed(0)
    return Mvccl(replace(TINY, **changes)).double().eval()


def features(count: int) -> torch.Tensor:
    return torch.randn(count, 8, 4, 2, generator=torch.Generator().manual_seed(3)).double()


def attention_by_loop(block, queries, context, scale):
    """Softmax of scaled dot products, one head and one query cell at a time."""
    q_in, c_in = block.norm(queries), block.norm(context)
    heads, width = block.heads, block.query.out_features // block.heads
    rows = []
    for token in range(len(queries)):
        parts = []
        for head in range(heads):
            cut = slice(head * width, (head + 1) * width)
            q = block.query(q_in[token])[cut]
            keys = [block.key(c)[cut] for c in c_in]
            values = [block.value(c)[cut] for c in c_in]
            weights = [math.exp(float(q @ k) * scale) for k in keys]
            parts.append(sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights))
        rows.append(block.out(torch.cat(parts)))
    return torch.stack(rows)


@pytest.mark.parametrize(("scale", "factor"), [("paper", 8**-0.5), ("head", 4**-0.5)])
def test_local_co_occurrence_agrees_with_a_loop_over_cells(scale, factor):
    torch.manual_seed(0)
    local = LocalCoOccurrence(8, AttentionConfig(dim=8, heads=2, scale=scale)).double().eval()
    own, other = torch.randn(2, 5, 8, dtype=torch.float64)
    with torch.no_grad():
        got = local(own[None], other[None])[0]
        want = attention_by_loop(local.attend, own, other, factor).mean(dim=0)
    torch.testing.assert_close(got, want, rtol=EXACT, atol=EXACT)


def test_keys_and_values_come_from_the_other_view():
    """A published re-implementation takes its values from the view itself."""
    grid = features(2).requires_grad_()
    net = model(gcm=False)
    local = net.local
    tokens = grid.flatten(2).transpose(1, 2)
    z_main = local(tokens[:1], tokens[1:])
    constant = torch.ones_like(tokens[1:])  # every cell alike: attention cannot matter
    with torch.no_grad():
        blind = local(tokens[:1], constant)
        other_blind = local(torch.randn_like(tokens[:1]), constant)
    torch.testing.assert_close(blind, other_blind, rtol=EXACT, atol=EXACT)
    (gradient,) = torch.autograd.grad(z_main.sum(), grid)
    assert gradient[1].abs().sum() > 0


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("local", ["lcm", "sa"])
def test_where_a_cell_lies_matters_only_with_positions(local, positions):
    """The paper's attention gives the same for cells in any order."""
    net = model(local=local, gcm=False, positions=positions)
    batch = exam_batch("02")
    grid = features(2)
    moved = torch.stack([grid[0].flip(2), grid[1]])  # the cells of the CC view in another order
    with torch.no_grad():
        before, after = (net.read(g, batch).logits for g in (grid, moved))
    assert torch.allclose(before, after, atol=1e-6) != positions  # logits are float32


def test_joint_self_attention_is_that_of_each_order_computed_by_itself():
    net, batch = model(local="sa", gcm=False), exam_batch("0022", "1")
    grid = features(5)
    tokens = grid.flatten(2).transpose(1, 2)
    aux = {0: 2, 1: 2, 2: 0, 3: 0, 4: 4}  # the preferred image of the other view, or itself
    with torch.no_grad():
        got = net.read(grid, batch).logits
        for main, other in aux.items():
            parts = net.local(tokens[main : main + 1], tokens[other : other + 1])
            want = net.head(torch.cat(parts, dim=1))[0].float()
            torch.testing.assert_close(got[main], want, rtol=1e-6, atol=1e-6)  # float32 logits


def test_depth_slices_join_what_lies_in_the_same_column_of_both_views():
    slices = DepthSlices(8, 6).double()
    main, aux = features(2)[:1], features(2)[1:]
    with torch.no_grad():
        got = slices(main, aux)[0]
        columns = [
            slices.fuse(torch.cat([v[0, :, :, col].max(dim=1).values for v in (main, aux)]))
            for col in range(main.shape[3])
        ]
    torch.testing.assert_close(got, torch.stack(columns).max(dim=0).values, rtol=EXACT, atol=EXACT)


def test_the_pair_agrees_with_the_formulas_written_out():
    net, batch = model(), exam_batch("02")
    grid = features(2)
    with torch.no_grad():
        got = net.read(grid, batch)
        g = grid.amax(dim=(2, 3))
        to_main, to_aux = net.consistency.aux_to_main, net.consistency.main_to_aux
        tokens = grid.flatten(2).transpose(1, 2)
        z = [net.local(tokens[i : i + 1], tokens[1 - i : 2 - i])[0] for i in (0, 1)]
        for main, aux in ((0, 1), (1, 0)):
            z_g = g[main] + to_main(g[aux])
            logit = net.head(torch.cat([z_g, z[main], z[aux]]))
            torch.testing.assert_close(got.logits[main].double(), logit, rtol=1e-6, atol=1e-6)
            cos = [
                float(a @ b) / (float(a.norm()) * float(b.norm()))
                for a, b in ((to_main(g[aux]), g[main]), (to_aux(g[main]), g[aux]))
            ]
            assert float(got.similarity_loss[main]) == pytest.approx(-sum(cos) / 2, abs=EXACT)


def test_swapping_the_two_maps_changes_the_result():
    net, batch, grid = model(), exam_batch("02"), features(2)
    with torch.no_grad():
        before = net.read(grid, batch).logits
        maps = net.consistency
        maps.aux_to_main, maps.main_to_aux = maps.main_to_aux, maps.aux_to_main
        after = net.read(grid, batch).logits
    assert not torch.allclose(before, after)


def test_a_breast_scores_the_mean_of_both_orders():
    net, batch, grid = model(), exam_batch("02"), features(2)
    with torch.no_grad():
        output = net.read(grid, batch)
    assert output.image_scores[0] != output.image_scores[1]  # the network is not symmetric
    torch.testing.assert_close(output.breast_scores[0, 0], output.image_scores.mean(dim=0))


def test_every_extra_image_is_read_with_the_preferred_one_of_the_other_view():
    net, grid = model(), features(3)
    with torch.no_grad():
        three = net.read(grid, exam_batch("022")).image_scores
        with_second = net.read(grid[[0, 2]], exam_batch("02")).image_scores
        with_first = net.read(grid[[0, 1]], exam_batch("02")).image_scores
    torch.testing.assert_close(three[2], with_second[1], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(three[:2], with_first, rtol=1e-6, atol=1e-6)


def test_a_lone_view_is_its_own_auxiliary_and_has_no_similarity_loss():
    net, grid = model(), features(2)
    with torch.no_grad():
        alone = net.read(grid[:1], exam_batch("0"))
        doubled = net.read(grid[[0, 0]], exam_batch("02"))
    assert alone.alone.tolist() == [True] and alone.similarity_loss.isnan().all()
    torch.testing.assert_close(alone.logits[0], doubled.logits[0], rtol=1e-6, atol=1e-6)


def test_the_loss_is_cross_entropy_plus_similarity_over_ordered_pairs():
    batch = exam_batch("0123", "02")
    net = model().float()
    objective = MvcclObjective(net, MvcclObjectiveConfig(similarity_weight=0.5))
    with torch.no_grad():
        terms, output = objective(batch), net(batch)
    bce, similar = 0.0, 0.0
    y = batch.target_of_images("cancer").tolist()
    for i in range(6):
        p = float(output.image_scores[i, 0])
        bce -= math.log(p if y[i] == 1 else 1 - p) / 6
        similar += float(output.similarity_loss[i]) / 6
    assert float(terms.total) == pytest.approx(bce + 0.5 * similar, rel=1e-5)  # float32


@pytest.mark.parametrize(
    ("changes", "width"),
    [
        ({"views": "one", "local": "none", "gcm": False}, 8),
        ({"local": "none", "gcm": False}, 16),
        ({"local": "sa", "gcm": False}, 16),
        ({"local": "lcm", "gcm": False}, 16),
        ({"local": "none"}, 8),
        ({"local": "sa"}, 24),
        ({"local": "sa", "sa_on": "global"}, 24),
        ({}, 24),
    ],
)
def test_the_ablation_joins_what_the_table_says(changes, width):
    net = model(**changes)
    assert net.head[0].normalized_shape == (width,)
    with torch.no_grad():
        assert net.float()(exam_batch("0123", "1")).breast_scores.shape == (2, 2, 1)


def test_without_the_other_view_a_single_view_network_says_the_same():
    net, grid = model(views="one", local="none", gcm=False), features(2)
    with torch.no_grad():
        both = net.read(grid, exam_batch("02")).logits
        alone = net.read(grid[:1], exam_batch("0")).logits
    torch.testing.assert_close(both[:1], alone)


def test_the_cosine_is_clamped_by_the_product_of_the_norms():
    tiny = torch.full((1, 4), 1e-7, dtype=torch.float64)
    want = 4 * 1e-14 / 1e-8  # the product of the norms, 4e-14, is below eps
    assert float(cosine(tiny, tiny)) == pytest.approx(want)


def test_targets_of_the_consistency_loss_can_be_kept_from_learning():
    grid = features(2).requires_grad_()
    free, held = (
        model(consistency=GlobalConsistencyConfig(stop_gradient=stop)) for stop in (False, True)
    )
    gradients = [
        torch.autograd.grad(net.read(grid, exam_batch("02")).similarity_loss.sum(), grid)[0]
        for net in (free, held)
    ]
    assert not torch.allclose(*gradients)


def test_density_has_four_scores_that_sum_to_one():
    net = model(task="density").float()
    with torch.no_grad():
        scores = net(exam_batch("0123", labels=["density"])).breast_scores
    assert scores.shape == (1, 2, 4)
    torch.testing.assert_close(scores.sum(dim=2), torch.ones(1, 2))


def test_the_similarity_is_a_mean_over_the_images_that_have_another_view():
    batch = exam_batch("02", "1")  # the left breast of the second exam has one view
    net = model().float()
    with torch.no_grad():
        terms, output = MvcclObjective(net, MvcclObjectiveConfig())(batch), net(batch)
    assert output.alone.tolist() == [False, False, True]
    want = (float(output.similarity_loss[0]) + float(output.similarity_loss[1])) / 2
    assert float(terms.parts["similarity"]) == pytest.approx(want, rel=1e-5)  # float32


@pytest.mark.parametrize(
    ("local", "gcm", "own"), [("lcm", False, 16), ("sa", False, 16), ("lcm", True, 24)]
)
def test_pooled_joins_the_mean_features_of_both_views_beside_a_rows_own(local, gcm, own):
    """The first columns of the classifier's input are the row's own; the last are the means."""
    plain, joined = (model(local=local, gcm=gcm, pooled=pooled) for pooled in (False, True))
    batch, grid = exam_batch("02"), features(2)
    seen = []
    for each in (plain, joined):
        each.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        with torch.no_grad():
            each.read(grid, batch)
    assert (seen[0].shape[1], seen[1].shape[1]) == (own, own + 16)
    mean = torch.stack([cell.flatten(1).mean(dim=1) for cell in grid])
    torch.testing.assert_close(seen[1][:, own:], torch.cat([mean, mean.flip(0)], dim=1))
    with pytest.raises(ValueError, match="pooled=False"):
        replace(TINY, views="one", local="none", gcm=False, pooled=True)


@pytest.mark.parametrize(
    ("one", "other", "setting"),
    [
        (mvccl.mini_lcm, mvccl.mini_lcm_pooled, "model.pooled"),
        (mvccl.mini_sa, mvccl.mini_sa_pooled, "model.pooled"),
        (mvccl.paper_lcm, mvccl.paper_lcm_pooled, "model.pooled"),
        (mvccl.paper_sa, mvccl.paper_sa_pooled, "model.pooled"),
        (mvccl.mini_fusion, mvccl.mini_fusion_max, "model.pooling"),
        (mvccl.mini_gcm, mvccl.mini_gcm_unforced, "objective.similarity_weight"),
        (mvccl.mini_lcm, mvccl.mini_sa, "model.local"),
        (mvccl.mini_lcm, mvccl.mini, "model.gcm"),
    ],
)
def test_rows_of_the_ablation_differ_in_one_thing(one, other, setting):
    told = (json.loads(recipe().to_json()) for recipe in (one, other))
    assert {name for name, _, _ in differences(*told)} == {"name", setting}
