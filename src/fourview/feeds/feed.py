"""A feed: samples read by index and joined to batches; of a manifest's part, or of one exam.

A kind of feed is a module of ``feeds/kinds/`` with ``FEED = FeedKind(...)``; a stage of a model
names the kind that it trains on, its family the kind that a trained network reads. ``make`` and
``of_exam`` give the same feed over other pixels, so that what is trained on and what is read later
are batches of the same code. What an item of training looks like is decided by (seed, epoch, index)
alone, so that a run that was stopped and resumed sees what it would have seen.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import torch

from fourview.contract import ExamBatch
from fourview.entities import Finding, Manifest
from fourview.errors import RecipeError
from fourview.feeds import kinds as feeds
from fourview.feeds.pixels import ExamPixels, Pixels
from fourview.feeds.samples import Sample, Unit
from fourview.outside import find_outside, outside
from fourview.store.said import Said
from fourview.store.store import Store

MAPS = "maps"  # name of a context network's heatmaps of an image


class Feed(ABC):
    """See the module docstring.

    Attributes:
        samples: Which images each item holds and what is known of them, by index.
        pixels: Where the images are, and the way back to their files' own pixels.
    """

    samples: Sequence[Sample]
    pixels: Pixels

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRequest:
    """What of a manifest, or of an exam, is wanted.

    Attributes:
        classes: For each label wanted, its classes, as ``make_samples`` has them.
        unit: A sample is a whole exam, or one breast of it.
        part: Only exams of this split, or of these; None takes all.
        training: The part is trained on, not measured.
        settings: The kind's own.
        cache_bytes: Keep pixels in memory where they take no more than this.
        context: Heatmaps of another network (``MAPS`` of every image), where the recipe names one.
        findings: Of the exam, those that are to be looked at, in the stored frame.
    """

    classes: Mapping[str, Sequence[str]]
    unit: Unit = "exam"
    part: str | tuple[str, ...] | None = None
    training: bool = False
    settings: Any = None
    cache_bytes: int = 0
    context: Said | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def splits(self) -> tuple[str, ...] | None:
        """The parts that are wanted; None for all."""
        return (self.part,) if isinstance(self.part, str) else self.part


@dataclass(frozen=True, slots=True)
class NoSettings:
    """Of a kind of feed that has nothing to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedKind:
    """One module of ``feeds/kinds/``.

    Attributes:
        make: Manifest, store and request to the feed.
        of_exam: The images of one exam and a request to the feed of it, by the same code; None
            where an exam that is read does not have what the kind needs (captions).
        settings: The frozen dataclass of its settings.
    """

    make: Callable[[Manifest, Store, FeedRequest], Feed]
    of_exam: Callable[[ExamPixels, FeedRequest], Feed] | None = None
    settings: type = field(default=NoSettings)


def find_feed(name: str) -> FeedKind:
    """The kind of feed of that name.

    Raises:
        RecipeError: There is none.
    """
    theirs = find_outside("feeds", name, _own_names(), what="feed", error=RecipeError, of=FeedKind)
    kind: FeedKind = _module_of(name).FEED if theirs is None else theirs.thing
    return kind


def feed_names() -> list[str]:
    """All kinds of feed there are, sorted."""
    return sorted({*_own_names(), *(each.name for each in outside("feeds"))})


def feed_purpose(name: str) -> str:
    """The first line of what a kind of feed says of itself, in its module's docstring."""
    theirs = {each.name: each.module for each in outside("feeds")}
    module = importlib.import_module(theirs[name]) if name in theirs else _module_of(name)
    return (module.__doc__ or "").strip().partition("\n")[0]


def _own_names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(feeds.__path__)]


def _module_of(name: str) -> ModuleType:
    return importlib.import_module(f"{feeds.__name__}.{name}")


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
