"""DMV-CNN: four views through two networks, joined by view (both breasts) or scored by image.

Paper:    Wu et al. 2019, Deep Neural Networks Improve Radiologists' Performance in Breast Cancer
          Screening, arXiv:1903.08297.
Reads:    ExamBatch.pixels on a canvas that holds both sizes; the upper left part is cut here.
Returns:  image_scores and breast_scores: the mean of the CC and MLO probabilities of each breast.
Shapes:   I images, E exams, D features, C classes (cancer, benign).
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d

from fourview.contract import NUM_SIDES, NUM_SLOTS, ExamBatch, ModelOutput, task
from fourview.errors import PixelError
from fourview.models.dmv.patches import TINY_PATCHES, PatchNetwork, PatchNetworkConfig
from fourview.nn.resnet22 import ResNet22, ResNet22Config, standardised

RIGHT, LEFT = 0, 1  # sides, as slots have them
ANSWERS = 2  # no, yes: the published heads are softmaxes of two
CLASSES = ("cancer", "benign")
HEAT_CELL = 16  # pixels; heatmaps are handed on no finer


@dataclass(frozen=True, slots=True, kw_only=True)
class DmvConfig:
    """Defaults are the published view-wise model without heatmaps.

    Attributes:
        task: ``abnormality``: cancer and benign of each breast, as published; or ``cancer`` where
            benign findings are not labelled: the heads of benign are then absent.
        kind: ``views`` joins both breasts in each view; ``image`` scores images one at a time;
            ``patches`` is the patch classifier alone, whose maps' peaks are the scores.
        network: Of each of the two views.
        cc_size: Rows and columns of a CC window, at the canvas's upper left.
        mlo_size: Of an MLO window.
        noise: Deviation of the noise added to standardised pixels in training.
        patches: The patch classifier that draws two further channels; None reads pixels alone.
    """

    task: str = "abnormality"
    kind: Literal["views", "image", "patches"] = "views"
    network: ResNet22Config = field(default_factory=lambda: ResNet22Config(first_padding=0))
    cc_size: tuple[int, int] = (2677, 1942)
    mlo_size: tuple[int, int] = (2974, 1748)
    noise: float = 0.01
    patches: PatchNetworkConfig | None = None

    def __post_init__(self) -> None:
        if tuple(task(self.task).labels) not in (CLASSES, CLASSES[:1]):
            raise ValueError(f"task is '{self.task}', need abnormality, or cancer alone")
        if self.kind == "patches" and self.patches is None:
            raise ValueError("kind='patches' needs the settings of the patch classifier")


@dataclass(frozen=True, slots=True, kw_only=True)
class DmvOutput(ModelOutput):
    """Adds what the loss needs.

    Attributes:
        log_probabilities: Of no and yes, by image and class; None for ``patches``.
    """

    log_probabilities: Float[Tensor, "image class answer"] | None = None


class Dmv(nn.Module):
    """See the module docstring."""

    def __init__(self, config: DmvConfig) -> None:
        super().__init__()
        self.config = config
        self.task = task(config.task)
        self.patch_network = None if config.patches is None else PatchNetwork(config.patches)
        if config.kind == "patches":
            return
        if self.patch_network is not None:
            self.patch_network.requires_grad_(False)
        channels = 1 if config.patches is None else 3
        self.cc_network = ResNet22(config.network, input_channels=channels)
        self.mlo_network = ResNet22(config.network, input_channels=channels)
        dim, classes = self.cc_network.dim, self.task.num_classes
        if config.kind == "views":
            parts, dim, rows = 2, NUM_SIDES * dim, NUM_SIDES * classes * ANSWERS
        else:
            parts, rows = NUM_SLOTS, classes * ANSWERS
        self.hidden = nn.ModuleList(nn.Linear(dim, dim) for _ in range(parts))
        self.answer = nn.ModuleList(nn.Linear(dim, rows) for _ in range(parts))

    def train(self, mode: bool = True) -> "Dmv":
        """As any network, but the patch classifier stays as it is where it only draws."""
        super().train(mode)
        if self.config.kind != "patches" and self.patch_network is not None:
            self.patch_network.eval()
        return self

    def forward(self, batch: ExamBatch) -> DmvOutput:
        """Score every image, and both breasts of every exam."""
        if self.config.kind == "patches":
            return self._peaks(batch)
        features = self._features(batch)
        read = self._by_views if self.config.kind == "views" else self._by_image
        log_probabilities = read(features, batch).float().log_softmax(dim=-1)
        scores = log_probabilities[..., 1].exp()
        return DmvOutput(
            log_probabilities=log_probabilities,
            image_scores=scores,
            breast_scores=batch.per_breast(scores),
        )

    def _features(self, batch: ExamBatch) -> Float[Tensor, "image dim"]:
        """The features of each image, h: the mean over the cells of its view's network."""
        features = batch.pixels.new_zeros(batch.num_images, self.cc_network.dim)
        for position, network in enumerate((self.cc_network, self.mlo_network)):
            images = (batch.slot // NUM_SIDES == position).nonzero()[:, 0]
            if len(images):
                grid = network(self._channels(self.window(batch.pixels[images], position)))
                features = features.index_copy(0, images, grid.float().mean(dim=(2, 3)))
        return features

    def window(
        self, pixels: Float[Tensor, "image 1 row col"], position: int
    ) -> Float[Tensor, "image 1 window_row window_col"]:
        """The standardised part of images that a network reads: of CC (0) or MLO (1)."""
        rows, cols = self.config.mlo_size if position else self.config.cc_size
        if pixels.shape[2] < rows or pixels.shape[3] < cols:
            raise PixelError(
                f"images are {pixels.shape[2]} x {pixels.shape[3]}, DMV-CNN cuts {rows} x {cols} "
                "from them; prepare them with spec dmv-2974x1942 or set cc_size and mlo_size"
            )
        return standardised(pixels[:, :, :rows, :cols])

    def _channels(self, pixels: Tensor) -> Tensor:
        """Pixels, with noise in training, then the heatmaps as they are."""
        noisy = pixels
        if self.training and self.config.noise > 0:
            noisy = pixels + self.config.noise * torch.randn_like(pixels)
        if self.patch_network is None:
            return noisy
        return torch.cat([noisy, self.patch_network.heatmaps(pixels)], dim=1)

    def _by_views(
        self, features: Float[Tensor, "image dim"], batch: ExamBatch
    ) -> Float[Tensor, "image class answer"]:
        slots, _ = batch.to_slots(features)  # a missing view has features of 0
        answers = []
        for position in range(2):
            right, left = (slots[:, NUM_SIDES * position + side] for side in (RIGHT, LEFT))
            hidden = self.hidden[position](torch.cat([left, right], dim=1)).relu()
            rows = self.answer[position](hidden).unflatten(1, (-1, ANSWERS))
            order = torch.tensor(view_rows(self.task.num_classes), device=rows.device)
            answers.append(rows[:, order])
        by_view = torch.stack(answers, dim=1)  # exam, position, side, class, answer
        return by_view[batch.exam, batch.slot // NUM_SIDES, batch.slot % NUM_SIDES]

    def _by_image(
        self, features: Float[Tensor, "image dim"], batch: ExamBatch
    ) -> Float[Tensor, "image class answer"]:
        answers = torch.stack(
            [
                answer(hidden(features).relu()).unflatten(1, (-1, ANSWERS))
                for hidden, answer in zip(self.hidden, self.answer, strict=True)
            ],
            dim=1,
        )  # image, slot, row, answer
        here = torch.arange(len(features), device=features.device)
        return answers[here, batch.slot].flip(1)  # rows are benign, malignant

    def _peaks(self, batch: ExamBatch) -> DmvOutput:
        assert self.patch_network is not None
        maps = self.patch_network.heatmaps(standardised(batch.pixels)).flip(1)  # malignant first
        maps = maps[:, : self.task.num_classes]
        scores = maps.amax(dim=(2, 3))
        grid = [max(1, n // HEAT_CELL) for n in maps.shape[2:]]
        return DmvOutput(
            image_scores=scores,
            breast_scores=batch.per_breast(scores),
            heatmaps=adaptive_max_pool2d(maps, grid),
        )


def view_rows(num_classes: int) -> list[list[int]]:
    """For each side (R, L) and class, its row of a view's head.

    The rows are L and R benign, L and R malignant.

    >>> view_rows(2), view_rows(1)
    ([[3, 1], [2, 0]], [[1], [0]])
    """
    last = range(num_classes - 1, -1, -1)  # malignant rows are the last ones
    return [[NUM_SIDES * place + 1 - side for place in last] for side in (RIGHT, LEFT)]


TINY = DmvConfig(
    network=ResNet22Config(widths=(4, 4, 8), strides=(1, 2, 2), first_padding=0),
    cc_size=(56, 32),
    mlo_size=(64, 32),
    patches=TINY_PATCHES,
)
