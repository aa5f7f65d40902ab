"""GMIC: a cheap look at the whole image, a close look where it points, and both together.

Paper:    Shen et al. 2020, An interpretable classifier for high-resolution breast cancer screening
          images utilizing weakly supervised localization, arXiv:2002.07613.
Reads:    ExamBatch.pixels; each image on its own, chest wall at the left.
Returns:  image_scores (the fusion's) and breast_scores, saliency maps, and what the loss needs.
Shapes:   I images, C classes (cancer, benign: an image may be of both), K patches, D features.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d

from fourview.contract import ExamBatch, ModelOutput, task
from fourview.nn.activation_map import evenly
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GmicConfig:
    """Defaults are the first of the five published models.

    Attributes:
        task: ``abnormality`` as published (cancer, benign), or a single yes or no such as
            ``cancer`` where benign findings are not labelled.
        global_network: Sees the whole image.
        local_network: Sees the patches; the paper starts from ImageNet weights.
        top: t, the part of each map's cells whose mean is the global score.
        num_patches: K.
        patch_px: Side of a patch.
        attention_dim: Of the gated attention over patches.
        mask_saliency: Set maps to 0 in cells without breast, so that markers outside it cannot be
            chosen; off in the published models.
    """

    task: str = "abnormality"
    global_network: ResNet22Config = field(default_factory=ResNet22Config)
    local_network: ResNetConfig = field(default_factory=ResNetConfig)
    top: float = 0.02
    num_patches: int = 6
    patch_px: int = 256
    attention_dim: int = 128
    mask_saliency: bool = False

    def __post_init__(self) -> None:
        if not task(self.task).is_suspicion:
            raise ValueError(
                f"the classes of task '{self.task}' exclude each other; need yes or no"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GmicOutput(ModelOutput):
    """Adds what the loss needs and what others look at.

    Attributes:
        saliency: A, in [0, 1]: where the global network sees findings of each class.
        global_scores: y_global, from the maps' highest cells.
        local_logits: Of y_local, from the patches.
        fusion_logits: Of y_fusion, the prediction.
        patch_corners: First row and column of each patch, in pixels.
        attention: Of each patch; sums to 1.
    """

    saliency: Float[Tensor, "image class cell_row cell_col"]
    global_scores: Float[Tensor, "image class"]
    local_logits: Float[Tensor, "image class"]
    fusion_logits: Float[Tensor, "image class"]
    patch_corners: Int[Tensor, "image patch 2"]
    attention: Float[Tensor, "image patch"]


class Gmic(nn.Module):
    """See the module docstring."""

    def __init__(self, config: GmicConfig) -> None:
        super().__init__()
        self.config = config
        self.task = task(config.task)
        num_classes = self.task.num_classes
        self.global_network = ResNet22(config.global_network)
        self.saliency = nn.Conv2d(self.global_network.dim, num_classes, 1, bias=False)
        self.local_network = ResNetV1(config.local_network)
        self.attention = GatedAttention(self.local_network.dim, config.attention_dim)
        self.local_head = nn.Linear(self.local_network.dim, num_classes, bias=False)
        self.fusion = nn.Linear(self.global_network.dim + self.local_network.dim, num_classes)

    def forward(self, batch: ExamBatch) -> GmicOutput:
        """Score every image, and both breasts of every exam."""
        pixels = standardised(batch.pixels)
        features = self.global_network(pixels).float()
        saliency = self.saliency(features).float().sigmoid()
        if self.config.mask_saliency:
            saliency = saliency * _breast_cells(batch, saliency)
        corners = self.choose(saliency.detach(), (pixels.shape[2], pixels.shape[3]))
        patches = cut(pixels, corners, self.config.patch_px)
        joined, attention = self.attention(self._look_closely(patches))
        fused = torch.cat([features.amax(dim=(2, 3)), joined], dim=1)
        logits = self.fusion(fused).float()
        scores = self.task.scores(logits)
        return GmicOutput(
            saliency=saliency,
            global_scores=top_mean(saliency, self.config.top),
            local_logits=self.local_head(joined).float(),
            fusion_logits=logits,
            patch_corners=corners,
            attention=attention,
            image_scores=scores,
            breast_scores=batch.per_breast(scores),
        )

    def choose(
        self, saliency: Float[Tensor, "image class cell_row cell_col"], size: tuple[int, int]
    ) -> Int[Tensor, "image patch 2"]:
        """First row and column of the patches, in pixels; no gradient flows through the choice."""
        grid = (saliency.shape[2], saliency.shape[3])
        importance = spread(saliency).sum(dim=1)
        patch = patch_cells(self.config.patch_px, grid, size)
        cells = greedy_patches(importance, patch, self.config.num_patches)
        return corners_in_pixels(cells, grid, size)

    def explain(self, batch: ExamBatch) -> ModelOutput:
        """The same output with the saliency maps as heatmaps.

        Each cell is put where it looks (``ResNet22.first_center``), and a map is scaled so that its
        highest cell is the image's score, as the heatmaps of all families are.
        """
        with torch.no_grad():
            output: GmicOutput = self(batch)
        network = self.global_network
        maps = evenly(output.saliency, shift=network.first_center / network.stride - 0.5)
        assert output.image_scores is not None
        peak = maps.amax(dim=(2, 3), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
        return replace(output, heatmaps=maps / peak * output.image_scores[..., None, None])

    def _look_closely(
        self, patches: Float[Tensor, "image patch side side"]
    ) -> Float[Tensor, "image patch dim"]:
        rgb = patches.flatten(0, 1)[:, None].expand(-1, 3, -1, -1)
        pooled: Tensor = self.local_network(rgb).float().mean(dim=(2, 3))
        return pooled.reshape(*patches.shape[:2], -1)


class GatedAttention(nn.Module):
    """How much each patch counts: softmax of w(sigmoid(U h) * tanh(V h)), without biases.

    Ilse et al. 2018 (arXiv:1802.04712), Eq. 9.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, hidden, bias=False)  # U
        self.content = nn.Linear(dim, hidden, bias=False)  # V
        self.weight = nn.Linear(hidden, 1, bias=False)  # w

    def forward(
        self, features: Float[Tensor, "image patch dim"]
    ) -> tuple[Float[Tensor, "image dim"], Float[Tensor, "image patch"]]:
        """The weighted mean over an image's patches, and the weights."""
        gated = self.gate(features).sigmoid() * self.content(features).tanh()
        attention = self.weight(gated)[..., 0].float().softmax(dim=1)
        return (attention[..., None] * features).sum(dim=1), attention


def _breast_cells(batch: ExamBatch, like: Tensor) -> Float[Tensor, "image 1 grid_row grid_col"]:
    """1 in cells with any breast."""
    return adaptive_max_pool2d(batch.mask.to(like.dtype), like.shape[2:])


TINY = GmicConfig(
    global_network=ResNet22Config(widths=(4, 4, 8), strides=(1, 2, 2)),
    local_network=ResNetConfig(widths=(4, 4, 8, 8)),
    top=0.1,
    num_patches=3,
    patch_px=16,
    attention_dim=8,
)
