"""The three stages of End2end: patches, then the new layers, then all layers."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from fourview.contract import ExamBatch, LossTerms, Objective, PatchBatch
from fourview.errors import RecipeError
from fourview.models.end2end.model import End2end, End2endOutput
from fourview.nn.regions import cut

NEAR, FAR = 0.75, 0.35  # overlap over the smaller area: of a finding, of background


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchObjectiveConfig:
    """How patches are drawn; defaults are the paper's S10.

    Attributes:
        patch_px: Side, on images of 1152 rows.
        per_finding: Patches at each region of a finding.
        background: Patches of each image away from findings.
        shift: Largest distance of a patch's middle from its finding's, as a part of its side.
        tries: Draws of a patch until it overlaps as it should; then it is left out.
    """

    patch_px: int = 224
    per_finding: int = 10
    background: int = 10
    shift: float = 0.25
    tries: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageObjectiveConfig:
    """Nothing to set."""


class PatchObjective(Objective):
    """Cross entropy of five kinds of patch, drawn from images whose findings have boxes."""

    def __init__(self, model: End2end, config: PatchObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.label = model.task.name

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch; images whose label is unknown give no patches."""
        model = self.model
        assert isinstance(model, End2end)
        output = None if self.training else model(batch)
        image, corner, kind = self.draw(batch)
        if not len(kind):
            # zero gradients, so that every process takes a step
            nothing = torch.stack([p.sum() for p in model.parameters()]).sum() * 0.0
            return LossTerms(total=nothing, output=output)
        patches = torch.cat(
            [
                cut(batch.pixels[i : i + 1], corner[image == i][None], self.config.patch_px)[0]
                for i in sorted(set(image.tolist()))
            ]
        )
        total = cross_entropy(model.classify_patches(patches[:, None]), kind)
        return LossTerms(total=total, parts={"patches": total}, output=output)

    def draw(
        self, batch: ExamBatch
    ) -> tuple[Int[Tensor, " patch"], Int[Tensor, "patch 2"], Int[Tensor, " patch"]]:
        """Image, first row and column, and kind of each patch; by image."""
        marks = batch.patches
        if marks is None:
            raise RecipeError("end2end: the batch has no boxes; train with the feed 'boxes'")
        known = ~batch.target_of_images(self.label).isnan()
        size = (batch.pixels.shape[2], batch.pixels.shape[3])
        image: list[int] = []
        corner: list[tuple[int, int]] = []
        kind: list[int] = []
        for number in known.nonzero()[:, 0].tolist():
            mine = marks.image == number
            boxes, kinds = marks.box[mine], _kinds(marks, mine)
            for box, its in zip(boxes, kinds, strict=True):
                if its > 0:
                    drawn = self._at(box, size)
                    corner += drawn
                    kind += [its] * len(drawn)
            drawn = self._away(boxes, batch.pixels[number, 0], size)
            corner += drawn
            kind += [0] * len(drawn)
            image += [number] * (len(corner) - len(image))
        where = batch.pixels.device
        return (
            torch.tensor(image, device=where, dtype=torch.long),
            torch.tensor(corner, device=where, dtype=torch.long).reshape(-1, 2),
            torch.tensor(kind, device=where, dtype=torch.long),
        )

    def _at(self, box: Tensor, size: tuple[int, int]) -> list[tuple[int, int]]:
        x0, y0, x1, y1 = box.tolist()
        side = self.config.patch_px
        corners: list[tuple[int, int]] = []
        for _ in range(self.config.per_finding):
            for _ in range(self.config.tries):
                shift = ((torch.rand(2) * 2 - 1) * self.config.shift * side).tolist()
                row = _inside((y0 + y1 - side) / 2 + shift[0], side, size[0])
                col = _inside((x0 + x1 - side) / 2 + shift[1], side, size[1])
                if float(_overlap(box[None], (row, col), side)) >= NEAR:
                    corners.append((row, col))
                    break
        return corners

    def _away(self, boxes: Tensor, pixels: Tensor, size: tuple[int, int]) -> list[tuple[int, int]]:
        """Patches that show some breast and hardly any finding."""
        side = self.config.patch_px
        corners: list[tuple[int, int]] = []
        for _ in range(self.config.background):
            for _ in range(self.config.tries):
                row, col = (int(torch.randint(max(1, length - side + 1), (1,))) for length in size)
                if not pixels[row : row + side, col : col + side].any():
                    continue
                if not (_overlap(boxes, (row, col), side) >= FAR).any():
                    corners.append((row, col))
                    break
        return corners


class ImageObjective(Objective):
    """Cross entropy of no and yes, all layers."""

    def __init__(self, model: End2end, config: ImageObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.label = model.task.name

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch."""
        output: End2endOutput = self.model(batch)
        targets = batch.target_of_images(self.label)
        known = ~targets.isnan()
        if not known.any():
            return LossTerms(total=output.logits.sum() * 0.0, output=output)
        total = cross_entropy(output.logits[known], targets[known].long())
        return LossTerms(total=total, parts={"cross_entropy": total}, output=output)


class TopObjective(ImageObjective):
    """The same, while the encoder stays as the patches left it."""

    def __init__(self, model: End2end, config: ImageObjectiveConfig) -> None:
        super().__init__(model, config)
        model.encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> "TopObjective":
        """As any objective, but the encoder's statistics do not move."""
        super().train(mode)
        self.model.get_submodule("encoder").eval()
        return self


def _kinds(marks: PatchBatch, mine: Tensor) -> list[int]:
    """1 to 4 for benign and malignant calcifications and masses; 0 where not known."""
    malignant = marks.targets["malignant"][mine]
    calcification = marks.targets["calcification"][mine]
    kind = 1 + malignant + 2 * (1 - calcification)
    return [int(k) for k in kind.nan_to_num(0.0).tolist()]


def _inside(first: float, side: int, length: int) -> int:
    return round(min(max(first, 0), max(length - side, 0)))


def _overlap(
    boxes: Float[Tensor, "box 4"], corner: tuple[int, int], side: int
) -> Float[Tensor, " box"]:
    """Shared area over the smaller of both areas."""
    row, col = corner
    x0, y0, x1, y1 = boxes.unbind(dim=1)
    wide = (x1.clamp(max=col + side) - x0.clamp(min=col)).clamp(min=0)
    high = (y1.clamp(max=row + side) - y0.clamp(min=row)).clamp(min=0)
    smaller = ((x1 - x0) * (y1 - y0)).clamp(min=1, max=side * side)
    return wide * high / smaller
