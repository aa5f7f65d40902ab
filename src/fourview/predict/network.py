"""One trained network with its card: feeds go in, what it says of their batches comes out.

Reading one exam and scoring a store are the same here: both are a feed of the family's kind.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter
from torch import nn

from fourview.checkpoint.card import ModelCard, load_checkpoint
from fourview.contract import ModelFamily, Task, task
from fourview.entities import Finding, Manifest
from fourview.errors import CheckpointError
from fourview.evaluate.operating import read_region_thresholds, read_thresholds
from fourview.feeds.batches import Batches
from fourview.feeds.feed import MAPS, Feed, FeedRequest, find_feed
from fourview.feeds.pixels import ExamPixels
from fourview.manifest.select import with_exams
from fourview.predict.engine import PLAIN, Engine
from fourview.predict.frozen import keep_maps, with_codes
from fourview.predict.marks import THRESHOLD, Look, marks_of
from fourview.predict.table import prediction_rows, region_table, table_of
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.run_files import (
    CONTEXT,
    DEFAULT_MODEL,
    checkpoint_of,
    is_checkpoint,
    operating_points_of,
)
from fourview.store.said import Said
from fourview.store.store import Store

Progress = Callable[[int, int], None]
REGION_RULE = "specificity-0.90"  # of images of breasts without the label: no region on so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Thresholds that were chosen on validation.

    Attributes:
        scores: By rule, on what the network is about: a breast's score, or a finding's.
        regions: By rule, on the score of a region that is drawn.
    """

    scores: dict[str, float] = field(default_factory=dict)
    regions: dict[str, float] = field(default_factory=dict)


class Network:
    """See the module docstring.

    Attributes:
        card: What travels with the weights.
        family: What it is, and how its output is used.
        task: What it was trained for.
        spec: The pixels it reads.
        points: Thresholds.
        context: The network whose heatmaps it reads; None for most.
        model: The network itself, as the engine computes it.
    """

    def __init__(
        self,
        model: nn.Module,
        card: ModelCard,
        family: ModelFamily,
        *,
        points: Points | None = None,
        context: "Network | None" = None,
        engine: Engine = PLAIN,
    ) -> None:
        self.card, self.family, self.engine = card, family, engine
        self.task: Task = task(str(card.config["task"]))
        self.spec: PixelSpec = pixel_spec(card.pixel_spec)
        self.points, self.context = points or Points(), context
        self.model = engine.prepare(model, family.heavy)
        kind = find_feed(family.reads.feed)
        self.settings: Any = TypeAdapter(kind.settings).validate_python(card.feed)

    @property
    def first(self) -> "Network":
        """What looks at whole images, and scores breasts: its context, else itself."""
        return self.context or self

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Its own, and its context's."""
        return (self.card,) if self.context is None else (self.card, self.context.card)

    @property
    def name(self) -> str:
        """Its recipe, and its context's."""
        recipe = self.card.recipe
        return recipe if self.context is None else f"{recipe} on {self.context.card.recipe}"

    @property
    def digest(self) -> str:
        """Of its weights, and its context's."""
        digest = self.card.digest
        return digest if self.context is None else f"{digest} on {self.context.card.digest}"

    @property
    def region_threshold(self) -> float:
        """Least score of a region that is drawn."""
        return self.points.regions.get(REGION_RULE, THRESHOLD)

    def feed_of_exam(
        self, pixels: ExamPixels, *, findings: Sequence[Finding] = (), context: Said | None = None
    ) -> Feed:
        """What it reads of one exam.

        Args:
            pixels: Of the exam, at least one image.
            findings: That are to be scored, where it scores any.
            context: Heatmaps of the context network.
        """
        kind = find_feed(self.family.reads.feed)
        if kind.of_exam is None:
            raise CheckpointError(f"{self.card.recipe} reads no exams")
        request = FeedRequest(
            classes={}, settings=self.settings, context=context, findings=tuple(findings)
        )
        return kind.of_exam(pixels, request)

    def feed_of_store(
        self, manifest: Manifest, store: Store, splits: Sequence[str] | None = None
    ) -> Feed:
        """What it reads of the exams of a manifest; the context's heatmaps are made where missing.

        Raises:
            CheckpointError: The store holds other pixels than it was trained on.
        """
        self.require_pixels(store)
        make = find_feed(self.family.reads.feed).make
        part = None if splits is None else tuple(splits)
        request = FeedRequest(classes={}, part=part, settings=self.settings)
        feed = make(manifest, store, request)
        if self.context is None:
            return feed
        images = {image for sample in feed.samples for image in sample.images}
        context = context_of(self.context, manifest, store, images=images)
        return make(manifest, store, replace(request, context=context))

    def looks(
        self,
        feed: Feed,
        *,
        batch_size: int = 8,
        workers: int = 0,
        progress: Progress | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> Iterator[Look]:
        """What it says of a feed, batch by batch.

        Args:
            feed: Of a part, of a store or of an exam; patches become codes where it reads those.
            batch_size: Samples at a time.
            workers: Processes that read.
            progress: Called with samples done and samples in all, over all processes.
            share: Number of this process, and how many look at the feed together.
        """
        feed = with_codes(feed, self._encoder, device=self.engine.device)
        done = 0
        for samples, batch in Batches(feed, batch_size, workers=workers, share=share):
            output = self.family.look(
                self.model, batch.to(self.engine.device), explained=self.task.is_suspicion
            )
            yield Look(
                samples=samples,
                batch=batch,
                output=output,
                pixels=feed.pixels,
                classes=self.task.classes,
            )
            done += len(samples)
            if progress is not None:
                progress(min(done * share[1], len(feed)), len(feed))

    def table(
        self,
        feed: Feed,
        *,
        batch_size: int = 8,
        workers: int = 0,
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """A predictions table of a feed: images, breasts and findings, and the regions marked.

        The arguments are those of ``looks``.
        """
        own = self.tables(feed, batch_size=batch_size, workers=workers, progress=progress)
        return self.joined([own])

    def tables(
        self,
        feed: Feed,
        *,
        batch_size: int = 8,
        workers: int = 0,
        progress: Progress | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> list[pl.DataFrame]:
        """The predictions of each batch of this process's share; arguments as of ``looks``."""
        tables = []
        for look in self.looks(
            feed, batch_size=batch_size, workers=workers, progress=progress, share=share
        ):
            table = table_of(prediction_rows(look.samples, look.output, look.classes))
            if self.task.is_suspicion:
                regions = marks_of(self.family.marks, look)
                table = pl.concat([table, region_table(look, regions)])
            tables.append(table)
        return tables

    @staticmethod
    def joined(shares: Sequence[Sequence[pl.DataFrame]]) -> pl.DataFrame:
        """One table of what all processes have, in the order of the batches."""
        turns = zip_longest(*shares)
        tables = [table for turn in turns for table in turn if table is not None]
        return pl.concat([table_of(iter(())), *tables])

    def require_pixels(self, store: Store) -> None:
        """Pass a store of the pixels that it was trained on.

        Raises:
            CheckpointError: The store holds other pixels.
        """
        if store.fingerprint != self.spec.fingerprint:
            raise CheckpointError(
                f"the store holds {store.spec.name} {store.fingerprint}, {self.card.recipe} reads "
                f"{self.spec.name} {self.spec.fingerprint}; run: fourview prepare MANIFEST "
                f"--spec {self.spec.name} -o STORE"
            )

    @cached_property
    def _encoder(self) -> nn.Module | None:
        make = self.family.reads.encoder
        return None if make is None else make(self.model, self.settings)


def context_of(
    network: Network,
    manifest: Manifest,
    store: Store,
    *,
    images: Collection[str] | None = None,
    batch_size: int = 8,
    progress: Progress | None = None,
    share: tuple[int, int] = (0, 1),
) -> Said:
    """The heatmaps of a network for images of a store, made where they are missing.

    Args:
        network: The context.
        manifest: Whose exams: the network may read the images of an exam together.
        store: Their pixels.
        images: That need heatmaps; None for all. The others of their exams are read too, where the
            network looks at whole exams, and have theirs from then on.
        batch_size: Exams at a time.
        progress: Called with exams done and exams in all.
        share: Number of this process, and how many there are: each makes its part, and all have to
            wait for each other before they read.

    Raises:
        CheckpointError: The network has no maps, or reads other pixels than the store holds.
    """
    card = network.card
    said = Said(
        {
            "of": "heatmaps of an image",
            "recipe": card.recipe,
            "weights": card.digest,
            "pixels": store.fingerprint,
        },
        store.path,
    )
    feed = network.feed_of_store(manifest, store)
    wanted = {i for s in feed.samples for i in s.images if images is None or i in images}
    missing = {i for i in wanted if not said.has(i, MAPS)}
    exams = {s.exam_id for s in feed.samples if not missing.isdisjoint(s.images)}
    own = set(sorted(exams)[share[0] :: share[1]])
    if own:
        feed = network.feed_of_store(with_exams(manifest, own), store)
        for look in network.looks(feed, batch_size=batch_size, progress=progress):
            keep_maps(said, look, card.recipe)
    return said


def load_network(run: Path | str | None = None, *, engine: Engine = PLAIN) -> Network:
    """The network of a run, of a checkpoint folder, or the one that ships with the package.

    Raises:
        CheckpointError: There is no checkpoint, it does not fit, it is pre-trained only, or it
            lacks the context network that it was trained with.
    """
    folder = checkpoint_of(Path(DEFAULT_MODEL if run is None else run))
    model, card, family = load_checkpoint(folder)
    if family.kind != "read":
        raise CheckpointError(f"{folder}: {card.recipe} is pre-trained only and reads no exams")
    context = None
    if family.scores_findings:
        places = (folder.parent.parent / CONTEXT, folder / CONTEXT)
        folders = [checkpoint_of(p) for p in places]
        its_folder = next((p for p in folders if is_checkpoint(p)), None)
        if its_folder is None:
            raise CheckpointError(
                f"{folder}: {card.recipe} needs the context network that it was trained with; give "
                f"the run's folder, with {CONTEXT} in it"
            )
        context = load_network(its_folder, engine=engine)
        if context.card.fingerprint != card.fingerprint:
            raise CheckpointError(
                f"{its_folder}: the context {context.card.recipe} reads {context.card.pixel_spec}, "
                f"{card.recipe} reads {card.pixel_spec}; train both on one spec"
            )
    return Network(model, card, family, points=points_of(folder), context=context, engine=engine)


def points_of(folder: Path) -> Points:
    """Thresholds beside a checkpoint or in its run's folder; empty where there are none."""
    path = operating_points_of(folder)
    if path is None:
        return Points()
    scores = read_thresholds(path, of_model=True)[0]
    return Points(scores=scores, regions=read_region_thresholds(path))
