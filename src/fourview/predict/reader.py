"""A trained model that reads exams: from DICOM images to an ExamPrediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import nn

from fourview.checkpoint.card import ModelCard, load_checkpoint
from fourview.contract import ExamBatch, ModelFamily, ModelOutput, Task, task
from fourview.entities import (
    SIDES,
    BreastPrediction,
    Exam,
    ExamPrediction,
    Heatmap,
    Image,
    ImagePrediction,
    LeftOut,
    Manifest,
    ProcessedImage,
    Side,
)
from fourview.errors import CheckpointError, DicomError, PixelError
from fourview.evaluate.operating import read_thresholds
from fourview.feeds.kinds.exams import ExamFeed
from fourview.feeds.samples import make_samples
from fourview.localise.findings import findings_from_heatmaps
from fourview.localise.peaks import PeakRule
from fourview.predict.engine import PLAIN, Engine
from fourview.predict.samples import Progress, score_samples
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.run_files import checkpoint_of, operating_points_of
from fourview.store.read_image import process_as_prepared
from fourview.store.store import Store

EMBEDDED = "mvccl-small"
FINDING_RULE = "specificity-0.90"  # regions are drawn where a heatmap passes this threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The images of an exam that fill slots, as processed, in the order of the batch."""

    images: tuple[Image, ...]
    processed: tuple[ProcessedImage, ...]
    ranks: tuple[int, ...]


class Reader:
    """A network with its card, ready to read.

    Attributes:
        card: What travels with the weights.
        task: What it was trained for.
        spec: The pixels it reads.
        operating_points: Thresholds by rule, chosen on validation; empty where there are none.
    """

    def __init__(
        self,
        model: nn.Module,
        card: ModelCard,
        family: ModelFamily,
        *,
        operating_points: Mapping[str, float],
        engine: Engine = PLAIN,
    ) -> None:
        self.card, self.family = card, family
        self.task: Task = task(str(card.config["task"]))
        self.spec: PixelSpec = pixel_spec(card.pixel_spec)
        self.operating_points = dict(operating_points)
        self.engine = engine
        self.model = self.engine.prepare(model)

    def predict(self, exam: Exam) -> ExamPrediction:
        """Read one exam; an image that cannot be preprocessed is listed, not fatal."""
        return self.look(exam)[0]

    def look(self, exam: Exam) -> tuple[ExamPrediction, Seen, ModelOutput | None]:
        """A prediction with the processed images that it is of, and what the network said."""
        seen, left_out = self._process(exam)
        output = self._run(self._batch(seen)) if seen.images else None
        images = self._image_predictions(seen, output)
        scored = {image.image_id for image in seen.images}
        others = tuple(
            ImagePrediction(
                image_id=image.image_id,
                view=image.view,
                score=None,
                notes=("not read by the model: none of the four standard views",),
            )
            for image in exam.images
            if image.image_id not in scored and image.view.slot is None
        )
        prediction = ExamPrediction(
            patient_id=exam.patient_id,
            exam_id=exam.exam_id,
            breasts=tuple(self._breast(side, seen, images, output) for side in _sides(exam)),
            images=images + others,
            model=self.card.recipe,
            model_digest=self.card.digest,
            pixel_spec=f"{self.spec.name} {self.spec.fingerprint}",
            terms=self.card.terms,
            precision=self.engine.description,
            left_out=exam.left_out + left_out,
            notes=exam.notes,
        )
        return prediction, seen, output

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
        """Scores of all exams of a manifest whose pixels are in a store.

        Raises:
            CheckpointError: The store holds other pixels than the model was trained on.
        """
        self.require_pixels(store)
        samples = make_samples(
            manifest,
            classes={},
            splits=splits,
            in_store=store.table["image_id"].to_list(),
        )
        return score_samples(
            self.model,
            ExamFeed(samples, store),
            self.task.classes,
            batch_size=batch_size,
            device=self.engine.device,
            workers=workers,
            autocast=self.engine.bfloat16,
            progress=progress,
        )

    def require_pixels(self, store: Store) -> None:
        """Pass a store of the pixels that the model was trained on.

        Raises:
            CheckpointError: The store holds other pixels.
        """
        if store.fingerprint != self.spec.fingerprint:
            raise CheckpointError(
                f"the store holds {store.spec.name} {store.fingerprint}, {self.card.recipe} reads "
                f"{self.spec.name} {self.spec.fingerprint}; run: fourview prepare MANIFEST "
                f"--spec {self.spec.name} -o STORE"
            )

    def _batch(self, seen: Seen) -> ExamBatch:
        """What the network reads of an exam: its images in one stack."""
        return _stacked(seen)

    def _process(self, exam: Exam) -> tuple[Seen, tuple[LeftOut, ...]]:
        images, processed, ranks = [], [], []
        left_out: list[LeftOut] = []
        taken = [0, 0, 0, 0]
        for image in exam.images:
            slot = image.view.slot
            if slot is None:
                continue
            try:
                processed.append(process_as_prepared(image, self.spec))
            except (DicomError, PixelError) as error:
                left_out.append(
                    LeftOut(
                        path=image.path,
                        reason="no_breast" if isinstance(error, PixelError) else "unreadable",
                        detail=str(error),
                        image_id=image.image_id,
                    )
                )
                continue
            images.append(image)
            ranks.append(taken[slot])
            taken[slot] += 1
        seen = Seen(images=tuple(images), processed=tuple(processed), ranks=tuple(ranks))
        return seen, tuple(left_out)

    def _run(self, batch: ExamBatch) -> ModelOutput:
        explain = self.family.explain if self.task.is_suspicion else None
        with self.engine.context():
            output: ModelOutput = (explain or _forward)(self.model, batch.to(self.engine.device))
        return output

    def _image_predictions(
        self, seen: Seen, output: ModelOutput | None
    ) -> tuple[ImagePrediction, ...]:
        if output is None:
            return ()
        found = []
        for index, (image, processed) in enumerate(zip(seen.images, seen.processed, strict=True)):
            scores = None if output.image_scores is None else output.image_scores[index].tolist()
            binary = scores is not None and self.task.is_suspicion
            found.append(
                ImagePrediction(
                    image_id=image.image_id,
                    view=image.view,
                    score=scores[0] if scores is not None and binary else None,
                    heatmaps=self._heatmaps(output, index, processed),
                    notes=tuple(dict.fromkeys((*image.notes, *processed.notes))),
                )
            )
        return tuple(found)

    def _heatmaps(
        self, output: ModelOutput, index: int, processed: ProcessedImage
    ) -> tuple[Heatmap, ...]:
        if output.heatmaps is None:
            return ()
        maps = output.heatmaps[index].float().cpu().numpy()
        return tuple(
            Heatmap(
                image_id=processed.image_id,
                class_name=name,
                values=values,
                geometry=processed.geometry,
            )
            for name, values in zip(self.task.classes, maps, strict=True)
        )

    def _breast(
        self,
        side: Side,
        seen: Seen,
        images: tuple[ImagePrediction, ...],
        output: ModelOutput | None,
    ) -> BreastPrediction:
        views = [image.view.position for image in seen.images if image.view.side == side]
        if output is None or output.breast_scores is None or not views:
            return BreastPrediction(
                side=side, score=None, notes=("not scored: no readable CC or MLO",)
            )
        scores = output.breast_scores[0, SIDES.index(side)].float().tolist()
        notes = () if len(set(views)) == 2 else (f"read from {views[0]} alone",)
        if self.task.num_classes > 1:
            said = ", ".join(
                f"{name} {score:.3f}" for name, score in zip(self.task.classes, scores, strict=True)
            )
            notes = (*notes, f"{self.task.name}: {said}")
        if not self.task.is_suspicion:
            return BreastPrediction(side=side, score=None, notes=notes)
        heatmaps = [
            heatmap
            for image in images
            if image.view.side == side
            for heatmap in image.heatmaps
            if heatmap.class_name == self.task.classes[0]
        ]
        return BreastPrediction(
            side=side,
            score=scores[0],
            findings=findings_from_heatmaps(heatmaps, side, rule=self._peak_rule()),
            notes=notes,
        )

    def _peak_rule(self) -> PeakRule:
        threshold = self.operating_points.get(FINDING_RULE)
        return PeakRule() if threshold is None else PeakRule(threshold=threshold)


def load_model(run: Path | str | None = None, *, engine: Engine = PLAIN) -> Reader:
    """The reader of a run, of a checkpoint folder, or the small one shipped with the package.

    Raises:
        CheckpointError: There is no checkpoint, or it does not fit.
    """
    folder = embedded_folder() if run is None else checkpoint_of(Path(run))
    model, card, family = load_checkpoint(folder)
    if family.kind != "read":
        raise CheckpointError(f"{folder}: {card.recipe} is pre-trained only and reads no exams")
    if is_finding_family(family):
        raise CheckpointError(
            f"{folder}: {card.recipe} reads findings; load it with finding_reader.load_any_model"
        )
    points = operating_points(folder)
    if any(stage.feed == "regions" for stage in family.stages.values()):
        from fourview.predict.region_reader import RegionReader  # noqa: PLC0415 - is a Reader

        return RegionReader(model, card, family, operating_points=points, engine=engine)
    return Reader(model, card, family, operating_points=points, engine=engine)


def is_finding_family(family: ModelFamily) -> bool:
    """Whether a family judges findings by windows, not whole images."""
    return any(stage.feed == "patches" for stage in family.stages.values())


def embedded_folder() -> Path:
    """Where the small default model lies in the installed package."""
    return Path(str(files("fourview.predict") / "embedded" / EMBEDDED))


def mean_prediction(predictions: Sequence[ExamPrediction]) -> ExamPrediction:
    """Several models on one exam: the mean of their scores; findings and maps are the first's."""
    first = predictions[0]
    if len(predictions) == 1:
        return first
    return replace(
        first,
        breasts=tuple(
            replace(b, score=_mean([p.breasts[i].score for p in predictions]))
            for i, b in enumerate(first.breasts)
        ),
        images=tuple(
            replace(image, score=_mean([p.images[i].score for p in predictions]))
            for i, image in enumerate(first.images)
        ),
        model=" + ".join(p.model for p in predictions),
        model_digest=" + ".join(p.model_digest for p in predictions),
        terms="; ".join(sorted({p.terms for p in predictions if p.terms})),
        notes=(*first.notes, f"scores are the mean of {len(predictions)} models"),
    )


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [s for s in scores if s is not None]
    return float(np.mean(known)) if known else None


def _forward(model: nn.Module, batch: ExamBatch) -> ModelOutput:
    with torch.inference_mode():
        output: ModelOutput = model(batch)
    return output


def _stacked(seen: Seen) -> ExamBatch:
    slots = [image.view.slot for image in seen.images]
    return ExamBatch(
        pixels=torch.from_numpy(np.stack([p.pixels for p in seen.processed]))[:, None],
        exam=torch.zeros(len(slots), dtype=torch.long),
        slot=torch.tensor(slots),
        rank=torch.tensor(seen.ranks),
        num_exams=1,
    )


def _sides(exam: Exam) -> tuple[Side, ...]:
    present = {image.view.side for image in exam.images}
    return tuple(side for side in SIDES if side in present)


def operating_points(folder: Path) -> dict[str, float]:
    """Thresholds beside a checkpoint or in its run's folder; empty where there are none."""
    path = operating_points_of(folder)
    return {} if path is None else read_thresholds(path, of_model=True)[0]
