"""Cls-Det-RS: which images are suspicious and which of their regions say so, from image labels.

Paper:    Bakalo, Ben-Ari, Goldberger 2019, Classification and Detection in Mammograms with Weak
          Supervision via Dual Branch Deep Neural Net, ISBI, arXiv:1904.12319.
Reads:    ExamBatch.patches: the regions of every image, as codes of a frozen encoder (the paper's
          way) or, where the config has an encoder, as pixels. ExamBatch.pixels is not read.
Returns:  image_scores p(y_c = 1 | x), breast_scores (the highest of its images), patch_scores d_c.
Shapes:   P regions, I images, R places of a row of regions, C classes (cancer, benign).
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from fourview.contract import NUM_SIDES, ExamBatch, ModelOutput, task
from fourview.errors import RecipeError
from fourview.models.clsdet.heads import ImageLogs, dual_branch, max_region
from fourview.models.clsdet.rows import Rows
from fourview.nn.region_encoder import RegionEncoder, RegionEncoderConfig, frozen_region_encoder

HeadName = Literal["cls_det_rs", "dual_branch", "max_region", "db_baseline"]
WITH_NORMAL: tuple[HeadName, ...] = ("cls_det_rs", "dual_branch")  # heads with a normal class


@dataclass(frozen=True, slots=True, kw_only=True)
class ClsdetConfig:
    """Defaults are the paper's values where it gives them, else the choices of the README.

    Attributes:
        task: ``abnormality``: cancer and benign, the paper's M and B, each a yes or no; or
            ``cancer`` where benign findings are not labelled: M against all else.
        head: ``cls_det_rs``; ``dual_branch``, the same without region selection; or a baseline:
            ``max_region``, ``db_baseline`` (no normal class, no selection).
        code_dim: Length of the codes that are read; 128 of VGG-M-128.
        width: Of the layer after the codes (FC3).
        dropout: After that layer.
        num_selected: k, regions that the detection branch of ``cls_det_rs`` looks at.
        standardise: Bring every number of the codes to mean 0 and deviation 1 over the regions that
            training sees, before the layer. Codes of VGG-M-128 need none; pooled channels of an
            encoder have means far from 0, and learning from labels of images is slow on them.
        det_temperature: Detection logits are divided by it; 2 is the code of WSDDN.
        encoder: None reads codes; else pixels are read and this encoder is trained too.
    """

    task: str = "abnormality"
    head: HeadName = "cls_det_rs"
    code_dim: int = 128
    width: int = 128
    dropout: float = 0.5
    num_selected: int = 10
    standardise: bool = False
    det_temperature: float = 1.0
    encoder: RegionEncoderConfig | None = None

    def __post_init__(self) -> None:
        if not task(self.task).is_suspicion:
            raise ValueError(f"task is '{self.task}', need yes-or-no labels")
        if task(self.task).num_classes == 1 and self.head == "db_baseline":
            raise ValueError(
                f"head db_baseline has no normal class: of the one class of task '{self.task}' it"
                " would be sure everywhere; take another head"
            )
        if self.num_selected < 1:
            raise ValueError(f"num_selected is {self.num_selected}, need at least 1")
        if not self.det_temperature > 0:
            raise ValueError(f"det_temperature is {self.det_temperature}, need above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClsdetOutput(ModelOutput):
    """Adds what the loss needs; NaN for an image without regions.

    Attributes:
        log_yes: log p(y_c = 1 | x).
        log_no: log p(y_c = 0 | x).
        log_classes: Of every region, the classification branch; None of ``max_region``.
        log_detection: The detection branch over all regions (h = 1); None of ``max_region``.
    """

    log_yes: Float[Tensor, "image class"]
    log_no: Float[Tensor, "image class"]
    log_classes: Float[Tensor, "region class_or_normal"] | None = None
    log_detection: Float[Tensor, "region class"] | None = None


class Clsdet(nn.Module):
    """See the module docstring."""

    def __init__(self, config: ClsdetConfig) -> None:
        super().__init__()
        self.config = config
        self.task = task(config.task)
        num_classes = self.task.num_classes
        self.encoder = None if config.encoder is None else RegionEncoder(config.encoder)
        self.standardise: nn.BatchNorm1d | None = None
        if config.standardise:
            self.standardise = nn.BatchNorm1d(config.code_dim, affine=False)
        self.fc3 = nn.Sequential(
            nn.Linear(config.code_dim, config.width), nn.ReLU(), nn.Dropout(config.dropout)
        )
        with_normal = config.head in WITH_NORMAL
        self.classify = nn.Linear(config.width, num_classes + int(with_normal), bias=False)
        self.detect: nn.Linear | None = None
        if config.head != "max_region":
            self.detect = nn.Linear(config.width, num_classes, bias=False)

    def forward(self, batch: ExamBatch) -> ClsdetOutput:
        """Score every image and each of its regions, and the breasts."""
        codes = self._codes(batch)
        if self.standardise is not None:
            codes = self.standardise(codes)
        features = self.fc3(codes)
        assert batch.patches is not None
        rows = Rows.of(batch.patches.image, batch.num_images)
        logs = self._pooled(features, rows)
        empty = ~rows.present.any(dim=1, keepdim=True)
        log_yes = logs.yes.masked_fill(empty, torch.nan)
        image_scores = log_yes.exp().clamp(max=1)  # rounding may pass 1
        return ClsdetOutput(
            log_yes=log_yes,
            log_no=logs.no.masked_fill(empty, torch.nan),
            image_scores=image_scores,
            breast_scores=_highest_by_breast(image_scores, batch.breast(), batch.num_exams),
            patch_scores=rows.gather(logs.regions).clamp(max=1),
            log_classes=None if logs.classes is None else rows.gather(logs.classes),
            log_detection=None if logs.detection is None else rows.gather(logs.detection),
        )

    def _codes(self, batch: ExamBatch) -> Float[Tensor, "region dim"]:
        patches = batch.patches
        wanted = "codes" if self.encoder is None else "pixels"
        inputs = None
        if patches is not None:
            inputs = patches.codes if self.encoder is None else patches.pixels
        if inputs is None:
            raise RecipeError(
                f"clsdet: the batch has no {wanted} of patches; set feed.reads={wanted}"
            )
        codes: Tensor = inputs if self.encoder is None else self.encoder(inputs)
        if codes.shape[1] != self.config.code_dim:
            raise RecipeError(
                f"clsdet: codes have {codes.shape[1]} numbers, model.code_dim is "
                f"{self.config.code_dim}; set model.code_dim={codes.shape[1]}"
            )
        return codes

    def _pooled(self, features: Float[Tensor, "region width"], rows: Rows) -> ImageLogs:
        cls_logits = rows.lay(self.classify(features).to(features.dtype))
        if self.detect is None:
            return max_region(cls_logits, rows.present)
        selection = self.config.num_selected if self.config.head == "cls_det_rs" else None
        return dual_branch(
            cls_logits,
            rows.lay(self.detect(features)),
            rows.present,
            num_selected=selection,
            temperature=self.config.det_temperature,
        )


def code_encoder(_model: Clsdet, settings: Any) -> RegionEncoder | None:
    """What makes the codes that are read; None where the network reads pixels.

    Its weights are those that the feed's settings name: they are not part of a checkpoint.
    """
    return frozen_region_encoder(settings.encoder) if settings.reads == "codes" else None


def _highest_by_breast(
    scores: Float[Tensor, "image class"], breast: Int[Tensor, " image"], num_exams: int
) -> Float[Tensor, "exam 2 class"]:
    """The highest score among each breast's images; NaN for a breast without a scored image."""
    lowest = scores.new_full((num_exams * NUM_SIDES, scores.shape[1]), -torch.inf)
    index = breast[:, None].expand_as(scores)
    highest = lowest.scatter_reduce(0, index, scores.nan_to_num(nan=-torch.inf), "amax")
    return highest.masked_fill(highest.isneginf(), torch.nan).reshape(num_exams, NUM_SIDES, -1)


TINY = ClsdetConfig(code_dim=6, width=8, dropout=0.0, num_selected=2)
