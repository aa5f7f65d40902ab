"""Class-activation heatmaps of any network that reads a grid of features.

The map of an image and class is feature times gradient, summed over channels and rectified
(element-wise Grad-CAM: Selvaraju et al. 2017, ICCV, with the gradient kept at its place as in
HiResCAM, Draelos and Carin 2020, arXiv:2011.08891, Eq. 4). It is scaled so that its highest cell
is the image's own score: a map of a low score stays faint.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from fourview.contract import ExamBatch, ModelOutput

FINER = 4  # a peak between two cells then lies where it is


@runtime_checkable
class _Looks(Protocol):
    """An encoder that says where its cells look."""

    @property
    def stride(self) -> int: ...

    @property
    def first_center(self) -> float: ...

    def __call__(self, pixels: Tensor) -> Tensor: ...


def explained(
    batch: ExamBatch, encoder: _Looks, read: Callable[[Tensor, ExamBatch], Any]
) -> ModelOutput:
    """The output of a network that is an encoder and a head, with activation maps as heatmaps.

    Args:
        batch: Images to explain.
        encoder: Pixels to a grid of features.
        read: Features and batch to the output, which has ``logits`` of every image.
    """
    with torch.no_grad():
        features = encoder(batch.pixels) if batch.codes is None else batch.codes

    def logits_and_output(grid: Tensor) -> tuple[Tensor, ModelOutput]:
        output = read(grid, batch)
        return output.logits, output

    return with_activation_maps(
        features, logits_and_output, stride=encoder.stride, first_center=encoder.first_center
    )


def with_activation_maps(
    features: Float[Tensor, "image dim grid_row grid_col"],
    read: Callable[[Tensor], tuple[Float[Tensor, "image class"], ModelOutput]],
    *,
    stride: int,
    first_center: float,
) -> ModelOutput:
    """Read the features and add heatmaps to what comes out.

    Args:
        features: The grid that the network's head reads.
        read: Features to logits by image, and the output to add heatmaps to; its image scores
            must be there.
        stride: Pixels of a cell.
        first_center: Where cell 0 looks, in pixels from the edge (``Encoder.first_center``).

    Returns:
        The same output with ``heatmaps`` in [0, 1]; all are 0 where nothing points to a class.
    """
    with torch.enable_grad():
        grid = features.detach().clone().requires_grad_()
        logits, output = read(grid)
        maps = [
            (torch.autograd.grad(logit.sum(), grid, retain_graph=True)[0] * grid).sum(dim=1).relu()
            for logit in logits.unbind(dim=1)
        ]
    heat = torch.stack(maps, dim=1).detach().float()
    heat = evenly(heat, shift=first_center / stride - 0.5)
    peak = heat.amax(dim=(2, 3), keepdim=True)
    scores = output.image_scores
    if scores is None:
        raise ValueError("the output has no image_scores to scale the heatmaps by")
    scaled = heat / peak.clamp(min=torch.finfo(heat.dtype).tiny) * scores.detach()[..., None, None]
    return replace(output, heatmaps=scaled)


def evenly(
    maps: Float[Tensor, "image class grid_row grid_col"], *, shift: float
) -> Float[Tensor, "image class fine_row fine_col"]:
    """Maps on a grid ``FINER`` times as fine, each cell at the place of what it saw.

    Args:
        maps: Values at cell centres that are off from the middle of their cells.
        shift: By how much, in cells; towards larger rows and columns where above 0.
    """
    rows, cols = maps.shape[2:]
    y = (torch.arange(rows * FINER, device=maps.device) + 0.5) / FINER - shift
    x = (torch.arange(cols * FINER, device=maps.device) + 0.5) / FINER - shift
    grid = torch.stack(
        torch.meshgrid(2 * x / cols - 1, 2 * y / rows - 1, indexing="xy"), dim=-1
    ).to(maps.dtype)
    return grid_sample(
        maps,
        grid.expand(len(maps), -1, -1, -1),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
