"""The feed of lesion networks: windows of images, cut from single chunks of the store.

Training: an item is one window. An epoch has a fixed number of each class, each drawn anew:
    malignant   overlaps a malignant finding and no benign one
    benign      overlaps a benign finding and no malignant one
    outside     of an image with findings, overlaps none
    negative    of a breast in which no finding has a biopsy
Measuring: an item is a finding on one image, with the windows that it is scored by.
``feeds.window_sources`` says what counts as a finding.

    batch.patches.targets["patch_class"]     index into CLASSES
    batch.patches.finding_targets[label]     1 malignant, 0 benign
    batch.patches.maps                       part of each cell of the grid that the window covers,
                                             then the heatmaps of the context network
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from fourview.contract import ExamBatch, PatchBatch
from fourview.entities import Manifest
from fourview.errors import RecipeError, TrainingError
from fourview.feeds.coded import Asked, CodedFeed
from fourview.feeds.feed import MAPS, FeedKind, FeedRequest, step_seed
from fourview.feeds.patches import (
    PatchReader,
    Window,
    cut_window,
    draw_window,
    grid_maps,
    overlaps_any,
    patch_reader,
    windows_of_finding,
)
from fourview.feeds.pixels import ExamPixels, Pixels
from fourview.feeds.samples import Sample, make_samples
from fourview.feeds.window_sources import (
    CLASSES,
    WindowSource,
    class_target,
    find_window_sources,
    target_of,
    window_sources_of_exam,
)
from fourview.fingerprint import number_of
from fourview.geometry import Size
from fourview.store.said import Said
from fourview.store.store import Store

PATCH_CLASS = "patch_class"
CODES, WINDOWS = "codes", "windows"  # of a source's windows, kept beside each other
TRIES = 30  # draws of a window until it keeps the rules of its class; the last one is taken then


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSettings:
    """What a window is. The defaults are those of Wu et al. 2020 on 2944 x 1920 pixels.

    Attributes:
        sides: Smallest and largest side of a window, in processed pixels; uniform between.
        rotation: Windows are turned by up to this to either side in training, in degrees.
        patch_px: Rows and columns that every window is brought to.
        per_epoch: Windows of each of CLASSES in an epoch.
        min_overlap_px: Least area that a window shares with its finding; 0 asks for any.
        min_breast: Least part of a window of ``outside`` and ``negative`` that shows breast.
        windows: How many a finding is scored by.
        grid: Rows and columns of the maps; None gives none.
        saved: Windows of a source that are drawn once for all epochs, so that their codes can be
            saved where the stage leaves the encoder as it is; 0 draws anew every time.
        upright: Let the coverage map show the window before it was turned.
    """

    sides: tuple[float, float] = (128.0, 384.0)
    rotation: float = 30.0
    patch_px: int = 256
    per_epoch: tuple[int, int, int, int] = (20, 35, 5000, 4945)
    min_overlap_px: float = 0.0
    min_breast: float = 0.5
    windows: int = 100
    grid: Size | None = None
    saved: int = 0
    upright: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPatches:
    """Windows of one source with their pixels."""

    sample: Sample
    source: WindowSource
    windows: tuple[Window, ...]
    pixels: Float32[np.ndarray, "patch side side"] | None
    maps: Float32[np.ndarray, "patch channel grid_row grid_col"] | None
    codes: Float32[np.ndarray, "patch dim"] | None = None


class PatchFeed(CodedFeed):
    """See the module docstring.

    Args:
        samples: One image each.
        sources: The source of each sample.
        pixels: Where they are.
        label: Name of the findings' target.
        settings: What a window is.
        training: Draw windows by class; without it every finding gets its own.
        context: Heatmaps to give with each window.
        cache_bytes: Keep whole images in memory if all take no more than this; else a window costs
            the chunks that it lies on.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        sources: Sequence[WindowSource],
        pixels: Pixels,
        *,
        label: str,
        settings: PatchSettings,
        training: bool = False,
        context: Said | None = None,
        cache_bytes: int = 0,
    ) -> None:
        self.samples = tuple(samples)
        self.sources = tuple(sources)
        self.pixels, self.label, self.settings = pixels, label, settings
        self.training, self.context = training, context
        self._check_grid()
        images = {source.image_id: source.size for source in sources}
        self._cached: dict[str, PatchReader] = {}
        if sum(2 * rows * cols for rows, cols in images.values()) <= cache_bytes:
            self._cached = {image: patch_reader(pixels.read(image)) for image in images}

    def order(self, *, seed: int, epoch: int) -> list[int]:
        """As many windows of each class as the settings ask for, mixed.

        Every source of a class comes once before one comes again; index ``i + n * len(self)`` is
        the n-th further window of source i.

        Raises:
            TrainingError: A class that is asked for has no source.
        """
        draw = np.random.default_rng(step_seed(seed, epoch, 0))
        order: list[int] = []
        for kind, num in enumerate(self.settings.per_epoch):
            here = [i for i, source in enumerate(self.sources) if source.kind == kind]
            if num and not here:
                raise TrainingError(
                    f"no place to draw '{CLASSES[kind]}' windows from in the training part; need "
                    "findings of known nature with a region, and breasts without; or set "
                    "feed.per_epoch to 0 there"
                )
            for start in range(0, num, max(len(here), 1)):
                turn = draw.permutation(here)[: num - start]
                order += [int(i) + len(self) * (start // len(here)) for i in turn]
        return [order[i] for i in draw.permutation(len(order))]

    def read(self, index: int, draw: np.random.Generator | None = None) -> ReadPatches:
        """One window of a source in training, all windows of a finding else."""
        place = index % len(self)
        if draw is None or not self.training:
            return self._fixed_item(place, list(range(self.num_fixed)))
        if self.settings.saved:
            return self._fixed_item(place, [int(draw.integers(self.settings.saved))])
        source = self.sources[place]
        window, pixels = self._draw(source, self._reader(source.image_id), draw)
        return self._read(place, (window,), pixels[None])

    @property
    def num_fixed(self) -> int:
        """Windows of a source that are always the same."""
        return self.settings.saved if self.training else self.settings.windows

    def fixed(
        self, place: int, numbers: Sequence[int] | None = None
    ) -> tuple[tuple[Window, ...], Float32[np.ndarray, "patch side side"]]:
        """The windows of a source that are always the same, or some of them, and their pixels."""
        source = self.sources[place]
        read_patch = self._reader(source.image_id)
        if self.training:
            drawn = [
                self._draw(source, read_patch, _draw_of(source, number))
                for number in (range(self.num_fixed) if numbers is None else numbers)
            ]
            return tuple(window for window, _ in drawn), np.stack([pixels for _, pixels in drawn])
        assert source.outline is not None
        windows = windows_of_finding(
            f"{source.finding_id}\n{source.image_id}",
            source.outline,
            num=self.settings.windows,
            sides=self.settings.sides,
            min_overlap_px=self.settings.min_overlap_px,
        )
        chosen = windows if numbers is None else [windows[number] for number in numbers]
        cut = [cut_window(read_patch, window, self.settings.patch_px) for window in chosen]
        return tuple(chosen), np.stack(cut)

    @property
    def is_fixed(self) -> bool:
        """Whether windows are the same every time: not in training that draws them anew."""
        return not self.training or self.settings.saved > 0

    def about(self) -> Mapping[str, Any]:
        """What decides the fixed windows of a source."""
        unused = {"per_epoch": None, "grid": None, "upright": None}
        drawn = asdict(self.settings) | unused
        # part of the fingerprint of saved codes: with other words all would be made again
        return {"of": "windows of a site", "settings": drawn, "training": self.training}

    def asked(self) -> Iterator[Asked]:
        """Every source."""
        for place, source in enumerate(self.sources):
            yield Asked(_key(source), CODES, place)

    def patches(
        self, asked: Asked
    ) -> tuple[Mapping[str, np.ndarray], Float32[np.ndarray, "patch side side"]]:
        """The fixed windows of a source."""
        windows, pixels = self.fixed(asked.what)
        return {WINDOWS: np.array([(w.x, w.y, w.side, w.degrees) for w in windows])}, pixels

    def _fixed_item(self, place: int, numbers: list[int]) -> ReadPatches:
        if self.said is None:
            return self._read(place, *self.fixed(place, numbers))
        key = _key(self.sources[place])
        kept = self.said.read(key, WINDOWS, numbers).tolist()
        codes = self.said.read(key, CODES, numbers)
        windows = tuple(Window(x, y, side, degrees) for x, y, side, degrees in kept)
        return replace(self._read(place, windows, None), codes=codes)

    def collate(self, items: Sequence[ReadPatches]) -> ExamBatch:
        """Every item is an exam with one image, whose own pixels are not read."""
        return collate_patches(items, self.label)

    def _reader(self, image_id: str) -> PatchReader:
        if image_id in self._cached:
            return self._cached[image_id]
        return lambda y0, x0, size: self.pixels.patch(image_id, y0, x0, size)

    def _draw(
        self, source: WindowSource, read_patch: PatchReader, draw: np.random.Generator
    ) -> tuple[Window, Float32[np.ndarray, "side side"]]:
        """A window of the source's class; the last of TRIES where none keeps the rules."""
        settings = self.settings
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            window = self._window(source, draw)
            if overlaps_any(window, source.others) and not last:
                continue
            pixels = cut_window(read_patch, window, settings.patch_px)
            if source.outline is not None or last or (pixels > 0).mean() >= settings.min_breast:
                return window, pixels
        raise AssertionError("the last attempt returns")

    def _window(self, source: WindowSource, draw: np.random.Generator) -> Window:
        settings = self.settings
        if source.outline is not None:
            return draw_window(
                draw,
                source.outline,
                sides=settings.sides,
                degrees=settings.rotation,
                min_overlap_px=settings.min_overlap_px,
            )
        side = float(draw.uniform(*settings.sides))
        rows, cols = source.size
        half = side / 2
        return Window(
            float(draw.uniform(min(half, cols / 2), max(cols - half, cols / 2))),
            float(draw.uniform(min(half, rows / 2), max(rows - half, rows / 2))),
            side,
            float(draw.uniform(-settings.rotation, settings.rotation)),
        )

    def _read(
        self,
        place: int,
        windows: tuple[Window, ...],
        pixels: Float32[np.ndarray, "patch side side"] | None,
    ) -> ReadPatches:
        sample, source, maps = self.samples[place], self.sources[place], None
        if self.settings.grid is not None:
            context = None if self.context is None else self.context.read(source.image_id, MAPS)
            maps = grid_maps(
                windows, source.size, self.settings.grid, context, upright=self.settings.upright
            )
        return ReadPatches(sample=sample, source=source, windows=windows, pixels=pixels, maps=maps)

    def _check_grid(self) -> None:
        if self.context is None or self.settings.grid is None or not self.sources:
            return
        grid = self.context.read(self.sources[0].image_id, MAPS).shape[1:]
        if grid != tuple(self.settings.grid):
            theirs = "x".join(str(n) for n in grid)
            raise RecipeError(
                f"the heatmaps of {self.context.about['recipe']} have a grid of {theirs}, the "
                f"recipe wants {self.settings.grid}; set feed.grid, or take another context"
            )


def _draw_of(source: WindowSource, number: int) -> np.random.Generator:
    """What decides the n-th fixed window of a source."""
    key = f"{source.kind}\n{source.finding_id}\n{source.image_id}\n{number}"
    return np.random.default_rng(number_of(key))


def _key(source: WindowSource) -> str:
    """What a source's fixed windows depend on, beside the settings."""
    outlines = [a.points.tolist() for a in (source.outline, *source.others) if a is not None]
    return f"{source.kind}\n{source.finding_id}\n{source.image_id}\n{outlines}"


def collate_patches(items: Sequence[ReadPatches], label: str) -> ExamBatch:
    """Items joined; a finding is what a malignant or benign source is around.

    Args:
        items: In the order of the batch's images.
        label: Name of the findings' target.
    """
    counts = [len(item.windows) for item in items]
    image = torch.repeat_interleave(torch.arange(len(items)), torch.tensor(counts))
    has = [item.source.outline is not None for item in items]
    number = np.where(has, np.cumsum(has) - 1, -1)
    boxes = [w.box() for item in items for w in item.windows]
    maps = [item.maps for item in items if item.maps is not None]
    pixels = [item.pixels for item in items if item.pixels is not None]
    codes = [item.codes for item in items if item.codes is not None]
    kinds = torch.tensor([class_target(item.source.kind) for item in items])
    with_finding = [item for item in items if item.source.outline is not None]
    patches = PatchBatch(
        image=image,
        box=torch.tensor([(b.x0, b.y0, b.x1, b.y1) for b in boxes], dtype=torch.float32),
        pixels=torch.from_numpy(np.concatenate(pixels))[:, None] if pixels else None,
        codes=torch.from_numpy(np.concatenate(codes)) if codes else None,
        maps=torch.from_numpy(np.concatenate(maps)) if maps else None,
        finding=torch.from_numpy(number)[image],
        num_findings=len(with_finding),
        targets={PATCH_CLASS: kinds[image]},
        finding_targets={label: torch.tensor([target_of(i.source.kind) for i in with_finding])},
    )
    return ExamBatch(
        pixels=torch.zeros((len(items), 1, 0, 0)),
        exam=torch.arange(len(items)),
        slot=torch.tensor([item.sample.slots[0] for item in items]),
        rank=torch.tensor([item.sample.ranks[0] for item in items]),
        num_exams=len(items),
        patches=patches,
    )


def _make(manifest: Manifest, store: Store, request: FeedRequest) -> PatchFeed:
    settings: PatchSettings = request.settings or PatchSettings()
    label = next(iter(request.classes), "malignant")
    images = make_samples(
        manifest,
        classes={},
        unit="breast",
        splits=request.splits,
        in_store=store.table["image_id"].to_list(),
    )
    samples, sources = find_window_sources(
        manifest, store, images, label, training=request.training
    )
    return PatchFeed(
        samples,
        sources,
        store,
        label=label,
        settings=settings,
        training=request.training,
        context=request.context,
        cache_bytes=request.cache_bytes,
    )


def _of_exam(pixels: ExamPixels, request: FeedRequest) -> PatchFeed:
    samples, sources = window_sources_of_exam(pixels, request.findings)
    return PatchFeed(
        samples,
        sources,
        pixels,
        label=next(iter(request.classes), "malignant"),
        settings=request.settings or PatchSettings(),
        context=request.context,
    )


FEED = FeedKind(make=_make, of_exam=_of_exam, settings=PatchSettings)
