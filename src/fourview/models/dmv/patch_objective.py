"""What DMV-CNN's patch classifier minimises: cross entropy of squares of four kinds.

Shapes:  I images, P squares.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from fourview.contract import NUM_SIDES, ExamBatch, LossTerms, Objective
from fourview.errors import RecipeError
from fourview.models.dmv.model import Dmv
from fourview.models.dmv.patches import BENIGN, MALIGNANT, NUM_KINDS, PatchNetwork
from fourview.nn.regions import cut

OUTSIDE, NEGATIVE = 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchObjectiveConfig:
    """How squares are drawn; the paper's own numbers are not known here.

    Attributes:
        per_finding: Squares at each region of a finding.
        per_image: Squares of each image that overlap no finding.
        min_breast: Least part of such a square that shows breast.
        tries: Draws of a square until it keeps the rules of its kind; then it is left out.
    """

    per_finding: int = 4
    per_image: int = 4
    min_breast: float = 0.5
    tries: int = 10


@dataclass(frozen=True, slots=True)
class Squares:
    """First row and column of squares of one image, and what they show."""

    corner: Int[Tensor, "square 2"]
    kind: Int[Tensor, " square"]


class PatchObjective(Objective):
    """Cross entropy of four kinds, each kind of a batch counting alike.

    malignant   overlaps a malignant finding and no benign one
    benign      overlaps a benign finding and no malignant one
    outside     of an image with findings, overlaps none
    negative    of a breast without findings

    Findings of unknown nature are avoided by all four; an image of a breast whose findings are all
    on its other images gives nothing.
    """

    def __init__(self, model: Dmv, config: PatchObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        if model.patch_network is None:
            raise RecipeError("dmv: stage 'patches' trains the patch classifier; set model.patches")
        model.requires_grad_(False)
        model.patch_network.requires_grad_(True)

    @property
    def network(self) -> PatchNetwork:
        """The patch classifier."""
        network: PatchNetwork = self.model.get_submodule("patch_network")  # type: ignore[assignment]
        return network

    def train(self, mode: bool = True) -> "PatchObjective":
        """Training mode for the patch classifier alone."""
        super().train(mode)
        for part in self.model.children():
            part.eval()
        self.network.train(mode)
        return self

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch; outside training also what the model says."""
        output = None if self.training else self.model(batch)
        squares, kinds = self._cut(batch)
        if not len(kinds):
            # zero gradients, so that every process takes a step
            nothing = torch.stack([p.sum() for p in self.network.parameters()]).sum() * 0.0
            return LossTerms(total=nothing, output=output)
        logits = self.network(squares[:, None]).float()
        count = torch.bincount(kinds, minlength=NUM_KINDS).clamp(min=1)
        total = cross_entropy(logits, kinds, weight=1.0 / count)
        return LossTerms(total=total, parts={"patches": total}, output=output)

    def _cut(
        self, batch: ExamBatch
    ) -> tuple[Float[Tensor, "square side side"], Int[Tensor, " square"]]:
        """Squares of the windows that the other networks read, and their kinds."""
        model = self.model
        assert isinstance(model, Dmv)
        squares, kinds = [], []
        for image in range(batch.num_images):
            position = int(batch.slot[image]) // NUM_SIDES
            window = model.window(batch.pixels[image : image + 1], position)
            size = (window.shape[2], window.shape[3])
            drawn = self.draw(batch, image, size)
            if len(drawn.kind):
                squares.append(cut(window, drawn.corner[None], self.network.config.side_px)[0])
                kinds.append(drawn.kind)
        if not kinds:
            side = self.network.config.side_px
            return batch.pixels.new_zeros(0, side, side), batch.exam.new_zeros(0)
        return torch.cat(squares), torch.cat(kinds)

    def draw(self, batch: ExamBatch, image: int, size: tuple[int, int]) -> Squares:
        """The squares of one image.

        Args:
            batch: With the boxes of its findings.
            image: Its index.
            size: Rows and columns of the window at its upper left that squares lie in.

        Raises:
            RecipeError: The batch has no boxes.
        """
        marks = batch.patches
        if marks is None:
            raise RecipeError("dmv: the batch has no boxes; train with the feed 'boxes'")
        mine = marks.image == image
        boxes, malignant = marks.box[mine], marks.targets["malignant"][mine]
        corners: list[tuple[int, int]] = []
        kinds: list[int] = []
        for box, nature in zip(boxes, malignant, strict=True):
            if not nature.isnan():
                drawn = self._at(box, boxes[malignant != nature], size)
                corners += drawn
                kinds += [MALIGNANT if nature == 1 else BENIGN] * len(drawn)
        kind = _kind_beside(batch, image)
        if kind is not None:
            drawn = self._away(batch.pixels[image, 0], boxes, size)
            corners += drawn
            kinds += [kind] * len(drawn)
        where = batch.pixels.device
        return Squares(
            corner=torch.tensor(corners, device=where, dtype=torch.long).reshape(-1, 2),
            kind=torch.tensor(kinds, device=where, dtype=torch.long),
        )

    def _at(self, box: Tensor, others: Tensor, size: tuple[int, int]) -> list[tuple[int, int]]:
        """A point of the finding at a random place of the square."""
        x0, y0, x1, y1 = box.tolist()
        side = self.network.config.side_px
        corners: list[tuple[int, int]] = []
        for _ in range(self.config.per_finding):
            for _ in range(self.config.tries):
                u = torch.rand(4).tolist()
                row = _inside(y0 + u[0] * (y1 - y0) - u[1] * side, side, size[0])
                col = _inside(x0 + u[2] * (x1 - x0) - u[3] * side, side, size[1])
                if _touches(box[None], (row, col), side) and not _touches(others, (row, col), side):
                    corners.append((row, col))
                    break
        return corners

    def _away(self, pixels: Tensor, boxes: Tensor, size: tuple[int, int]) -> list[tuple[int, int]]:
        side = self.network.config.side_px
        corners: list[tuple[int, int]] = []
        for _ in range(self.config.per_image):
            for _ in range(self.config.tries):
                row, col = (int(torch.randint(max(1, length - side + 1), (1,))) for length in size)
                seen = (pixels[row : row + side, col : col + side] > 0).float().mean()
                if seen >= self.config.min_breast and not _touches(boxes, (row, col), side):
                    corners.append((row, col))
                    break
        return corners


def _kind_beside(batch: ExamBatch, image: int) -> int | None:
    """What a square that overlaps no finding of this image is; None where it is neither."""
    assert batch.patches is not None
    known = batch.patches.image[~batch.patches.targets["malignant"].isnan()]
    if (known == image).any():
        return OUTSIDE
    exam, slot = batch.exam, batch.slot % NUM_SIDES
    same = (exam[known] == exam[image]) & (slot[known] == slot[image])
    return None if same.any() else NEGATIVE


def _inside(first: float, side: int, length: int) -> int:
    return round(min(max(first, 0), max(length - side, 0)))


def _touches(boxes: Float[Tensor, "box 4"], corner: tuple[int, int], side: int) -> bool:
    row, col = corner
    x0, y0, x1, y1 = boxes.unbind(dim=1)
    return bool(((x0 < col + side) & (x1 > col) & (y0 < row + side) & (y1 > row)).any())
