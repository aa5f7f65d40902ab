"""Objectives that compare the samples of a batch with each other, and can be encoded in chunks."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from fourview.contract.batch import NUM_SIDES, ExamBatch, TextBatch
from fourview.contract.output import LossTerms, Objective
from fourview.errors import RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """What encoders made of a contrastive batch: all that its heads and losses need.

    Attributes:
        images: Outputs of the image encoder by name, one row per image.
        texts: Outputs of the text encoder by name, one row per text.
        exam: Exam of each image, as in ExamBatch.
        slot: Slot of each image.
        text_image: Index of the image of each text.
        patient: Patient of each exam; equal numbers are one patient's.
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
        """Outputs by name, one row per image, which does not depend on the other images."""

    @abstractmethod
    def encode_texts(self, text: TextBatch) -> dict[str, Tensor]:
        """Outputs by name, one row per text, which does not depend on the other texts.

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
