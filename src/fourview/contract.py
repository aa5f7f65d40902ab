"""What training and prediction may know of a model; everything else is the model's own.

An ExamBatch is ragged by index: images lie in one stack, and ``exam``, ``slot`` and ``rank`` say
whose they are. No padding images: zero images in place of missing views would shift batch-norm
statistics, and a second image of a view has nowhere to go in four fixed slots.

Shapes:  I images, E exams, 2 breasts (right, left), 4 slots (entities.SLOTS), K classes,
P patches, F findings, S texts, T tokens of a text.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from fourview.errors import RecipeError

NUM_SLOTS = 4
NUM_SIDES = 2
Part = TypeVar("Part", "PatchBatch", "TextBatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a model is asked.

    Attributes:
        name: The label, a column of the manifest's breasts; or a name of its own where each class
            is ``COLUMN-VALUE``, and breasts with other values are then unknown.
        classes: Names of the scores. One class is a yes or no (sigmoid); several exclude each
            other (softmax), and the target is the index of the class.
        exclusive: False where an image may be of several classes, or of none: each class is then
            a yes or no with a target under the class's own name. The first class is the suspicion
            that a reader is shown.
    """

    name: str
    classes: tuple[str, ...]
    exclusive: bool = True

    @property
    def num_classes(self) -> int:
        """How many scores a breast gets."""
        return len(self.classes)

    @property
    def is_suspicion(self) -> bool:
        """Whether the first score says how suspicious a breast is."""
        return self.num_classes == 1 or not self.exclusive

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """For each label that has a target, its classes."""
        return {self.name: self.classes} if self.exclusive else {c: (c,) for c in self.classes}

    def scores(self, logits: Float[Tensor, "*many class"]) -> Float[Tensor, "*many class"]:
        """Logits to scores in [0, 1]."""
        return logits.sigmoid() if self.is_suspicion else logits.softmax(dim=-1)


TASKS = {
    task.name: task
    for task in (
        Task(name="cancer", classes=("cancer",)),
        Task(name="abnormality", classes=("cancer", "benign"), exclusive=False),
        Task(name="density", classes=("A", "B", "C", "D")),
        Task(name="malignant", classes=("cancer",)),  # of findings
        Task(name="birads7", classes=tuple(f"birads-{c}" for c in range(7))),
        Task(name="birads3", classes=tuple(f"birads-{c}" for c in range(3))),
        Task(name="birads5", classes=tuple(f"birads-{c}" for c in range(1, 6))),
    )
}


def task(name: str) -> Task:
    """The task of that name.

    Raises:
        RecipeError: There is none.
    """
    if name not in TASKS:
        raise RecipeError(f"no task '{name}'; there are: {', '.join(sorted(TASKS))}")
    return TASKS[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchBatch:
    """Parts of the batch's images, ragged by index: windows of a grid, or cuts around findings.

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


def _moved(part: Part, device: torch.device | str) -> Part:
    return replace(part, **{f.name: _on(getattr(part, f.name), device) for f in fields(part)})


def _on(value: Any, device: torch.device | str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Mapping):
        return {name: _on(each, device) for name, each in value.items()}
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamBatch:
    """Some exams, as models get them.

    Attributes:
        pixels: Processed pixels in [0, 1], 0 outside the breast; the model normalises them itself.
            Rows and columns are 0 where a stage reads patches or codes only.
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
    targets: Mapping[str, Float[Tensor, "exam 2"]] = field(default_factory=dict)
    image_targets: Mapping[str, Float[Tensor, " image"]] = field(default_factory=dict)
    patches: PatchBatch | None = None
    text: TextBatch | None = None
    patient: Int[Tensor, " exam"] | None = None

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
            exam=self.exam[images],
            slot=self.slot[images],
            rank=self.rank[images],
            image_targets={name: t[images] for name, t in self.image_targets.items()},
            patches=_of_images(self.patches, place),
            text=_of_images(self.text, place),
        )

    def to(self, device: torch.device | str) -> "ExamBatch":
        """The batch on a device."""
        return replace(
            self,
            pixels=self.pixels.to(device, non_blocking=True),
            exam=self.exam.to(device, non_blocking=True),
            slot=self.slot.to(device, non_blocking=True),
            rank=self.rank.to(device, non_blocking=True),
            targets=_on(self.targets, device),
            image_targets=_on(self.image_targets, device),
            patches=None if self.patches is None else self.patches.to(device),
            text=None if self.text is None else self.text.to(device),
            patient=_on(self.patient, device),
        )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """What a model says. Scores are in [0, 1], not logits; None where a family has none.

    Attributes:
        breast_scores: NaN for a breast without images.
        image_scores: By image, in the order of the batch.
        heatmaps: In [0, 1], over a grid that covers each processed image evenly.
        patch_scores: By patch, in the order of the batch's patches.
        finding_scores: By finding, in the order of the batch's findings; NaN for one without
            patches.
        saliency: Maps as the network has them, for another network that reads them as context:
            neither scaled to a score nor moved; None where the heatmaps are those.
    """

    breast_scores: Float[Tensor, "exam 2 class"] | None = None
    image_scores: Float[Tensor, "image class"] | None = None
    heatmaps: Float[Tensor, "image class grid_row grid_col"] | None = None
    patch_scores: Float[Tensor, "patch class"] | None = None
    finding_scores: Float[Tensor, "finding class"] | None = None
    saliency: Float[Tensor, "image map cell_row cell_col"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerms:
    """What training minimises.

    Attributes:
        total: The loss.
        parts: What it is the weighted sum of, for the log.
        output: What the model said meanwhile; None where it only pre-trains.
    """

    total: Float[Tensor, ""]
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    output: ModelOutput | None = None


class Objective(nn.Module, ABC):
    """A model with the loss of one training stage; ``model`` is what is kept.

    Attributes:
        progress: Part of the run's steps that are done, in [0, 1]; the loop sets it before each
            step, so that what changes during a run also does in one that was stopped and resumed.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.progress = 1.0

    @abstractmethod
    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch; finite also where every target is NaN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """What encoders made of a contrastive batch: all that its heads and losses need.

    Attributes:
        images: Outputs of the image encoder by name, an image a row.
        texts: Outputs of the text encoder by name, a text a row.
        exam: Whose image, as in ExamBatch.
        slot: Of each image.
        text_image: Whose text: the index of its image.
        patient: Whose exam; equal numbers are one patient's.
    """

    images: Mapping[str, Shaped[Tensor, "image ..."]]
    texts: Mapping[str, Shaped[Tensor, "text ..."]]
    exam: Int[Tensor, " image"]
    slot: Int[Tensor, " image"]
    text_image: Int[Tensor, " text"]
    patient: Int[Tensor, " exam"]

    def other(self) -> Int[Tensor, " image"]:
        """The first other image of each image's exam; -1 where it is the only one."""
        alike = self.exam[:, None] == self.exam[None, :]
        alike.fill_diagonal_(False)
        return _first(alike)

    def partner(self) -> Int[Tensor, " image"]:
        """The first image of the other view of the same breast; -1 where there is none."""
        breast = NUM_SIDES * self.exam + self.slot % NUM_SIDES
        alike = breast[:, None] == breast[None, :]
        return _first(alike & (self.slot[:, None] != self.slot[None, :]))


def _first(chosen: Bool[Tensor, "row column"]) -> Int[Tensor, " row"]:
    """The first column chosen in each row; -1 where none is."""
    return torch.where(chosen.any(dim=1), chosen.int().argmax(dim=1), -1)


class ContrastiveObjective(Objective):
    """An objective that compares the samples of a batch with each other.

    So a batch cannot be cut, but its encoders can run on a few samples at a time: training keeps
    their outputs, takes heads and losses over the whole batch, and runs the encoders once more for
    the gradients (``train.grad_cache``).
    """

    @property
    @abstractmethod
    def encoders(self) -> Mapping[str, nn.Module]:
        """The modules behind ``images`` and ``texts``; nothing else is computed in chunks."""

    @abstractmethod
    def encode_images(self, pixels: Float[Tensor, "image 1 row col"]) -> dict[str, Tensor]:
        """Outputs by name, an image a row; an image's do not depend on the others."""

    @abstractmethod
    def encode_texts(self, text: TextBatch) -> dict[str, Tensor]:
        """Outputs by name, a text a row; a text's do not depend on the others.

        The second axis may be as long as the longest text asks; shorter ones are filled with zeros.
        """

    @abstractmethod
    def compare(self, encoded: Encoded) -> LossTerms:
        """Heads and losses over the whole contrastive batch."""

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch, all at once."""
        text = captions_of(batch)
        return self.compare(
            encoded_batch(batch, self.encode_images(batch.pixels), self.encode_texts(text))
        )


def captions_of(batch: ExamBatch) -> TextBatch:
    """The texts of a batch.

    Raises:
        RecipeError: It has none.
    """
    if batch.text is None:
        raise RecipeError("a language-image stage got a batch without texts; need feed 'captions'")
    return batch.text


def encoded_batch(
    batch: ExamBatch, images: Mapping[str, Tensor], texts: Mapping[str, Tensor]
) -> Encoded:
    """Encoder outputs with their places; without patients, every exam is another patient's."""
    everyone = torch.arange(batch.num_exams, device=batch.exam.device)
    return Encoded(
        images=images,
        texts=texts,
        exam=batch.exam,
        slot=batch.slot,
        text_image=captions_of(batch).image,
        patient=everyone if batch.patient is None else batch.patient,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One training stage.

    Attributes:
        objective: Network and settings to the Objective.
        settings: The frozen dataclass of that objective's settings.
        feed: What it reads: a module of ``data/feeds/``.
        takes: Of the recipe that it starts from, only weights whose names begin so, and all of
            them; empty takes whatever fits.
    """

    objective: Callable[[Any, Any], Objective]
    settings: type
    feed: str = "exams"
    takes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWeights:
    """Weights that somebody else published, and how their names become ours.

    Attributes:
        name: For the command line, after the family's: ``gmic-1``.
        config: Of the network that they fit.
        pixel_specs: What they can read; the first is the usual one.
        licence: Of the weights, in words; recorded with what is converted, and printed.
        source: Whose they are, and which file.
        consent: The licence has to be accepted by whoever converts.
        may_release: False where the licence forbids to pass them on.
        names: Regular expressions of whole published names, each with what replaces it.
        change: Our name and the tensor to the tensor as we lay it out; None leaves all as they are.
        aliases: Expressions of names that repeat another tensor, each with that one's name: they
            must be equal, and are then left out.
        unused: Expressions of names that have no place here on purpose, such as another head.
    """

    name: str
    config: Any
    pixel_specs: tuple[str, ...]
    licence: str
    source: str
    consent: bool = False
    may_release: bool = True
    names: tuple[tuple[str, str], ...]
    change: Callable[[str, Tensor], Tensor] | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """One folder of ``models/``: all that the rest of the house knows of it.

    Attributes:
        kind: ``read`` gives a ModelOutput; ``pretrain`` gives features for others.
        config: The frozen dataclass that decides the network; its defaults are the paper's.
        build: A config to a network with random (or the config's own) weights.
        stages: Training stages by name.
        explain: Network and batch to a ModelOutput with heatmaps; None where there are none.
        pixel_spec: Name of the PixelSpec of the paper.
        tiny_config: Trains a step on a CPU in about a second; for tests.
        tiny_size: Rows and columns of an image for ``tiny_config``.
        frozen: Parameters that no stage trains, by the beginnings of their names.
        published: Weights of others that ``fourview convert`` can turn into checkpoints.
    """

    name: str
    kind: Literal["read", "pretrain"]
    paper: str
    config: type
    build: Callable[[Any], nn.Module]
    stages: Mapping[str, Stage]
    pixel_spec: str
    tiny_config: Any
    tiny_size: tuple[int, int] = (64, 32)
    explain: Callable[[Any, ExamBatch], ModelOutput] | None = None
    frozen: tuple[str, ...] = ()
    published: tuple[PublishedWeights, ...] = ()
