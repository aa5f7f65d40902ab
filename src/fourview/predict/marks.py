"""Where a network points: its output -> scored regions by class, and these -> findings of a breast.

A family says which way its output goes (``ModelFamily.marks``). The regions of an exam become the
findings of its report, those of a manifest the rows of unit ``region`` of a predictions table: both
are made here and only here.

Threshold: of a drawn region, applied by ``findings_of``; ``train.run.region_points`` chooses it on
           the validation part, and ``predict.network`` reads it with the weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fourview.contract import ExamBatch, ModelOutput
from fourview.contract.family import Marks
from fourview.entities import SIDES, Finding, Heatmap, Side
from fourview.feeds.pixels import Pixels
from fourview.feeds.samples import Sample
from fourview.geometry import Box
from fourview.localise.findings import RegionRule, findings_from_regions
from fourview.localise.peaks import PeakRule, ScoredRegion, heatmap_regions
from fourview.localise.top_regions import top_regions

Regions = Mapping[str, Sequence[ScoredRegion]]  # by class
THRESHOLD = 0.5  # of a drawn region where none was chosen: "rather yes than no"
ANY_PEAK = PeakRule(threshold=float(np.finfo(np.float32).tiny))
NUM_PEAKS = 10  # of an image and class; FROC curves are read at fewer false marks than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A batch that a network looked at, and what it said.

    Attributes:
        samples: Samples of the batch.
        batch: The batch itself, on the CPU.
        output: Output of the network, wherever it was computed.
        pixels: Where the images came from.
        classes: Names of the scores.
    """

    samples: Sequence[Sample]
    batch: ExamBatch
    output: ModelOutput
    pixels: Pixels
    classes: tuple[str, ...]

    def images(self) -> Iterator[tuple[Sample, str, Side]]:
        """Sample, id and side of every image of the batch, in its order."""
        for sample in self.samples:
            for image_id, slot in zip(sample.images, sample.slots, strict=True):
                yield sample, image_id, SIDES[slot % len(SIDES)]

    def heatmaps(self) -> tuple[Heatmap, ...]:
        """Heatmaps of every image, class by class; none where no class has maps."""
        if self.output.heatmaps is None:
            return ()
        maps = self.output.heatmaps.detach().float().cpu().numpy()
        geometries = [
            (image_id, self.pixels.geometry(image_id)) for _, image_id, _ in self.images()
        ]
        return tuple(
            Heatmap(image_id=image_id, class_name=name, values=values, geometry=geometry)
            for number, name in enumerate(self.classes[: maps.shape[1]])
            for (image_id, geometry), values in zip(geometries, maps[:, number], strict=True)
        )


def marks_of(kind: Marks, look: Look) -> Regions:
    """All scored regions of a batch by class, each on its image, in the processed frame."""
    return _WAYS[kind](look)


def findings_of(
    kind: Marks, regions: Regions, side: Side, *, threshold: float = THRESHOLD
) -> tuple[Finding, ...]:
    """The findings that a report draws on a breast.

    Args:
        kind: Kind of the family's marks.
        regions: Regions on the images of that breast.
        side: Side of the breast.
        threshold: Least score of what is drawn; the best ``regions`` are drawn whatever they score.
    """
    if kind == "regions":
        return top_regions(regions, side)
    suspicious = next(iter(regions.values()), ())
    whole = RegionRule(threshold=threshold, most_overlap=1.0)  # the network has chosen already
    return findings_from_regions(suspicious, side, rule=whole)


def _none(look: Look) -> Regions:  # noqa: ARG001 - one of several ways
    return {}


def _peaks(look: Look) -> Regions:
    by_class: dict[str, list[ScoredRegion]] = {}
    for heatmap in look.heatmaps():
        own = heatmap_regions(heatmap, ANY_PEAK, most=NUM_PEAKS)
        by_class.setdefault(heatmap.class_name, []).extend(own)
    return by_class


def _boxes(look: Look) -> Regions:
    boxes = look.output.boxes
    if boxes is None:
        return {}
    label, image = boxes.label.cpu().numpy(), boxes.image.cpu().numpy()
    corners, score = boxes.corners.float().cpu().numpy(), boxes.score.float().cpu().numpy()
    return {
        name: _scored(look, image[own], corners[own], score[own])
        for number, name in enumerate(look.classes)
        for own in [label == number]
    }


def _regions(look: Look) -> Regions:
    patches, scores = look.batch.patches, look.output.patch_scores
    if patches is None or scores is None:
        return {}
    image, corners = patches.image.cpu().numpy(), patches.box.cpu().numpy()
    values = scores.float().cpu().numpy()
    return {
        name: _scored(look, image, corners, values[:, number])
        for number, name in enumerate(look.classes)
    }


def _scored(
    look: Look,
    image: np.ndarray,
    corners: Float[np.ndarray, "region 4"],
    scores: Float[np.ndarray, " region"],
) -> list[ScoredRegion]:
    places = [(image_id, look.pixels.geometry(image_id)) for _, image_id, _ in look.images()]
    rows = zip(image.tolist(), corners.astype(float).tolist(), scores.tolist(), strict=True)
    return [
        ScoredRegion(
            image_id=places[number][0], box=Box(*box), score=score, geometry=places[number][1]
        )
        for number, box, score in rows
    ]


_WAYS: Mapping[Marks, Callable[[Look], Regions]] = {
    "none": _none,
    "patches": _none,
    "peaks": _peaks,
    "boxes": _boxes,
    "regions": _regions,
}
