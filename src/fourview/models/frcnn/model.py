"""Faster R-CNN on mammograms: boxes of benign and malignant findings; the highest score counts.

Paper:    Ribli et al. 2018, Detecting and classifying lesions in mammograms with Deep Learning,
          Scientific Reports, arXiv:1707.08401.
Reads:    ExamBatch.pixels; each image on its own. For training ExamBatch.patches.box and its
          targets["malignant"].
Returns:  image_scores (the highest score of a malignant box, 0 without any), breast_scores, and the
          boxes themselves: malignant ones of the task's class, benign ones of none.
Shapes:   I images; 3 classes (background, benign, malignant).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import roi_pool

from fourview.contract import NO_CLASS, DetectedBoxes, ExamBatch, ModelOutput, task
from fourview.errors import CheckpointError
from fourview.nn.encoder import load_encoder_weights
from fourview.nn.pretrained import IMAGENET_MEAN, IMAGENET_STD

BENIGN, MALIGNANT = 1, 2
NUM_CLASSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class VggConfig:
    """Convolutions of VGG-16.

    Attributes:
        blocks: Channels, with a pooling between blocks.
        weights: ``none``, ``imagenet`` (fetched or from the local cache) or a file.
    """

    blocks: tuple[tuple[int, ...], ...] = (
        (64, 64),
        (128, 128),
        (256, 256, 256),
        (512, 512, 512),
        (512, 512, 512),
    )
    weights: str = "none"

    @property
    def stride(self) -> int:
        """Pixels of a cell: 16 with VGG-16's four poolings, whose fifth is left out."""
        return 1 << (len(self.blocks) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrcnnConfig:
    """Defaults are the paper's network at the authors' scale.

    Attributes:
        task: The label that malignant boxes speak of.
        backbone: The convolutions.
        width: Of the two layers after a region's 7 x 7 cells.
        anchor_px: Sides of anchors; each in the shapes 1:2, 1:1, 2:1.
        size: Rows and columns of the images: they are not resized here.
        nms_iou: Boxes of one class that overlap more are one.
        lowest_score: Boxes below it are dropped.
        most_boxes: Kept of an image.
    """

    task: str = "cancer"
    backbone: VggConfig = field(default_factory=VggConfig)
    width: int = 4096
    anchor_px: tuple[int, ...] = (128, 256, 512)
    size: tuple[int, int] = (2145, 1737)
    nms_iou: float = 0.1
    lowest_score: float = 0.0
    most_boxes: int = 100

    def __post_init__(self) -> None:
        if task(self.task).num_classes != 1:
            raise ValueError(f"task '{self.task}' has several classes; need a yes or no")


class Frcnn(nn.Module):
    """See the module docstring."""

    def __init__(self, config: FrcnnConfig) -> None:
        super().__init__()
        self.config = config
        self.task = task(config.task)
        body = _vgg(config.backbone)
        shapes = ((0.5, 1.0, 2.0),)
        num_inputs = config.backbone.blocks[-1][-1] * 49  # 7 x 7 cells
        rows, cols = sorted(config.size)
        self.network = FasterRCNN(
            body,
            min_size=rows,  # the canvas's own sides: nothing is resized
            max_size=cols,
            image_mean=list(IMAGENET_MEAN),
            image_std=list(IMAGENET_STD),
            rpn_anchor_generator=AnchorGenerator((config.anchor_px,), shapes),
            box_head=TwoMLPHead(num_inputs, config.width),
            box_predictor=FastRCNNPredictor(config.width, NUM_CLASSES),
            box_score_thresh=config.lowest_score,
            box_nms_thresh=config.nms_iou,
            box_detections_per_img=config.most_boxes,
        )
        self.network.roi_heads.box_roi_pool = _RoiPool(
            config.backbone.stride
        )  # its own is RoIAlign, of a later paper

    def forward(self, batch: ExamBatch) -> ModelOutput:
        """Boxes and scores of every image; only in evaluation mode."""
        detections: list[dict[str, Tensor]] = self.network(self._images(batch))
        count = torch.tensor(
            [len(image["scores"]) for image in detections], device=batch.exam.device
        )
        scores = torch.cat([image["scores"] for image in detections]).float().clamp(0, 1)
        is_malignant = torch.cat([image["labels"] for image in detections]) == MALIGNANT
        image = torch.repeat_interleave(torch.arange(len(detections), device=count.device), count)
        malignant = torch.where(is_malignant, scores, 0.0)
        highest = scores.new_zeros(len(detections)).scatter_reduce(0, image, malignant, "amax")[
            :, None
        ]
        return ModelOutput(
            boxes=DetectedBoxes(
                image=image,
                corners=torch.cat([image["boxes"] for image in detections]).float(),
                label=torch.where(is_malignant, 0, NO_CLASS),  # benign boxes are not asked for
                score=scores,
            ),
            image_scores=highest,
            breast_scores=batch.per_breast(highest),
        )

    def losses(self, batch: ExamBatch, boxes: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The four losses of torchvision's detector.

        Args:
            batch: The images.
            boxes: For each image ``boxes`` (x0 y0 x1 y1) and ``labels``.
        """
        was_training = self.network.training
        self.network.train()  # in evaluation mode it gives boxes instead
        losses: dict[str, Tensor] = self.network(self._images(batch), list(boxes))
        self.network.train(was_training)
        return losses

    def _images(self, batch: ExamBatch) -> list[Tensor]:
        return [image.expand(3, -1, -1) for image in batch.pixels]


class _RoiPool(nn.Module):
    """The highest of each of 7 x 7 cells of a region."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.scale = 1 / stride

    def forward(self, features: Any, boxes: list[Tensor], _shapes: Any) -> Tensor:
        """As torchvision's detector calls it."""
        pooled: Tensor = roi_pool(features["0"], boxes, 7, spatial_scale=self.scale)
        return pooled


def _vgg(config: VggConfig) -> nn.Module:
    layers: list[nn.Module] = []
    before = 3
    for number, block in enumerate(config.blocks):
        for width in block:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
        if number < len(config.blocks) - 1:
            layers.append(nn.MaxPool2d(2))
    body: Any = nn.Sequential()
    body.features = nn.Sequential(*layers)  # names as torchvision has them
    body.out_channels = before
    if config.weights == "imagenet":
        import timm

        try:
            state = timm.create_model("vgg16", pretrained=True).state_dict()
        except (OSError, RuntimeError) as error:  # no network, no cache
            raise CheckpointError(
                f"ImageNet weights of VGG-16 cannot be fetched ({type(error).__name__}); "
                "set weights to none or to a file"
            ) from error
        wanted = body.state_dict()
        body.load_state_dict({k: v for k, v in state.items() if k in wanted}, strict=True)
    elif config.weights != "none":
        load_encoder_weights(body, Path(config.weights))
    network: nn.Module = body
    return network


TINY = FrcnnConfig(
    backbone=VggConfig(blocks=((4,), (4,), (8,), (8,), (8,))),
    width=8,
    anchor_px=(8, 16),
    size=(64, 32),
)
