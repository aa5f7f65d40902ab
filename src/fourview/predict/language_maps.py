"""What a language-image network sees: where a sentence is, and where one view meets the other.

For a model with ``sentence_maps`` (MaMA, MM-MIL): the cosines of a sentence with every token of an
image, between the image's own extremes (0 the least alike, 1 the most), so that a map says *where*,
not whether. For one with ``patch_to_slice`` (GLAM): a super-patch of the CC view, and over the MLO
how well each column agrees with it, spread over the column's rows by the attention; beside it the
same from the MLO to the CC. Which super-patch: the one that a person names (``query_place``), else
the best finding's, else the best agreeing one.

Maps lie over processed pixels; their geometry brings them back to those of the file, also where an
MLO was turned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourview.entities import SIDES, Exam, ExamPrediction, Heatmap, Image, ProcessedImage
from fourview.errors import CheckpointError
from fourview.feeds.pixels import ExamPixels
from fourview.nn.activation_map import evenly
from fourview.predict.language import LanguageModel
from fourview.predict.query_place import QueryPlace

SUSPICION = "Impression: BI-RADS category 4: suspicious abnormality"
CUT_OUT, AGREES = "patch of the CC view", "where the MLO agrees with the CC patch"
NAMES = {  # by the view that is looked from: on this view, and on the other
    "CC": (CUT_OUT, AGREES),
    "MLO": ("patch of the MLO view", "where the CC agrees with the MLO patch"),
}
VIEWS: tuple[Literal["CC", "MLO"], ...] = ("CC", "MLO")


class LanguageMaps:
    """Adds a language-image model's heatmaps to predictions.

    Args:
        model: Model of a family with ``sentence_maps`` or ``patch_to_slice``, trained with them.
        sentences: Sentences to look for; without any, the impression of a suspicious abnormality.
        places: Where to look from, for ``patch_to_slice``; nothing else is then looked for there.

    Raises:
        CheckpointError: The model has neither, or places are named and it compares no views.
    """

    def __init__(
        self,
        model: LanguageModel,
        sentences: Sequence[str] = (),
        places: Sequence[QueryPlace] = (),
    ) -> None:
        self.model, self.places = model, tuple(places)
        self.sentences = tuple(sentences) or (SUSPICION,)
        self.says, self.slices = model.model.has_sentence_maps, model.model.has_slice_maps
        if not (self.says or self.slices):
            raise CheckpointError(
                f"{model.card.recipe} aligns nothing locally and has no maps; name a run of mama "
                "or glam with model.local=true, or of mm_mil"
            )
        if places and not self.slices:
            raise CheckpointError(
                f"{model.card.recipe} compares no views, so it looks from no place: --at needs a "
                "run of glam"
            )

    def add(self, exam: Exam, prediction: ExamPrediction) -> ExamPrediction:
        """The prediction with heatmaps of every image that can be processed."""
        pixels = ExamPixels(exam, self.model.spec)  # an image that cannot be processed has no maps
        processed = {image.image_id: image for image in pixels.processed}
        heatmaps: dict[str, list[Heatmap]] = {image_id: [] for image_id in processed}
        if self.says and processed:
            for heatmap in self._sentences(list(processed.values())):
                heatmaps[heatmap.image_id].append(heatmap)
        notes = [f"maps of {self.model.card.recipe} show where, not how likely"]
        if self.slices:
            for heatmap in self._slices(exam, processed, prediction, notes):
                heatmaps[heatmap.image_id].append(heatmap)
        images = tuple(
            replace(image, heatmaps=(*image.heatmaps, *heatmaps.get(image.image_id, ())))
            for image in prediction.images
        )
        return replace(prediction, images=images, notes=(*prediction.notes, *notes))

    def _sentences(self, images: Sequence[ProcessedImage]) -> list[Heatmap]:
        texts = self.model.tokenizer.batch([self.sentences] * len(images), list(range(len(images))))
        pixels = _stacked(images).to(self.model.device)
        tower = self.model.model.image_tower
        shift = tower.first_center / tower.stride - 0.5  # by gradients: not in inference mode
        with torch.inference_mode():
            maps = self.model.model.sentence_maps(pixels, texts.to(self.model.device))
            maps = evenly(maps, shift=shift)
        return [
            Heatmap(
                image_id=image.image_id,
                class_name=sentence,
                values=_between_extremes(values),
                geometry=image.geometry,
            )
            for image, of_image in zip(images, maps.float().cpu().numpy(), strict=True)
            for sentence, values in zip(self.sentences, of_image, strict=False)
        ]

    def _slices(
        self,
        exam: Exam,
        processed: dict[str, ProcessedImage],
        prediction: ExamPrediction,
        notes: list[str],
    ) -> Iterator[Heatmap]:
        """Heatmaps from CC to MLO and back, of breasts with both; notes what was not found."""
        there = {
            f"{side}-{view}"
            for side in SIDES
            for view in VIEWS
            if _first(exam, processed, side, view) is not None
        }
        for place in self.places:
            if not {place.slot, _other_slot(place.slot)} <= there:
                notes.append(f"--at {place}: the exam has not both views of this breast")
        for side in SIDES:
            cc, mlo = (_first(exam, processed, side, view) for view in VIEWS)
            if cc is None or mlo is None:
                continue
            own = [p for p in self.places if p.slot.startswith(side)]
            for view in VIEWS:
                asked = [p for p in own if p.slot == f"{side}-{view}"]
                if self.places and not asked:
                    continue
                yield from self._from_view(view, (cc, mlo), asked, prediction, notes)

    def _from_view(
        self,
        view: Literal["CC", "MLO"],
        images: tuple[ProcessedImage, ProcessedImage],
        asked: Sequence[QueryPlace],
        prediction: ExamPrediction,
        notes: list[str],
    ) -> Iterator[Heatmap]:
        """What is looked for on one view, and where the other agrees."""
        with torch.inference_mode():
            cc, mlo = (_stacked([image]).to(self.model.device) for image in images)
            agreement, rows = self.model.model.patch_to_slice(cc, mlo, view)
        cosines, within = agreement[0].float().cpu().numpy(), rows[0].float().cpu().numpy()
        here, other = images if view == "CC" else images[::-1]
        cut_out, agrees = NAMES[view]
        grid = (cosines.shape[0], cosines.shape[1])
        queries: list[tuple[str, Bool[np.ndarray, "row col"]]] = []
        for place in asked:
            cells = place.cells(here, grid)
            if cells is None:
                notes.append(f"--at {place}: lies outside of what the model sees of this view")
            else:
                queries.append((f", at {place}", cells))
        if not asked:
            queries.append(("", _only(grid, _query(here, cosines, prediction))))
        for where, cells in queries:
            yield _heatmap(here, cut_out + where, cells.astype(np.float32))
            yield _heatmap(
                other, agrees + where, slice_map(cosines[cells].mean(0), _mean_rows(within[cells]))
            )


def _mean_rows(
    within: Float[np.ndarray, "place column row"],
) -> Float[Tensor, "column row"]:
    return torch.from_numpy(within.mean(axis=0))


def _other_slot(slot: str) -> str:
    side, _, view = slot.partition("-")
    return f"{side}-{'MLO' if view == 'CC' else 'CC'}"


def slice_map(
    agreement: Float[np.ndarray, " column"], rows: Float[Tensor, "column row"]
) -> Float[np.ndarray, "row column"]:
    """One super-patch's map over the other view: 1 at the best place, 0 in the worst column.

    Args:
        agreement: Cosine of the super-patch with what it finds in each column.
        rows: Attention over each column's rows; sums to 1.
    """
    values = _between_extremes(agreement)[None, :] * rows.numpy().T
    scaled: np.ndarray = values / max(float(values.max()), np.finfo(values.dtype).tiny)
    return scaled


def _query(
    image: ProcessedImage, cosines: Float[np.ndarray, "row col column"], prediction: ExamPrediction
) -> tuple[int, int]:
    """Which super-patch is looked for: the best finding's here, else the best agreeing one."""
    rows, cols = cosines.shape[:2]
    height, width = image.pixels.shape
    for breast in prediction.breasts:
        for finding in sorted(breast.findings, key=lambda f: -(f.score or 0.0)):
            for region in finding.regions:
                if region.image_id == image.image_id:
                    x, y = image.geometry.box_to_processed(region.box).center
                    row, col = int(y * rows / height), int(x * cols / width)
                    return min(max(row, 0), rows - 1), min(max(col, 0), cols - 1)
    best = np.where(_tissue(image, (rows, cols)), cosines.max(axis=2), -np.inf)
    place = np.unravel_index(int(best.argmax()), best.shape)
    return int(place[0]), int(place[1])


def _tissue(image: ProcessedImage, grid: tuple[int, int]) -> Bool[np.ndarray, "row col"]:
    """Cells whose centre lies in the breast; all cells where none does."""
    height, width = image.pixels.shape
    rows = ((np.arange(grid[0]) + 0.5) * height / grid[0]).astype(int)
    cols = ((np.arange(grid[1]) + 0.5) * width / grid[1]).astype(int)
    inside: Bool[np.ndarray, "row col"] = image.pixels[np.ix_(rows, cols)] > 0
    return inside if inside.any() else np.ones_like(inside)


def _first(
    exam: Exam, processed: dict[str, ProcessedImage], side: str, position: str
) -> ProcessedImage | None:
    def is_it(image: Image) -> bool:
        here = (image.view.side, image.view.position) == (side, position)
        return here and image.image_id in processed

    return next((processed[i.image_id] for i in exam.images if is_it(i)), None)


def _only(shape: tuple[int, int], place: tuple[int, int]) -> Bool[np.ndarray, "row col"]:
    chosen = np.zeros(shape, dtype=bool)
    chosen[place] = True
    return chosen


def _heatmap(image: ProcessedImage, name: str, values: np.ndarray) -> Heatmap:
    return Heatmap(image_id=image.image_id, class_name=name, values=values, geometry=image.geometry)


def _between_extremes(values: Float[np.ndarray, "*many"]) -> Float[np.ndarray, "*many"]:
    low, high = float(values.min()), float(values.max())
    spread: np.ndarray = (values - low) / max(high - low, np.finfo(values.dtype).tiny)
    return spread


def _stacked(images: Sequence[ProcessedImage]) -> Float[Tensor, "image 1 row col"]:
    pixels = np.stack([image.pixels for image in images]).astype(np.float32)
    return torch.from_numpy(pixels)[:, None]
