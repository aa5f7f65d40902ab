"""A lesion network with its context: every finding of an exam gets a score of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from fourview.checkpoint.card import ModelCard, load_checkpoint
from fourview.contract import ModelFamily, ModelOutput, task
from fourview.entities import (
    BreastPrediction,
    Exam,
    ExamPrediction,
    Finding,
    Manifest,
    Patch,
    ProcessedImage,
    Region,
)
from fourview.errors import CheckpointError
from fourview.feeds.feed import FeedRequest, find_feed
from fourview.feeds.kinds.patches import PatchSettings, ReadPatches, collate_patches, grid_maps
from fourview.feeds.patches import Window, cut_window, piece_of, windows_of_finding
from fourview.feeds.samples import Sample
from fourview.feeds.sites import UNKNOWN, Site, area_of
from fourview.geometry import Box
from fourview.predict.context_maps import context_of
from fourview.predict.engine import PLAIN, Engine
from fourview.predict.proposals import propose
from fourview.predict.reader import (
    Reader,
    Seen,
    embedded_folder,
    is_finding_family,
    load_model,
    operating_points,
)
from fourview.predict.samples import Progress, score_samples
from fourview.preprocess.pipeline import to_pixel_levels
from fourview.run_files import CONTEXT, checkpoint_of, is_checkpoint
from fourview.store.store import Store

PROPOSED = 3  # a breast, where nobody names findings


class FindingReader(Reader):
    """Reads exams as its context network does, then scores findings one by one.

    Attributes:
        finding_points: Thresholds on a finding's score by rule, chosen on validation.
        context: Folder of the context's checkpoint.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        family: ModelFamily,
        *,
        finding_points: Mapping[str, float],
        context: Path,
        engine: Engine = PLAIN,
    ) -> None:
        model, about, its_family = load_checkpoint(context)
        points = operating_points(context)
        super().__init__(model, about, its_family, operating_points=points, engine=engine)
        self.context, self.context_card = context, about
        self.card, self.lesion_family = card, family
        self.network = network.to(engine.device).eval()
        self.finding_task = task(str(card.config["task"]))
        self.finding_points = dict(finding_points)
        self.settings: PatchSettings = TypeAdapter(PatchSettings).validate_python(card.feed)

    def predict(self, exam: Exam, findings: Sequence[Finding] = ()) -> ExamPrediction:
        """Read one exam; findings that nobody names are the context's best regions.

        Args:
            exam: What to read.
            findings: With regions on the exam's images, in the stored frame.

        Returns:
            The context's prediction, its findings replaced by these with their own scores and the
            windows that they were scored by. A finding that is on no image that was read has no
            score.
        """
        prediction, seen, output = self.look(exam)
        named = bool(findings)
        candidates = findings if named else self._proposed(prediction, seen, output)
        scored = self.score(candidates, seen, output)
        return replace(
            prediction,
            breasts=tuple(_with(breast, scored) for breast in prediction.breasts),
            model=f"{self.card.recipe} on {self.context_card.recipe}",
            model_digest=f"{self.card.digest} on {self.context_card.digest}",
            terms="; ".join(sorted({t for t in (self.card.terms, self.context_card.terms) if t})),
            notes=(
                *prediction.notes,
                f"findings: {'as named' if named else 'proposed by the context network'}; "
                "each has a malignancy score of its own",
            ),
        )

    def score(
        self, findings: Sequence[Finding], seen: Seen, output: ModelOutput | None
    ) -> tuple[Finding, ...]:
        """Findings with their scores: the mean over their images of the mean over their windows."""
        places = {image.image_id: place for place, image in enumerate(seen.images)}
        items: list[ReadPatches] = []
        whose: list[int] = []
        for number, finding in enumerate(findings):
            for region in finding.regions:
                place = places.get(region.image_id)
                item = None if place is None else self._item(finding, region, seen, place, output)
                if item is not None:
                    items.append(item)
                    whose.append(number)
        if not items:
            return tuple(replace(finding, score=None) for finding in findings)
        batch = collate_patches(items, self.finding_task.name).to(self.engine.device)
        with torch.inference_mode():
            said: ModelOutput = self.network(batch)
        assert said.finding_scores is not None and said.patch_scores is not None
        means = said.finding_scores[:, 0].tolist()
        cancer, benign = said.patch_scores[:, 0], said.patch_scores[:, 1]
        of_patch = torch.split(cancer / (cancer + benign), [len(item.windows) for item in items])
        processed = [seen.processed[places[item.site.image_id]] for item in items]
        patches = [
            _patches(item, image, scores.tolist())
            for item, image, scores in zip(items, processed, of_patch, strict=True)
        ]
        return tuple(
            replace(
                finding,
                score=_mean([means[i] for i, w in enumerate(whose) if w == number]),
                patches=tuple(p for i, w in enumerate(whose) if w == number for p in patches[i]),
            )
            for number, finding in enumerate(findings)
        )

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
        """Scores of all findings of known nature in a manifest, one row a finding and image.

        Raises:
            CheckpointError: The store holds other pixels than the networks were trained on.
        """
        maps = None
        if self.settings.grid is not None:
            maps = context_of(self.context, manifest, store, device=self.engine.device)
        tables = []
        for part in splits or (None,):
            request = FeedRequest(
                classes=self.finding_task.labels, part=part, settings=self.settings, context=maps
            )
            feed = find_feed("patches").make(manifest, store, request)
            tables.append(
                score_samples(
                    self.network,
                    feed,
                    self.finding_task.classes,
                    batch_size=batch_size,
                    device=self.engine.device,
                    workers=workers,
                    autocast=self.engine.bfloat16,
                    progress=progress,
                )
            )
        return pl.concat(tables)

    def _item(
        self,
        finding: Finding,
        region: Region,
        seen: Seen,
        place: int,
        output: ModelOutput | None,
    ) -> ReadPatches | None:
        """The windows of a finding on one image; None where it is outside of what was read."""
        image = seen.processed[place]
        box = region.box
        points = [v for point in region.polygon or () for v in point]
        row = {"polygon": points, "x0": box.x0, "y0": box.y0, "x1": box.x1, "y1": box.y1}
        area = area_of(row, image.geometry)
        if area is None:
            return None
        windows = windows_of_finding(
            f"{finding.finding_id}\n{region.image_id}",
            area,
            num=self.settings.windows,
            sides=self.settings.sides,
            min_overlap_px=self.settings.min_overlap_px,
        )
        piece = piece_of(to_pixel_levels(image.pixels))
        size = (image.pixels.shape[0], image.pixels.shape[1])
        cut = [cut_window(piece, window, self.settings.patch_px) for window in windows]
        grid = self.settings.grid
        return ReadPatches(
            sample=_sample(seen, place, finding),
            site=Site(kind=UNKNOWN, image_id=region.image_id, area=area, size=size),
            windows=tuple(windows),
            pixels=np.stack(cut),
            maps=None if grid is None else grid_maps(windows, size, grid, _saliency(output, place)),
        )

    def _proposed(
        self, prediction: ExamPrediction, seen: Seen, output: ModelOutput | None
    ) -> tuple[Finding, ...]:
        maps = None if output is None else _maps(output)
        if maps is None:
            return ()
        return tuple(
            finding
            for breast in prediction.breasts
            for finding in propose(
                seen.processed,
                maps[:, 0].float().cpu(),
                breast.side,
                side_px=sum(self.settings.sides) / 2,
                count=PROPOSED,
            )
        )


def load_any_model(run: Path | str | None = None, *, engine: Engine = PLAIN) -> Reader:
    """As ``load_model``, and of a lesion network the reader that scores findings.

    Raises:
        CheckpointError: There is no checkpoint, it does not fit, or a lesion network has not its
            context beside it.
    """
    folder = embedded_folder() if run is None else checkpoint_of(Path(run))
    network, card, family = load_checkpoint(folder)
    if not is_finding_family(family):
        return load_model(run, engine=engine)
    context = next((c for c in _contexts(folder) if is_checkpoint(c)), None)
    if context is None:
        raise CheckpointError(
            f"{folder}: {card.recipe} needs the context network that it was trained with; give the "
            f"run's folder, with {CONTEXT} in it"
        )
    return FindingReader(
        network,
        card,
        family,
        finding_points=operating_points(folder),
        context=context,
        engine=engine,
    )


def _contexts(folder: Path) -> tuple[Path, ...]:
    """Where a context may lie: in the run of a checkpoint, or beside it."""
    run = folder.parent.parent
    return (checkpoint_of(run / CONTEXT), checkpoint_of(folder / CONTEXT))


def _with(breast: BreastPrediction, findings: Sequence[Finding]) -> BreastPrediction:
    own = [finding for finding in findings if finding.side == breast.side]
    own.sort(key=lambda f: -1.0 if f.score is None else f.score, reverse=True)
    return replace(breast, findings=tuple(own))


def _sample(seen: Seen, place: int, finding: Finding) -> Sample:
    image = seen.images[place]
    slot = image.view.slot
    assert slot is not None
    return Sample(
        patient_id=image.patient_id,
        exam_id=image.exam_id,
        images=(image.image_id,),
        slots=(slot,),
        ranks=(seen.ranks[place],),
        targets={},
        findings=(finding.finding_id,),
    )


def _saliency(output: ModelOutput | None, place: int) -> np.ndarray | None:
    maps = None if output is None else _maps(output)
    return None if maps is None else maps[place].float().cpu().numpy()


def _maps(output: ModelOutput) -> Tensor | None:
    return output.saliency if output.saliency is not None else output.heatmaps


def _patches(item: ReadPatches, image: ProcessedImage, scores: Sequence[float]) -> list[Patch]:
    return [
        Patch(image_id=image.image_id, box=_stored(window, image), score=score)
        for window, score in zip(item.windows, scores, strict=True)
    ]


def _stored(window: Window, image: ProcessedImage) -> Box:
    return image.geometry.box_to_stored(window.box())


def _mean(scores: Sequence[float]) -> float | None:
    return float(np.mean(scores)) if scores else None
