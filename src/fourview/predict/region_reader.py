"""A family that scores regions reads exams: windows of each image, their codes, top regions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from pydantic import TypeAdapter
from torch import nn

from fourview.checkpoint.card import ModelCard
from fourview.contract import ExamBatch, ModelFamily, ModelOutput, PatchBatch
from fourview.entities import BreastPrediction, Exam, ExamPrediction, Manifest
from fourview.feeds.codes import build_encoder, encode, from_levels_of
from fourview.feeds.feed import FeedRequest
from fourview.feeds.grid import cut_regions, find_regions
from fourview.feeds.kinds.regions import RegionFeedSettings, make_feed
from fourview.geometry import Box
from fourview.localise.peaks import ScoredRegion
from fourview.localise.top_regions import top_regions
from fourview.predict.engine import PLAIN, Engine
from fourview.predict.reader import Reader, Seen
from fourview.predict.samples import Progress, score_samples
from fourview.preprocess.pipeline import to_pixel_levels
from fourview.store.store import Store


class RegionReader(Reader):
    """Reads exams by the regions of their images; see ``Reader``.

    The encoder of the codes is the recipe's, with the weights that it names: they are not part of
    the checkpoint.
    """

    def __init__(
        self,
        model: nn.Module,
        card: ModelCard,
        family: ModelFamily,
        *,
        operating_points: dict[str, float],
        engine: Engine = PLAIN,
    ) -> None:
        super().__init__(model, card, family, operating_points=operating_points, engine=engine)
        self.settings: RegionFeedSettings = TypeAdapter(RegionFeedSettings).validate_python(
            card.feed
        )

    def look(self, exam: Exam) -> tuple[ExamPrediction, Seen, ModelOutput | None]:
        """As ``Reader.look``; the findings are the best regions of every class and image."""
        prediction, seen, output = super().look(exam)
        if output is None or output.patch_scores is None:
            return prediction, seen, output
        scores = output.patch_scores.float().cpu().numpy()
        regions = self._scored(seen, scores)
        breasts = tuple(self._with_regions(b, seen, regions) for b in prediction.breasts)
        return replace(prediction, breasts=breasts), seen, output

    def predict_store(
        self,
        manifest: Manifest,
        store: Store,
        *,
        splits: Sequence[str] | None = None,
        batch_size: int = 8,
        workers: int = 0,
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """As ``Reader.predict_store``, with a row for every region; missing codes are computed."""
        self.require_pixels(store)
        tables = []
        for part in splits or (None,):
            request = FeedRequest(classes={}, part=part, settings=self.settings)
            tables.append(
                score_samples(
                    self.model,
                    make_feed(manifest, store, request),
                    self.task.classes,
                    batch_size=batch_size,
                    device=self.engine.device,
                    workers=workers,
                    progress=progress,
                )
            )
        return pl.concat(tables)

    def _batch(self, seen: Seen) -> ExamBatch:
        """All regions of an exam's images."""
        levels = [to_pixel_levels(p.pixels) for p in seen.processed]
        boxes = self._boxes(seen)
        windows = np.concatenate([cut_regions(a, b) for a, b in zip(levels, boxes, strict=True)])
        counts = torch.tensor([len(own) for own in boxes])
        codes = pixels = None
        if self.settings.reads == "codes":
            encoder = build_encoder(self.settings.encoder).to(self.engine.device)
            made = encode(encoder, windows, device=self.engine.device).astype(np.float16)
            codes = torch.from_numpy(made.astype(np.float32))  # as the store would have kept them
        else:
            pixels = torch.from_numpy(from_levels_of(windows))[:, None]
        slots = [image.view.slot for image in seen.images]
        return ExamBatch(
            pixels=torch.zeros(len(slots), 1, 0, 0),
            exam=torch.zeros(len(slots), dtype=torch.long),
            slot=torch.tensor(slots),
            rank=torch.tensor(seen.ranks),
            num_exams=1,
            patches=PatchBatch(
                image=torch.repeat_interleave(torch.arange(len(slots)), counts),
                box=torch.from_numpy(np.concatenate(boxes).astype(np.float32)),
                codes=codes,
                pixels=pixels,
            ),
        )

    def _boxes(self, seen: Seen) -> list[np.ndarray]:
        found = []
        for image, processed in zip(seen.images, seen.processed, strict=True):
            assert image.view.slot is not None
            levels = to_pixel_levels(processed.pixels)
            found.append(find_regions(levels, image.view.slot, self.settings.windows))
        return found

    def _scored(self, seen: Seen, scores: np.ndarray) -> dict[str, list[ScoredRegion]]:
        """Every region of the exam with its score, class by class."""
        boxes = self._boxes(seen)
        whose = [p for p, own in zip(seen.processed, boxes, strict=True) for _ in own]
        corners = np.concatenate(boxes).astype(float).tolist()
        return {
            name: [
                ScoredRegion(
                    image_id=p.image_id, box=Box(*box), score=float(score), geometry=p.geometry
                )
                for p, box, score in zip(whose, corners, scores[:, number], strict=True)
            ]
            for number, name in enumerate(self.task.classes)
        }

    def _with_regions(
        self, breast: BreastPrediction, seen: Seen, regions: dict[str, list[ScoredRegion]]
    ) -> BreastPrediction:
        own = {image.image_id for image in seen.images if image.view.side == breast.side}
        mine = {name: [r for r in found if r.image_id in own] for name, found in regions.items()}
        return replace(breast, findings=top_regions(mine, breast.side))
