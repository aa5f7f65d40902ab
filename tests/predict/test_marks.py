"""An output becomes regions of its images, class by class."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fourview.contract import ExamBatch, ModelOutput
from fourview.contract.batch import PatchBatch
from fourview.contract.output import NO_CLASS, DetectedBoxes
from fourview.feeds.samples import Sample
from fourview.geometry import Box, Geometry
from fourview.localise.peaks import ScoredRegion
from fourview.predict.marks import THRESHOLD, Look, findings_of, marks_of

GEOMETRY = {"a": Geometry((8, 8)), "b": Geometry((16, 16)).resized(8, 8)}


class OnlyPlaces:
    """Pixels of which only the places are asked."""

    path = spec = fingerprint = chunk = None

    def geometry(self, image_id):
        return GEOMETRY[image_id]

    def _not_asked(self, *_):
        raise AssertionError

    size = read = read_many = patch = chunks = _not_asked


def look(output, classes=("cancer", "benign"), patches=None):
    sample = Sample(
        patient_id="p", exam_id="e", images=("a", "b"), slots=(0, 1), ranks=(0, 0), targets={}
    )
    return Look(
        samples=(sample,),
        batch=replace(ExamBatch.of_slots(torch.zeros(1, 4, 8, 8)), patches=patches),
        output=output,
        pixels=OnlyPlaces(),
        classes=classes,
    )


def boxes():
    return DetectedBoxes(
        image=torch.tensor([0, 1, 1]),
        corners=torch.tensor([[0.0, 0, 4, 4], [1, 1, 3, 3], [2, 2, 6, 6]]),
        label=torch.tensor([0, 1, NO_CLASS]),
        score=torch.tensor([0.75, 0.5, 0.25]),
    )


def test_boxes_are_of_their_class_and_those_of_none_of_nobody():
    regions = marks_of("boxes", look(ModelOutput(boxes=boxes())))
    assert {k: [(r.image_id, r.box, r.score) for r in v] for k, v in regions.items()} == {
        "cancer": [("a", Box(0, 0, 4, 4), 0.75)],
        "benign": [("b", Box(1, 1, 3, 3), 0.5)],
    }
    assert regions["benign"][0].geometry == GEOMETRY["b"]


def test_a_network_without_boxes_or_patches_marks_nothing():
    for kind in ("none", "patches", "peaks", "boxes", "regions"):
        assert not marks_of(kind, look(ModelOutput()))


def test_patches_are_regions_of_every_class():
    patches = PatchBatch(image=torch.tensor([1]), box=torch.tensor([[2.0, 2, 4, 4]]))
    output = ModelOutput(patch_scores=torch.tensor([[0.125, 0.5]]))
    regions = marks_of("regions", look(output, patches=patches))
    assert [(k, v[0].image_id, v[0].score) for k, v in regions.items()] == [
        ("cancer", "b", 0.125), ("benign", "b", 0.5),
    ]  # fmt: skip
    assert not marks_of("regions", look(ModelOutput(), patches=patches))


def test_a_peak_of_each_map_is_a_region():
    maps = torch.zeros(2, 1, 4, 4)
    maps[1, 0, 2, 1] = 0.75
    regions = marks_of("peaks", look(ModelOutput(heatmaps=maps)))
    assert [(r.image_id, r.box, r.score) for r in regions["cancer"]] == [
        ("b", Box(2, 4, 4, 6), pytest.approx(0.75))
    ]


def test_what_is_drawn_reaches_the_threshold_and_is_of_the_first_class():
    def region(score):
        return ScoredRegion(image_id="a", box=Box(0, 0, 4, 4), score=score, geometry=GEOMETRY["a"])

    regions = {
        "cancer": [region(THRESHOLD), region(np.nextafter(THRESHOLD, 0))],
        "benign": [region(0.9)],
    }
    assert [f.score for f in findings_of("boxes", regions, "R")] == [THRESHOLD]
    assert len(findings_of("boxes", regions, "R", threshold=0.25)) == 2
    assert findings_of("boxes", {}, "R") == ()
