"""Some exams, as models get them: images with their places, patches, texts and targets.

An ExamBatch is ragged by index: images lie in one stack, and ``exam``, ``slot`` and ``rank`` say
whose they are. No padding images: zero images in place of missing views would shift batch-norm
statistics, and a second image of a view has nowhere to go in four fixed slots.

Shapes:  I images, E exams, 2 breasts (right, left), 4 slots (entities.SLOTS), K classes,
P patches, F findings, S texts, T tokens of a text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

NUM_SLOTS = 4
NUM_SIDES = 2
Part = TypeVar("Part", "PatchBatch", "TextBatch")
AnyBatch = TypeVar("AnyBatch", "PatchBatch", "TextBatch", "ExamBatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchBatch:
    """Patches of the batch's images, ragged by index: squares of a grid, or around findings.

    Attributes:
        image: Whose patch: the index of its image in the batch.
        box: x0 y0 x1 y1 in processed pixels of that image.
        pixels: The patches themselves, in [0, 1]; None where only codes were read.
        codes: What a frozen encoder made of each patch; None where pixels are read.
        maps: Further channels over a grid of the image (heatmaps of another model, where the
            patch lies); None where there are none.
        finding: Index of each patch's finding in the batch; -1 where it belongs to none.
        num_findings: F.
        targets: By label, what is known of each patch; NaN where unknown.
        finding_targets: By label, what is known of each finding; NaN where unknown.
    """

    image: Int[Tensor, " patch"]
    box: Float[Tensor, "patch 4"]
    pixels: Float[Tensor, "patch 1 side_row side_col"] | None = None
    codes: Float[Tensor, "patch dim"] | None = None
    maps: Float[Tensor, "patch channel grid_row grid_col"] | None = None
    finding: Int[Tensor, " patch"] | None = None
    num_findings: int = 0
    targets: Mapping[str, Float[Tensor, " patch"]] = field(default_factory=dict)
    finding_targets: Mapping[str, Float[Tensor, " finding"]] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> "PatchBatch":
        """The patches on a device."""
        return _moved(self, device)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextBatch:
    """Texts of the batch's images, as token numbers.

    Attributes:
        tokens: Padded to the longest.
        mask: True at tokens, False at padding.
        sentence: Which sentence of its text a token belongs to; -1 for special tokens and padding.
        image: Whose text: the index of its image in the batch.
        word: Which word of its text a token belongs to, as some tokens are pieces of a word; -1 for
            special tokens and padding.
    """

    tokens: Int[Tensor, "text token"]
    mask: Bool[Tensor, "text token"]
    sentence: Int[Tensor, "text token"]
    image: Int[Tensor, " text"]
    word: Int[Tensor, "text token"] | None = None

    def to(self, device: torch.device | str) -> "TextBatch":
        """The texts on a device."""
        return _moved(self, device)


def _changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Every tensor of a batch, or of a part of it, changed; all else as it is."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _changed(each, change) for name, each in value.items()}
    if isinstance(value, ExamBatch | PatchBatch | TextBatch):
        changes = {f.name: _changed(getattr(value, f.name), change) for f in fields(value)}
        return replace(value, **changes)
    return value


def _moved(part: AnyBatch, device: torch.device | str) -> AnyBatch:
    moved: AnyBatch = _changed(part, lambda tensor: tensor.to(device, non_blocking=True))
    return moved


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamBatch:
    """Some exams, as models get them.

    Attributes:
        pixels: Processed pixels in [0, 1], 0 outside the breast; the model normalises them itself.
            Rows and columns are 0 where a stage reads patches or codes only.
        codes: What a frozen encoder makes of each image, over its grid; None where it is given
            pixels.
        exam: Whose image, 0 to E - 1.
        slot: Which of SLOTS.
        rank: 0 for the preferred image of its slot, 1 for the next, ...
        num_exams: E; an exam may have no image at all.
        targets: By label, what is known of each breast (right, left); NaN where unknown.
        image_targets: By label, what is known of single images; NaN where unknown. A label that
            is not in it is known by breast only.
        patches: Parts of the images, where the stage's feed cuts any.
        text: Texts of the images, where the stage's feed makes any.
        patient: Whose exam: equal numbers are one patient's, in every batch of a feed; None where
            the stage's feed does not say.
    """

    pixels: Float[Tensor, "image 1 row col"]
    exam: Int[Tensor, " image"]
    slot: Int[Tensor, " image"]
    rank: Int[Tensor, " image"]
    num_exams: int
    codes: Float[Tensor, "image dim grid_row grid_col"] | None = None
    targets: Mapping[str, Float[Tensor, "exam 2"]] = field(default_factory=dict)
    image_targets: Mapping[str, Float[Tensor, " image"]] = field(default_factory=dict)
    patches: PatchBatch | None = None
    text: TextBatch | None = None
    patient: Int[Tensor, " exam"] | None = None

    @classmethod
    def of_slots(cls, pixels: Float[Tensor, "exam 4 row col"]) -> "ExamBatch":
        """A batch of exams with at most one image of each of the four views.

        Args:
            pixels: Processed pixels in [0, 1] in the order R-CC, L-CC, R-MLO, L-MLO, chest wall at
                the left, 0 outside the breast. A view that is all NaN is missing.

        >>> batch = ExamBatch.of_slots(torch.rand(3, 4, 64, 32))
        >>> batch.num_exams, batch.num_images, tuple(batch.pixels.shape)
        (3, 12, (12, 1, 64, 32))
        """
        exam, slot = torch.nonzero(~pixels.isnan().flatten(2).all(dim=2), as_tuple=True)
        return cls(
            pixels=pixels[exam, slot][:, None],
            exam=exam,
            slot=slot,
            rank=torch.zeros_like(slot),
            num_exams=len(pixels),
        )

    @property
    def num_images(self) -> int:
        """I."""
        return len(self.pixels)

    @property
    def mask(self) -> Bool[Tensor, "image 1 row col"]:
        """True inside the breast: pixels are 0 outside and only there."""
        return self.pixels > 0

    def breast(self) -> Int[Tensor, " image"]:
        """Whose breast each image is: 2 * exam + side, side 0 the right."""
        return NUM_SIDES * self.exam + self.slot % NUM_SIDES

    def partner(self) -> Int[Tensor, " image"]:
        """The preferred image of the other view of the same breast; -1 where there is none."""
        first = self.exam.new_full((self.num_exams * NUM_SLOTS,), -1)
        place = self.exam * NUM_SLOTS + self.slot
        here = torch.arange(self.num_images, device=self.exam.device)
        preferred = self.rank == 0
        first[place[preferred]] = here[preferred]
        other_slot = (self.slot + NUM_SIDES) % NUM_SLOTS
        return first[self.exam * NUM_SLOTS + other_slot]

    def to_slots(
        self, features: Float[Tensor, "image *dim"]
    ) -> tuple[Float[Tensor, "exam 4 *dim"], Bool[Tensor, "exam 4"]]:
        """Mean over the images of each slot, and which slots have any; 0 where none."""
        place = self.exam * NUM_SLOTS + self.slot
        mean, count = _mean_by(features, place, self.num_exams * NUM_SLOTS)
        shape = (self.num_exams, NUM_SLOTS)
        return mean.reshape(*shape, *features.shape[1:]), (count > 0).reshape(shape)

    def per_breast(self, values: Float[Tensor, "image class"]) -> Float[Tensor, "exam 2 class"]:
        """Mean over the images of each view, then over the views; NaN for a breast without any."""
        slots, present = self.to_slots(values)
        by_side = slots.reshape(self.num_exams, 2, NUM_SIDES, -1)  # position, side
        here = present.reshape(self.num_exams, 2, NUM_SIDES, 1)
        count = here.sum(dim=1)
        mean = (by_side * here).sum(dim=1) / count.clamp(min=1)
        return torch.where(count > 0, mean, torch.nan)

    def target_of_images(self, label: str) -> Float[Tensor, " image"]:
        """Each image's own target where there is one by image, else its breast's."""
        if label in self.image_targets:
            return self.image_targets[label]
        return self.targets[label].reshape(-1)[self.breast()]

    def select(self, images: Shaped[Tensor, " some"]) -> "ExamBatch":
        """The same exams with only these images (indices or a mask), in this order.

        Patches and texts go with their image.
        """
        place = self.exam.new_full((self.num_images,), -1)
        chosen = torch.arange(self.num_images, device=self.exam.device)[images]
        place[chosen] = torch.arange(len(chosen), device=self.exam.device)
        return replace(
            self,
            pixels=self.pixels[images],
            codes=None if self.codes is None else self.codes[images],
            exam=self.exam[images],
            slot=self.slot[images],
            rank=self.rank[images],
            image_targets={name: t[images] for name, t in self.image_targets.items()},
            patches=_of_images(self.patches, place),
            text=_of_images(self.text, place),
        )

    def to(self, device: torch.device | str) -> "ExamBatch":
        """The batch on a device."""
        return _moved(self, device)

    def pin_memory(self) -> "ExamBatch":
        """The batch in memory that a GPU copies from by itself; PyTorch's loader calls it."""
        pinned: ExamBatch = _changed(self, lambda tensor: tensor.pin_memory())
        return pinned


def _of_images(part: Part | None, place: Int[Tensor, " image"]) -> Part | None:
    """What belongs to images that keep a place (-1: they do not), in its old order."""
    if part is None:
        return None
    kept = place[part.image] >= 0
    changes: dict[str, Any] = {
        f.name: value[kept] if isinstance(value := getattr(part, f.name), Tensor) else value
        for f in fields(part)
        if f.name != "finding_targets"
    }
    if isinstance(part, PatchBatch):
        changes["targets"] = {name: t[kept] for name, t in part.targets.items()}
    return replace(part, **changes | {"image": place[part.image][kept]})


def _mean_by(
    values: Float[Tensor, "image *dim"], group: Int[Tensor, " image"], num_groups: int
) -> tuple[Float[Tensor, "group *dim"], Int[Tensor, " group"]]:
    total = values.new_zeros((num_groups, *values.shape[1:])).index_add(0, group, values)
    count = torch.bincount(group, minlength=num_groups)
    divisor = count.clamp(min=1).reshape(-1, *([1] * (values.ndim - 1))).to(values.dtype)
    return total / divisor, count
