"""From maps to what deserves a closer look: means of top cells, the best patches, their cuts.

Shen et al. 2020 (arXiv:2002.07613), section 3; also Liu et al. 2021 (NYU's GLAM).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d


def top_mean(maps: Float[Tensor, "*many row col"], part: float) -> Float[Tensor, "*many"]:
    """Mean of the highest ``part`` of the cells: round(cells * part) of them, one at least.

    Half rounds to even, as Python does.
    """
    cells = maps.flatten(-2)
    count = max(1, round(cells.shape[-1] * part))
    return cells.topk(count, dim=-1).values.mean(dim=-1)


def spread(maps: Float[Tensor, "*many row col"]) -> Float[Tensor, "*many row col"]:
    """Each map from 0, its lowest cell, to 1, its highest; all 0 where every cell is the same."""
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    return (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)


def patch_cells(side_px: int, grid: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a grid that a square of pixels takes: rounded, one at least."""
    rows, cols = (
        min(cells, max(1, round(side_px * cells / pixels)))
        for cells, pixels in zip(grid, size, strict=True)
    )
    return rows, cols


@torch.no_grad()
def greedy_patches(
    importance: Float[Tensor, "image row col"], patch: tuple[int, int], count: int
) -> Int[Tensor, "image count 2"]:
    """Row and column of the first cell of the ``count`` patches with the highest mean, in turn.

    What a patch covered counts as 0 for those after it, so that they may overlap but look for
    something else. Of equal patches the first in reading order is taken.

    Args:
        importance: 0 or more.
        patch: Its rows and columns, in cells; at most the grid's.
        count: How many.
    """
    left = importance.detach().float().clone()
    rows, cols = left.shape[1:]
    row_of = torch.arange(rows, device=left.device)[None, :, None]
    col_of = torch.arange(cols, device=left.device)[None, None, :]
    firsts = []
    for _ in range(count):
        means = avg_pool2d(left[:, None], patch, stride=1)[:, 0]
        best = means.flatten(1).argmax(dim=1)
        row, col = best // means.shape[2], best % means.shape[2]
        firsts.append(torch.stack([row, col], dim=1))
        top, first = row[:, None, None], col[:, None, None]
        covered = (row_of >= top) & (row_of < top + patch[0])
        covered = covered & (col_of >= first) & (col_of < first + patch[1])
        left = left.masked_fill(covered, 0.0)
    return torch.stack(firsts, dim=1)


def corners_in_pixels(
    corners: Int[Tensor, "image count 2"], grid: tuple[int, int], size: tuple[int, int]
) -> Int[Tensor, "image count 2"]:
    """Cells to pixels: round(cell / cells * pixels), half to even."""
    scale = [pixels / cells for cells, pixels in zip(grid, size, strict=True)]
    return (corners.double() * corners.new_tensor(scale, dtype=torch.float64)).round().long()


@torch.no_grad()
def cut(
    pixels: Float[Tensor, "image 1 row col"], corners: Int[Tensor, "image count 2"], side: int
) -> Float[Tensor, "image count side side"]:
    """Squares of ``side`` pixels, whose first row and column are given.

    What would lie beyond the image is left out: the rest is put at the square's lower right, and
    the image's lowest value fills up (the published rule).
    """
    num_images, _, rows, cols = pixels.shape
    row, row_inside = _places(corners[..., 0], rows, side)
    col, col_inside = _places(corners[..., 1], cols, side)
    image = torch.arange(num_images, device=pixels.device)[:, None, None, None]
    squares = pixels[image, 0, row[..., :, None], col[..., None, :]]
    inside = row_inside[..., :, None] & col_inside[..., None, :]
    return torch.where(inside, squares, pixels.amin(dim=(1, 2, 3))[:, None, None, None])


def _places(
    first: Int[Tensor, "image count"], length: int, side: int
) -> tuple[Int[Tensor, "image count side"], Tensor]:
    """Which row of the image each row of a square shows, and whether it shows any."""
    beyond = (first + side - length).clamp(min=0)[..., None]
    place = first[..., None] + torch.arange(side, device=first.device) - beyond
    return place.clamp(min=0), place >= first[..., None]
