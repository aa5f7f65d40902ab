"""A feed: the samples of one part of a manifest, read by index and joined to batches.

A kind of feed is a module of ``feeds/kinds/`` with ``FEED = FeedKind(...)``; a stage of a model
names the kind that it reads. What an item of training looks like is decided by (seed, epoch, index)
alone, so that a run that was stopped and resumed sees what it would have seen.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from fourview.contract import ExamBatch
from fourview.entities import Manifest
from fourview.errors import RecipeError
from fourview.feeds import kinds as feeds
from fourview.feeds.context import ContextMaps
from fourview.feeds.samples import Sample, Unit
from fourview.store.store import Store
from fourview.suggest import no_such


class Feed(ABC):
    """See the module docstring.

    Attributes:
        samples: Which images each item holds and what is known of them, by index.
    """

    samples: Sequence[Sample]

    def __len__(self) -> int:
        """How many items there are."""
        return len(self.samples)

    def order(self, *, seed: int, epoch: int) -> list[int]:
        """Indices of one epoch of training, in turn; all once unless a feed balances classes."""
        return epoch_order(len(self), seed=seed, epoch=epoch)

    @abstractmethod
    def read(self, index: int, draw: np.random.Generator | None = None) -> Any:
        """One item; ``draw`` decides what is random in training, without it nothing is."""

    @abstractmethod
    def collate(self, items: Sequence[Any]) -> ExamBatch:
        """Items joined; each is an exam of the batch, in the order given."""

    def stored_boxes(
        self,
        image_id: str,  # noqa: ARG002
        boxes: Float[np.ndarray, "patch 4"],  # noqa: ARG002
    ) -> Float[np.ndarray, "patch 4"] | None:
        """Boxes of an image's patches in the stored frame, where each patch is a mark; else None.

        Scores of such patches are written to a predictions table, as rows of unit ``region``.
        """
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRequest:
    """What of a manifest is wanted.

    Attributes:
        classes: For each label wanted, its classes, as ``make_samples`` has them.
        unit: A sample is a whole exam, or one breast of it.
        part: Only exams of this split.
        training: The part is trained on, not measured.
        settings: The kind's own.
        cache_bytes: Keep pixels in memory where they take no more than this.
        context: Heatmaps of another network, where the recipe names one.
    """

    classes: Mapping[str, Sequence[str]]
    unit: Unit = "exam"
    part: str | None = None
    training: bool = False
    settings: Any = None
    cache_bytes: int = 0
    context: ContextMaps | None = None


@dataclass(frozen=True, slots=True)
class NoSettings:
    """Of a kind of feed that has nothing to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedKind:
    """One module of ``feeds/kinds/``.

    Attributes:
        make: Manifest, store and request to the feed.
        settings: The frozen dataclass of its settings.
    """

    make: Callable[[Manifest, Store, FeedRequest], Feed]
    settings: type = field(default=NoSettings)


def find_feed(name: str) -> FeedKind:
    """The kind of feed of that name.

    Raises:
        RecipeError: There is none.
    """
    names = [module.name for module in pkgutil.iter_modules(feeds.__path__)]
    if name not in names:
        raise RecipeError(no_such("feed", name, names))
    kind: FeedKind = importlib.import_module(f"{feeds.__name__}.{name}").FEED
    return kind


def epoch_order(num_samples: int, *, seed: int, epoch: int) -> list[int]:
    """A permutation that depends on seed and epoch only, so that a resumed run sees the same."""
    generator = torch.Generator().manual_seed(step_seed(seed, epoch, 0))
    return torch.randperm(num_samples, generator=generator).tolist()


def step_seed(seed: int, epoch: int, step: int) -> int:
    """A seed for one step of one epoch of a run; independent streams for different arguments."""
    return int(np.random.SeedSequence([seed, epoch, step]).generate_state(1, np.uint64)[0] >> 1)


def item_draw(seed: int, epoch: int, index: int) -> np.random.Generator:
    """What is random in one item of one epoch of a run; apart from the streams of its steps."""
    return np.random.default_rng(np.random.SeedSequence([seed, epoch, index], spawn_key=(1,)))
