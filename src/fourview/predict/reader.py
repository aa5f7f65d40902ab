"""A reader: one trained network or several, from exams and stores to predictions.

An exam is scored as a store is: its images are a feed, what is said of them a predictions table.
Several networks are joined in that table, by image id, breast and class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import final

import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourview.checkpoint.card import ModelCard
from fourview.checkpoint.ensemble import members_of, read_ensemble
from fourview.contract import ExamBatch, Task
from fourview.entities import (
    SIDES,
    Asked,
    BreastPrediction,
    Exam,
    ExamPrediction,
    Finding,
    Heatmap,
    ImagePrediction,
    Manifest,
    Side,
)
from fourview.errors import CheckpointError
from fourview.feeds.pixels import ExamPixels
from fourview.geometry import Size
from fourview.predict.engine import PLAIN, Engine
from fourview.predict.findings import scored_findings
from fourview.predict.marks import findings_of, marks_of
from fourview.predict.network import Network, Progress, load_network
from fourview.predict.places import placed_findings
from fourview.predict.seen import Scores, Seen, mean_of_findings, notes_of, scores_of, see
from fourview.predict.table import mean_of_tables
from fourview.preprocess.spec import PixelSpec
from fourview.store.store import Store

BreastScores = Float[Tensor, "exam 2 class"]


@final
class Reader:
    """Networks that read exams together.

    Args:
        networks: Networks of one task, whose scores are averaged; or of tasks whose classes differ,
            which stand beside each other. Findings and heatmaps are those of the first network
            that scores findings, else of the first network of the first suspicion.
        name: FAMILY:NAME where all are one model; None names each.

    Raises:
        CheckpointError: There are none, or two tasks have a class in common.
    """

    def __init__(self, networks: Sequence[Network], *, name: str | None = None) -> None:
        if not networks:
            raise CheckpointError("an ensemble of no models; name a run or several")
        self.networks = tuple(networks)
        self.name = name or " + ".join(network.name for network in networks)
        self._is_one = name is not None
        tasks = {n.first.task.name: n.first.task for n in networks}
        named = [name for one in tasks.values() for name in one.classes]
        if len(set(named)) < len(named):
            raise CheckpointError(
                f"models of different tasks ({', '.join(sorted(tasks))}) have no mean; read with "
                "each alone"
            )
        self.tasks: tuple[Task, ...] = tuple(tasks.values())

    @property
    def task(self) -> Task:
        """The task whose suspicion a breast is given; the first one where none is a suspicion."""
        return next((task for task in self.tasks if task.is_suspicion), self.tasks[0])

    @property
    def card(self) -> ModelCard:
        """The first network's, with every one's recipe, digest and terms."""
        cards = [network.card for network in self.networks]
        return replace(
            cards[0],
            recipe=self.name if self._is_one else " + ".join(card.recipe for card in cards),
            digest=" + ".join(card.digest for card in cards),
            terms="; ".join(sorted({c.terms for n in self.networks for c in n.cards if c.terms})),
            may_release=all(c.may_release for n in self.networks for c in n.cards),
        )

    @property
    def asked(self) -> tuple[Asked, ...]:
        """The tasks, as predictions say them."""
        return tuple(
            Asked(name=t.name, classes=t.classes, exclusive=t.exclusive)
            for one in self.tasks
            for t in one.asked
        )

    @property
    def caution(self) -> str:
        """What a person who sees a score must know: one sentence for each different model."""
        return " ".join(dict.fromkeys(card.caution for n in self.networks for card in n.cards))

    @property
    def spec(self) -> PixelSpec:
        """The pixels that the first network reads; each reads its own of an exam."""
        return self.networks[0].spec

    @property
    def model(self) -> nn.Module:
        """The first network itself."""
        return self.networks[0].model

    @property
    def operating_points(self) -> Mapping[str, float]:
        """Thresholds on a breast's score; none of several networks: one's do not fit the mean."""
        return self.networks[0].first.points.scores if len(self.networks) == 1 else {}

    @property
    def scores_findings(self) -> bool:
        """Whether findings can be named, and get scores of their own."""
        return self._of_findings is not None

    @property
    def finding_points(self) -> Mapping[str, float]:
        """Thresholds on a finding's score; none where findings get none of their own."""
        return {} if self._of_findings is None else self._of_findings.points.scores

    @property
    def enough(self) -> Size | None:
        """Rows and columns that are enough for every network; None where one wants them all."""
        sizes = [network.spec.enough for network in self.networks]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            return None
        return max(rows for rows, _ in known), max(cols for _, cols in known)

    def predict(
        self, exam: Exam, findings: Sequence[Finding] = (), *, join: bool = True
    ) -> ExamPrediction:
        """Read one exam; an image that cannot be preprocessed is listed, not fatal.

        Args:
            exam: Exam to read.
            findings: Findings to be scored one by one, with regions on the exam's images in the
                stored frame.
            join: Make one finding of what a model marks in CC and MLO at one depth behind the
                nipple (``localise.two_views``); False leaves a finding for each image.

        Raises:
            CheckpointError: Findings are named, and no network scores any.
        """
        if findings and not self.scores_findings:
            raise CheckpointError(
                f"{self.card.recipe} scores no findings; load the run of a lesion network"
            )
        specs = {network.spec.fingerprint: network.spec for network in self.networks}
        pixels = {name: ExamPixels(exam, spec) for name, spec in specs.items()}
        seen = [see(network, pixels[network.spec.fingerprint]) for network in self.networks]
        scores = scores_of(seen)
        leads = self._of_findings or next(n for n in self.networks if n.first.task == self.task)
        lead = seen[self.networks.index(leads)]
        drawn = self._drawn(seen, lead, findings)
        placed, unplaced = placed_findings(exam, drawn, join=join and not self.scores_findings)
        read = {image.image_id for one in seen for image in one.pixels.images}
        return ExamPrediction(
            patient_id=exam.patient_id,
            exam_id=exam.exam_id,
            breasts=tuple(self._breasts(exam, seen, scores, placed)),
            images=tuple(self._images(exam, seen, scores, lead)),
            model=self.name,
            model_digest=" + ".join(network.digest for network in self.networks),
            pixel_spec=" + ".join(f"{spec.name} {name}" for name, spec in specs.items()),
            terms=self.card.terms,
            precision=lead.network.engine.description,
            left_out=exam.left_out
            + tuple(
                {
                    left.image_id: left
                    for one in seen
                    for left in one.pixels.left_out
                    if left.image_id not in read
                }.values()
            ),
            notes=(*exam.notes, *unplaced, *self._notes(named=bool(findings))),
            asked=self.asked,
            caution=self.caution,
            exam=exam,
        )

    def score_pixels(self, pixels: Float[Tensor, "exam 4 row col"]) -> BreastScores:
        """Scores of processed pixels, without files: for tests of one's own, sliders, attributions.

        Args:
            pixels: Pixels in [0, 1] in the order R-CC, L-CC, R-MLO, L-MLO, as ``process`` with this
                reader's ``spec`` makes them; a view that is all NaN is missing.

        Returns:
            By exam, breast (right, left) and class of ``task``; NaN for a breast without images.
            Of several networks the mean.

        Raises:
            CheckpointError: A network reads more than whole images, or gives no scores of breasts.
        """
        of_task = [n for n in self.networks if n.first.task == self.task]
        per_network = []
        for network in of_task:
            one = network.first
            if one.family.reads.feed != "exams":
                raise CheckpointError(
                    f"{one.card.recipe} reads patches of images that it chooses itself; use predict"
                )
            batch = ExamBatch.of_slots(pixels).to(one.engine.device)
            scores = one.family.look(one.model, batch, explained=False).breast_scores
            if scores is None:
                raise CheckpointError(f"{one.card.recipe} gives no scores of breasts; use predict")
            per_network.append(scores.float().cpu())
        return torch.stack(per_network).mean(dim=0)

    def predict_store(
        self,
        manifest: Manifest,
        store: Store | Sequence[Store],
        *,
        splits: Sequence[str] | None = None,
        batch_size: int = 8,
        workers: int = 0,
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """Scores of all exams of a manifest whose pixels are in a store, and the regions marked.

        Args:
            manifest: Manifest of the images.
            store: Their pixels; several where networks read different ones.
            splits: Only exams of these; None takes all.
            batch_size: Exams at a time.
            workers: Processes that read the store.
            progress: Called with samples done and samples in all, over all networks.

        Raises:
            CheckpointError: No store holds the pixels that a network was trained on.
        """
        stores = [store] if isinstance(store, Store) else list(store)
        tables = []
        for number, network in enumerate(self.networks):
            feed = network.feed_of_store(manifest, _store_for(network, stores), splits)
            shown = None if progress is None else partial(self._progress, progress, number)
            tables.append(
                network.table(feed, batch_size=batch_size, workers=workers, progress=shown)
            )
        return mean_of_tables(tables)

    @property
    def _of_findings(self) -> Network | None:
        return next((n for n in self.networks if n.family.scores_findings), None)

    def _progress(self, progress: Progress, number: int, done: int, of: int) -> None:
        progress(number * of + done, len(self.networks) * of)

    def _images(
        self, exam: Exam, seen: Sequence[Seen], scores: Scores, lead: Seen
    ) -> Iterator[ImagePrediction]:
        """Images that any network read, then those of other views."""
        heatmaps: dict[str, list[Heatmap]] = {}
        for heatmap in () if lead.look is None else lead.look.heatmaps():
            heatmaps.setdefault(heatmap.image_id, []).append(heatmap)
        for image in exam.images:
            own = [one for one in seen if image.image_id in one.pixels]
            if own:
                by_class = scores.get(("image", image.image_id), {})
                yield ImagePrediction(
                    image_id=image.image_id,
                    view=image.view,
                    score=self._suspicion(by_class),
                    scores=by_class,
                    heatmaps=tuple(heatmaps.get(image.image_id, ())),
                    notes=tuple(dict.fromkeys((*image.notes, *notes_of(image, own, seen)))),
                )
        for image in exam.images:
            if image.view.slot is None:
                note = "not read by the model: none of the four standard views"
                yield ImagePrediction(
                    image_id=image.image_id, view=image.view, score=None, notes=(note,)
                )

    def _breasts(
        self, exam: Exam, seen: Sequence[Seen], scores: Scores, findings: Sequence[Finding]
    ) -> Iterator[BreastPrediction]:
        for side in (s for s in SIDES if any(i.view.side == s for i in exam.images)):
            by_class = scores.get(("breast", side), {})
            own = tuple(finding for finding in findings if finding.side == side)
            views = {
                i.view.position for one in seen for i in one.pixels.images if i.view.side == side
            }
            if not by_class:
                notes = ["not scored: no readable CC or MLO"]
            else:
                notes = [] if len(views) == 2 else [f"read from {views.pop()} alone"]
            yield BreastPrediction(
                side=side,
                score=self._suspicion(by_class),
                scores=by_class,
                findings=own,
                notes=tuple(notes),
            )

    def _drawn(
        self, seen: Sequence[Seen], lead: Seen, findings: Sequence[Finding]
    ) -> tuple[Finding, ...]:
        """The findings of the report: scored one by one where a network does so, else drawn."""
        if self.scores_findings:
            of_each = [
                scored_findings(one.network, findings, one.pixels, one.look)
                for one in seen
                if one.network.family.scores_findings and (findings or one is lead)
            ]
            return mean_of_findings(of_each)
        network, look = lead.network, lead.look
        if look is None or not network.task.is_suspicion:
            return ()
        regions = marks_of(network.family.marks, look)
        sides: dict[str, Side] = {image_id: side for _, image_id, side in look.images()}
        return tuple(
            finding
            for side in SIDES
            for finding in findings_of(
                network.family.marks,
                {k: [r for r in own if sides[r.image_id] == side] for k, own in regions.items()},
                side,
                threshold=network.region_threshold,
            )
        )

    def _notes(self, *, named: bool) -> Iterator[str]:
        if self.scores_findings:
            how = "as named" if named else "proposed by the context network"
            yield f"findings: {how}; each has a malignancy score of its own"
        if len(self.networks) > 1:
            how = "scores are the mean of" if len(self.tasks) == 1 else "read by"
            yield f"{how} {len(self.networks)} models"

    def _suspicion(self, scores: Mapping[str, float]) -> float | None:
        return scores.get(self.task.classes[0]) if self.task.is_suspicion else None


def load_model(
    run: Path | str | Sequence[Path | str | None] | None = None, *, engine: Engine = PLAIN
) -> Reader:
    """The reader of a run or checkpoint folder, or of several: the mean of their scores.

    A folder of several networks that are one model (``checkpoint.ensemble``) counts as so many.

    Without an argument it is the model that ships with the package.

    Raises:
        CheckpointError: There is no checkpoint, it does not fit, or several have no mean.
    """
    runs = [run] if run is None or isinstance(run, str | Path) else list(run)
    folders: list[Path | None] = []
    for each in runs:
        folders += [None] if each is None else members_of(Path(each))
    only = None if len(runs) != 1 or runs[0] is None else read_ensemble(Path(runs[0]))
    networks = [load_network(folder, engine=engine) for folder in folders]
    return Reader(networks, name=None if only is None else only.recipe)


def _store_for(network: Network, stores: Sequence[Store]) -> Store:
    """The store that a network can read; the first one, which it refuses, where there is none."""
    fits = (s for s in stores if s.fingerprint == network.spec.fingerprint)
    return next(fits, stores[0])
