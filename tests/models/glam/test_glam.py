"""GLAM: super-patches know their place, and columns are looked up in columns."""

from dataclasses import replace

import pytest
import torch

from factory import caption_batch
from fourview.contract import encoded_batch
from fourview.losses.glam import position_loss
from fourview.models.glam.model import TINY, Glam
from fourview.models.glam.modules import SliceAttention, SuperPatches
from fourview.models.glam.objective import GlamObjective, GlamObjectiveConfig, _with_borrowed
from fourview.train.grad_cache import contrastive_backward

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64 sums in another order
GRID, TOKENS, DIM = (3, 2), (6, 4), 8


def pooler(kind: str) -> SuperPatches:
    torch.manual_seed(0)
    return SuperPatches(DIM, GRID, kind, 2).double()


def tokens(seed: int = 0) -> torch.Tensor:
    make = torch.Generator().manual_seed(seed)
    return torch.randn(2, *TOKENS, DIM, generator=make, dtype=torch.float64)


def shuffled(grid: torch.Tensor) -> torch.Tensor:
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    return grid.flatten(1, 2)[:, order].unflatten(1, TOKENS)


@pytest.mark.parametrize(("kind", "knows"), [("free", False), ("window", True), ("gaussian", True)])
def test_only_a_free_query_ignores_where_tokens_lie(kind, knows):
    pool, grid = pooler(kind), tokens()
    same = torch.allclose(pool(grid), pool(shuffled(grid)), **CLOSE)
    assert same is not knows


def test_a_window_is_its_cell_and_those_next_to_it():
    """Cells of 2 x 2 tokens: query (0, 0) sees tokens of rows 0 to 3 and columns 0 to 3."""
    pool, grid = pooler("window"), tokens()
    before = pool(grid)
    far = grid.clone()
    far[:, 4:, :] += 1.0  # the last row of cells
    after = pool(far)
    moved = (after - before).abs().amax(dim=(0, 2)).reshape(GRID) > 0
    assert moved.tolist() == [[False, False], [True, True], [True, True]]


def test_an_average_is_the_mean_of_its_cell_without_what_is_left_over():
    pool, grid = pooler("average"), tokens()
    wide = torch.cat([grid, 9 * torch.ones_like(grid[:, :, :1])], dim=2)  # a fifth column
    for given in (grid, wide):
        pooled = pool(given).reshape(2, *GRID, DIM)
        torch.testing.assert_close(pooled[:, 1, 0], grid[:, 2:4, 0:2].mean(dim=(1, 2)), **CLOSE)


def slices(*, columns: bool = True) -> SliceAttention:
    torch.manual_seed(0)
    return SliceAttention(DIM, 2, columns=columns).double()


def loss_of(attend: SliceAttention, cc: torch.Tensor, mlo: torch.Tensor) -> torch.Tensor:
    return sum(position_loss(q, p, 5.0) for q, p in attend(cc, mlo))


def test_columns_may_change_places_in_both_views_but_not_in_one():
    attend = slices()
    cc, mlo = tokens(), tokens(1)
    order = [2, 1, 0, 3]
    both = loss_of(attend, cc[:, :, order], mlo[:, :, order])
    torch.testing.assert_close(both, loss_of(attend, cc, mlo), **CLOSE)
    assert not torch.allclose(loss_of(attend, cc, mlo[:, :, order]), both, rtol=1e-4)


def test_rows_of_the_other_view_may_change_places_within_a_column():
    """Medial to lateral in CC, superior to inferior in MLO: rows do not correspond."""
    attend, cc, mlo = slices(), tokens(), tokens(1)
    (_, attended), _ = attend(cc, mlo)
    (_, again), _ = attend(cc, mlo.flip(1))
    torch.testing.assert_close(attended, again, **CLOSE)


def test_agreement_with_the_own_column_is_what_training_compares():
    attend, cc, mlo = slices(), tokens(), tokens(1)
    (queries, attended), _ = attend(cc, mlo)
    cosines, weights = attend.agreement(cc, mlo)
    own = torch.stack([cosines[:, :, c, c] for c in range(TOKENS[1])], dim=1)  # column, row
    want = torch.cosine_similarity(queries, attended, dim=-1).reshape(2, TOKENS[1], TOKENS[0])
    torch.testing.assert_close(own, want, **CLOSE)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones_like(cosines), **CLOSE)


def test_without_columns_a_patch_looks_in_the_whole_view():
    attend, cc, mlo = slices(columns=False), tokens(), tokens(1)
    (_, attended), _ = attend(cc, mlo)
    (_, again), _ = attend(cc, mlo.flip(2))
    torch.testing.assert_close(attended, again, **CLOSE)


def test_a_view_without_a_caption_takes_that_of_the_other():
    batch = caption_batch("02", "0", "13")
    encoded = encoded_batch(batch, {}, {})
    image, text = _with_borrowed(encoded)
    assert sorted(zip(image.tolist(), text.tolist(), strict=True)) == [
        (0, 0), (1, 0), (2, 1), (3, 2), (4, 2)
    ]  # fmt: skip


def test_breasts_with_one_view_have_no_local_loss():
    objective = GlamObjective(Glam(TINY), GlamObjectiveConfig()).eval()
    terms = objective(caption_batch("0", "1", "2"))
    assert terms.parts["local"] == 0 and terms.parts["cc_mlo"] == 0
    assert terms.total > 0


def test_maps_cover_the_super_patches():
    model = Glam(replace(TINY, super_patches=(4, 2))).eval()
    cc, mlo = torch.rand(2, 2, 1, 64, 32)
    agreement, rows = model.patch_to_slice(cc, mlo)
    assert agreement.shape == (2, 4, 2, 2)
    assert rows.shape == (2, 4, 2, 2, 4)


def pixels_of_tissue(batch, rows, cols):
    """The batch with breast in the upper left corner of every image alone."""
    pixels = torch.zeros_like(batch.pixels)
    pixels[:, :, :rows, :cols] = batch.pixels[:, :, :rows, :cols].clamp(min=0.01)
    return replace(batch, pixels=pixels)


def test_tissue_is_the_part_of_a_super_patch_that_is_above_0():
    model = Glam(replace(TINY, super_patches=(4, 2)))
    pixels = torch.zeros(1, 1, 64, 32)
    pixels[0, 0, :24, :20] = 0.5  # cells are 16 x 16
    want = torch.tensor([[1, 4 / 16], [8 / 16, 8 * 4 / 256], [0, 0], [0, 0]])
    torch.testing.assert_close(model.tissue(pixels)[0], want)


def test_what_is_empty_is_left_out_of_the_local_loss_in_chunks_too():
    torch.manual_seed(0)
    model = Glam(TINY)
    batch = pixels_of_tissue(caption_batch("02", "13", "02", "0"), 40, 20)
    objective = GlamObjective(model, GlamObjectiveConfig(least_tissue=0.1)).eval()
    plain = GlamObjective(model, GlamObjectiveConfig()).eval()
    loss, without = objective(batch).parts["local"], plain(batch).parts["local"]
    assert loss != without
    filled = model.tissue(batch.pixels) >= 0.1
    (remark,) = objective.remarks(batch)
    assert f"{100 * filled.float().mean():.0f} % of all" in remark and "left out" in remark
    whole = contrastive_backward(objective, batch).parts["local"]
    torch.testing.assert_close(
        contrastive_backward(objective, batch, chunk=2).parts["local"], whole
    )
    torch.testing.assert_close(whole, loss)


def test_a_place_counts_only_where_its_column_of_the_other_view_has_tissue():
    slices = Glam(TINY).slices
    cc = torch.tensor([[[1, 1, 0], [1, 0, 0]]], dtype=torch.bool)
    mlo = torch.tensor([[[1, 0, 0], [0, 0, 1]]], dtype=torch.bool)
    of_cc, of_mlo = slices.present(cc, mlo)  # column by column, as the queries are
    assert of_cc.tolist() == [[True, True, False, False, False, False]]
    assert of_mlo.tolist() == [[True, False, False, False, False, False]]
