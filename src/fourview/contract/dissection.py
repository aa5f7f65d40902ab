"""What a trained network uses: its scores with one thing taken away at a time.

A family that can be taken apart declares ``ModelFamily.dissect``: a network to its Dissection.
``predict.dissect`` goes through the data; what a switch means is the family's own.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from fourview.contract.batch import ExamBatch
from fourview.contract.output import ModelOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One thing that a network of the family may use, and how it is taken away.

    Attributes:
        name: For tables, such as ``z constant``.
        does: What is read in its place, in a sentence.
        missing: Why this network has no such thing; empty where it has.
    """

    name: str
    does: str
    missing: str = ""


class Dissection(ABC):
    """One trained network in evaluation mode, on whatever device it is."""

    @property
    @abstractmethod
    def switches(self) -> tuple[Switch, ...]:
        """All of the family, those that this network does not have too."""

    @abstractmethod
    def features(self, batch: ExamBatch) -> Tensor:
        """What every switch begins with, computed once a batch."""

    @abstractmethod
    def vectors(
        self, features: Tensor, batch: ExamBatch
    ) -> Mapping[str, Float[Tensor, "image dim"]]:
        """By name, what a switch replaces by its mean over all images; empty for none."""

    @abstractmethod
    def read(
        self,
        switch: str | None,
        features: Tensor,
        batch: ExamBatch,
        *,
        stranger: Int[Tensor, " image"],
        means: Mapping[str, Float[Tensor, " dim"]],
    ) -> ModelOutput:
        """The scores with one thing taken away.

        Args:
            switch: Its name, one that this network has; None reads as the network does.
            features: Of the batch.
            batch: On the network's device.
            stranger: For each image, an image of the batch of another patient and the same view;
                itself where there is none.
            means: Of the vectors, over all images that are read.
        """
