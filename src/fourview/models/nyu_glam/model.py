"""The GLAM of NYU: maps at three scales, one close look, and maps fine enough to segment.

Paper:    Liu et al. 2021, Weakly-supervised High-resolution Segmentation of Mammography Images for
          Breast Cancer Diagnosis, MIDL, arXiv:2106.07049. (Not the language-image model GLAM.)
Reads:    ExamBatch.pixels; each image on its own, chest wall at the left.
Returns:  image_scores and breast_scores (y_global, as published), the final maps as heatmaps of
          ``explain``, and what the loss needs.
Shapes:   I images, C classes (cancer, benign: an image may be of both).
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, interpolate

from fourview.contract import ExamBatch, ModelOutput, task
from fourview.nn.regions import (
    corners_in_pixels,
    cut,
    greedy_patches,
    patch_cells,
    spread,
    top_mean,
)
from fourview.nn.resnet22 import ResNet22, ResNet22Config, standardised
from fourview.nn.resnet_v1 import ResNetConfig, ResNetV1

MIXED = (0.2, 0.6, 0.2)  # of the maps at three scales, where to look closely
NUM_SCALES = 3  # the last ones of the global network


@dataclass(frozen=True, slots=True, kw_only=True)
class NyuGlamConfig:
    """Defaults are the published model.

    Attributes:
        task: ``abnormality`` as published, or a single yes or no.
        global_network: As in GMIC.
        local_network: ResNet-34 that keeps a quarter of the resolution.
        top: Part of the cells whose mean is a map's score.
        patch_px: Side of the one square that is looked at closely.
        local_top: Part of the square's cells whose mean is its score, in training.
    """

    task: str = "abnormality"
    global_network: ResNet22Config = field(default_factory=ResNet22Config)
    local_network: ResNetConfig = field(
        default_factory=lambda: ResNetConfig(depths=(3, 4, 6, 3), strides=(1, 1, 1, 1))
    )
    top: float = 0.03
    patch_px: int = 512
    local_top: float = 0.30

    def __post_init__(self) -> None:
        if not task(self.task).is_suspicion:
            raise ValueError(f"classes of task '{self.task}' exclude each other; need a yes or no")
        if len(self.global_network.widths) < NUM_SCALES:
            raise ValueError("the global network needs three stages")


@dataclass(frozen=True, slots=True, kw_only=True)
class NyuGlamOutput(ModelOutput):
    """Adds what the loss needs and what others look at.

    Attributes:
        scale_maps: At the three scales, all on the first one's grid.
        local_map: Of the square that was looked at closely, at a quarter of its resolution.
        local_scores: Mean of its highest cells.
        corner: First row and column of the square, in pixels.
    """

    scale_maps: tuple[Float[Tensor, "image class cell_row cell_col"], ...]
    local_map: Float[Tensor, "image class local_row local_col"]
    local_scores: Float[Tensor, "image class"]
    corner: Int[Tensor, "image 2"]


class NyuGlam(nn.Module):
    """See the module docstring."""

    def __init__(self, config: NyuGlamConfig) -> None:
        super().__init__()
        self.config = config
        self.task = task(config.task)
        classes = self.task.num_classes
        self.global_network = GlobalNetwork(config.global_network)
        widths = config.global_network.widths[-NUM_SCALES:]
        self.level_saliency = nn.ModuleList(nn.Conv2d(w, classes, 1, bias=False) for w in widths)
        self.local_network = ResNetV1(config.local_network)
        self.local_saliency = nn.Conv2d(self.local_network.dim, classes, 1, bias=False)

    def forward(self, batch: ExamBatch) -> NyuGlamOutput:
        """Score every image, and both breasts of every exam."""
        pixels = standardised(batch.pixels)
        maps = self._scale_maps(pixels)
        scores = torch.stack([top_mean(one, self.config.top) for one in maps]).mean(dim=0)
        corner = self.choose(tuple(m.detach() for m in maps), (pixels.shape[2], pixels.shape[3]))
        square = cut(pixels, corner[:, None], self.config.patch_px).expand(-1, 3, -1, -1)
        local = self.local_saliency(self.local_network(square)).float().sigmoid()
        return NyuGlamOutput(
            scale_maps=maps,
            local_map=local,
            local_scores=top_mean(local, self.config.local_top),
            corner=corner,
            image_scores=scores,
            breast_scores=batch.per_breast(scores),
        )

    def choose(self, maps: tuple[Tensor, ...], size: tuple[int, int]) -> Int[Tensor, "image 2"]:
        """First row and column of the square to look at closely, in pixels."""
        mixed = sum(weight * one for weight, one in zip(MIXED, maps, strict=True))
        assert isinstance(mixed, Tensor)
        grid = (mixed.shape[2], mixed.shape[3])
        patch = patch_cells(self.config.patch_px, grid, size)
        cells = greedy_patches(spread(mixed).sum(dim=1), patch, 1)
        return corners_in_pixels(cells, grid, size)[:, 0]

    def final_maps(
        self, output: NyuGlamOutput, size: tuple[int, int]
    ) -> Float[Tensor, "image class row col"]:
        """Mean of the mixed map and, where the close look was, the local one; in pixels."""
        mixed = sum(w * one for w, one in zip(MIXED, output.scale_maps, strict=True))
        assert isinstance(mixed, Tensor)
        maps = interpolate(mixed, size, mode="nearest")
        side = self.config.patch_px
        local = interpolate(output.local_map, (side, side), mode="nearest")
        pasted = torch.zeros_like(maps)
        for image, (row, col) in enumerate(output.corner.tolist()):
            target = pasted[image, :, row : row + side, col : col + side]
            # of a square that reaches beyond the image, ``cut`` put the image at the lower right
            target.copy_(local[image, :, side - target.shape[1] :, side - target.shape[2] :])
        return (maps + pasted) / 2

    def explain(self, batch: ExamBatch) -> ModelOutput:
        """The same output with the final maps as heatmaps.

        Their cells are those of the close look's grid, of which nothing is lost, and they are
        scaled so that the highest cell is the image's score, as heatmaps of all families are.
        """
        with torch.no_grad():
            output: NyuGlamOutput = self(batch)
            rows, cols = batch.pixels.shape[2:]
            cell = self.config.patch_px // output.local_map.shape[2]
            maps = self.final_maps(output, (rows, cols))
            maps = adaptive_max_pool2d(maps, [max(1, rows // cell), max(1, cols // cell)])
        assert output.image_scores is not None
        peak = maps.amax(dim=(2, 3), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
        return replace(output, heatmaps=maps / peak * output.image_scores[..., None, None])

    def _scale_maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        stages = self.global_network(pixels)
        raw = [
            layer(stage).float() for layer, stage in zip(self.level_saliency, stages, strict=True)
        ]
        finest = raw[0].shape[2:]
        return tuple(interpolate(m, finest, mode="nearest").sigmoid() for m in raw)


class GlobalNetwork(ResNet22):
    """A ResNet-22 that gives its last three stages; the last one normalised and rectified."""

    def forward(self, pixels: Tensor) -> list[Tensor]:  # type: ignore[override] # of several stages
        """Features of the stages, the finest first."""
        return self.stage_outputs(pixels)[-NUM_SCALES:]


TINY = NyuGlamConfig(
    global_network=ResNet22Config(widths=(4, 4, 8), strides=(1, 2, 2)),
    local_network=ResNetConfig(widths=(4, 4, 8, 8), strides=(1, 1, 1, 1), depths=(1, 1, 1, 1)),
    top=0.1,
    patch_px=16,
)
