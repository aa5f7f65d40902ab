"""Findings that a context network proposes where nobody names any: its most salient windows."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from fourview.entities import Finding, ProcessedImage, Side
from fourview.geometry import Box
from fourview.localise.findings import RegionRule, findings_from_regions
from fourview.localise.peaks import ScoredRegion
from fourview.nn.regions import corners_in_pixels, greedy_windows, window_cells

RULE = RegionRule(threshold=0.0)  # the best, however low the network's scores are


def propose(
    images: Sequence[ProcessedImage],
    maps: Float[Tensor, "image grid_row grid_col"],
    side: Side,
    *,
    side_px: float,
    count: int,
) -> tuple[Finding, ...]:
    """The windows of a breast with the highest mean saliency, best first.

    Windows are chosen on each image in turn as GMIC chooses its patches: what one covered counts
    no more for the next. One without any breast in it is left out.

    Args:
        images: Of the exam; those of the other breast are passed over.
        maps: Of each image, the class that is suspicious.
        side: Which breast.
        side_px: Side of a window, in processed pixels.
        count: How many, at most; with so many on an image looked at.
    """
    regions: list[ScoredRegion] = []
    for image, values in zip(images, maps, strict=True):
        if image.view.side != side:
            continue
        size = (image.pixels.shape[0], image.pixels.shape[1])
        grid = (values.shape[0], values.shape[1])
        window = window_cells(round(side_px), grid, size)
        cells = greedy_windows(values[None], window, count)
        ends = corners_in_pixels(cells + torch.tensor(window, device=cells.device), grid, size)
        firsts = corners_in_pixels(cells, grid, size)[0].tolist()
        for (row, col), (y0, x0), (y1, x1) in zip(
            cells[0].tolist(), firsts, ends[0].tolist(), strict=True
        ):
            if image.mask[y0:y1, x0:x1].any():
                part = values[row : row + window[0], col : col + window[1]]
                regions.append(
                    ScoredRegion(
                        image_id=image.image_id,
                        box=Box(x0, y0, x1, y1),
                        score=float(part.mean()),
                        geometry=image.geometry,
                    )
                )
    return findings_from_regions(regions, side, rule=RULE, max_findings=count)
