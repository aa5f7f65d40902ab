"""Reading an exam: every image accounted for, findings back in the file's own pixels."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from factory import drawn_mammogram
from fourview.checkpoint.card import save_checkpoint
from fourview.contract import NO_CLASS, DetectedBoxes, ModelOutput, task
from fourview.entities import Exam, Image, LeftOut, View
from fourview.entities.reasons import Reason
from fourview.feeds.pixels import ExamPixels
from fourview.geometry import Box
from fourview.models.find import find_family
from fourview.predict.network import REGION_RULE, load_network
from fourview.predict.reader import Reader, load_model
from fourview.preprocess.spec import pixel_spec

SIZE = (384, 240)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    family = find_family("mvccl")
    torch.manual_seed(0)
    save_checkpoint(
        folder,
        family.build(family.tiny_config),
        recipe="mvccl:tiny",
        family="mvccl",
        config=family.tiny_config,
        spec=pixel_spec("mvccl-192x96"),
    )
    return load_model(folder)


def image(name: str, *, pixels: np.ndarray | None = None, rank: int = 0) -> Image:
    side, view = name.split("-")
    if pixels is None:
        pixels = drawn_mammogram(side, view, cancer=True, size=SIZE)
    return Image(
        image_id=f"{name}.{rank}",
        patient_id="p",
        exam_id="e",
        view=View(side=side, position=view),
        pixels=pixels,
        stored_size=pixels.shape,
        bits=16,
        value_range=(0.0, 65535.0),
        spacing_mm=None,
        bright_is_dense=True,
    )


def exam(*names: str) -> Exam:
    images = [image(name, rank=names[:i].count(name)) for i, name in enumerate(names)]
    return Exam(patient_id="p", exam_id="e", images=tuple(images))


def test_an_exam_gets_scores_heatmaps_and_where_they_come_from(reader):
    said = reader.predict(exam("R-CC", "L-CC", "R-MLO", "L-MLO"))
    assert [b.side for b in said.breasts] == ["R", "L"]
    assert all(b.score is not None and 0 <= b.score <= 1 for b in said.breasts)
    assert [i.image_id for i in said.images] == ["R-CC.0", "L-CC.0", "R-MLO.0", "L-MLO.0"]
    for read in said.images:
        (heatmap,) = read.heatmaps
        assert heatmap.values.shape == (96, 48)
        assert heatmap.geometry.stored_size == SIZE
    assert said.model == "mvccl:tiny" and said.model_digest == reader.card.digest
    assert said.pixel_spec.startswith("mvccl-192x96 ")


def test_a_breast_is_the_mean_of_its_views(reader):
    said = reader.predict(exam("R-CC", "R-MLO", "R-MLO"))
    cc, mlo, second = (i.score for i in said.images)
    assert said.breasts[0].score == pytest.approx((cc + (mlo + second) / 2) / 2, abs=1e-6)


def test_a_lone_view_is_scored_and_says_so(reader):
    said = reader.predict(exam("L-CC"))
    assert said.breast("L").score is not None
    assert said.breast("L").notes == ("read from CC alone",)
    assert said.breast("R") is None


def test_an_image_without_a_breast_costs_that_image_only(reader):
    blank = image("L-CC", pixels=np.zeros(SIZE, np.uint16))
    whole = exam("R-CC", "R-MLO")
    said = reader.predict(replace(whole, images=(*whole.images, blank)))
    (out,) = said.left_out
    assert (out.image_id, out.reason) == ("L-CC.0", Reason.NO_BREAST)
    assert "need a breast" in out.detail
    assert said.breast("R").score is not None
    assert said.breast("L").score is None


def test_what_was_left_out_before_reading_keeps_its_reason_and_comes_first(reader):
    spot = LeftOut(path="spot.dcm", reason=Reason.SPOT, detail="a spot view", image_id="R-CC.7")
    blank = image("R-MLO", pixels=np.zeros(SIZE, np.uint16))
    whole = exam("R-CC")
    said = reader.predict(replace(whole, images=(*whole.images, blank), left_out=(spot,)))
    assert said.left_out[0] == spot
    assert [out.reason for out in said.left_out] == [Reason.SPOT, Reason.NO_BREAST]


def test_a_view_that_no_slot_has_is_shown_and_not_scored(reader):
    said = reader.predict(exam("R-CC", "R-ML"))
    (other,) = [i for i in said.images if i.view.position == "ML"]
    assert other.score is None and "none of the four" in other.notes[0]


def test_several_models_are_averaged(reader):
    one = reader.predict(exam("R-CC"))
    both = Reader(reader.networks * 2).predict(exam("R-CC"))
    assert both.breasts[0].score == pytest.approx(one.breasts[0].score)
    assert "mean of 2 models" in both.notes[-1]


def test_findings_lie_in_the_stored_image(reader):
    reader.networks[0].points.regions[REGION_RULE] = 1e-4
    said = reader.predict(exam("R-CC", "R-MLO"))
    regions = [r for f in said.breasts[0].findings for r in f.regions]
    assert regions
    for region in regions:
        assert 0 <= region.box.x0 < region.box.x1 <= SIZE[1]
        assert 0 <= region.box.y0 < region.box.y1 <= SIZE[0]


def test_the_threshold_of_a_breasts_score_is_not_that_of_a_drawn_region(reader):
    reader.networks[0].points.scores["specificity-0.90"] = 1e-4
    reader.networks[0].points.regions[REGION_RULE] = 1.0
    said = reader.predict(exam("R-CC", "R-MLO"))
    assert said.breasts[0].score < 1 and said.breasts[0].findings == ()


class ThreeBoxes(torch.nn.Module):
    """A detector that draws what a test tells it to."""

    def __init__(self, corners, labels, scores):
        super().__init__()
        self.corners, self.labels, self.scores = corners, labels, scores

    def forward(self, batch):
        highest = torch.full((batch.num_images, 1), max(self.scores))
        return ModelOutput(
            boxes=DetectedBoxes(
                image=torch.zeros(len(self.scores), dtype=torch.long),
                corners=torch.tensor(self.corners),
                label=torch.tensor(self.labels),
                score=torch.tensor(self.scores),
            ),
            image_scores=highest,
            breast_scores=batch.per_breast(highest),
        )


def detector(folder, corners, labels, scores):
    family = find_family("frcnn")
    save_checkpoint(
        folder,
        family.build(family.tiny_config),
        recipe="frcnn:told",
        family="frcnn",
        config=family.tiny_config,
        spec=pixel_spec("mvccl-192x96"),
    )
    network = load_network(folder)
    network.model = ThreeBoxes(corners, labels, scores)
    return Reader([network])


def test_a_detectors_boxes_reach_the_report_as_they_are(tmp_path):
    corners = [(20.0, 60.0, 25.0, 65.0), (22.0, 60.0, 27.0, 66.0), (21.0, 61.0, 24.0, 64.0)]
    others = [(50.0, 100.0, 60.0, 110.0), (50.0, 20.0, 60.0, 30.0)]  # benign; too low
    scores = [0.9, 0.8, 0.7, 0.95, 0.2]
    told = detector(tmp_path, corners + others, [0, 0, 0, NO_CLASS, 0], scores)
    read = exam("L-CC")
    said = told.predict(read)
    drawn = said.breast("L").findings
    geometry = ExamPixels(read, told.spec).processed[0].geometry
    assert [f.score for f in drawn] == pytest.approx([0.9, 0.8, 0.7])
    for finding, box in zip(drawn, corners, strict=True):
        want = geometry.box_to_stored(Box(*box))
        got = finding.regions[0].box
        for name in ("x0", "y0", "x1", "y1"):  # float32 corners through one affine map
            assert getattr(got, name) == pytest.approx(getattr(want, name), abs=1e-3)
    scale = drawn[0].regions[0].box.area / 25
    assert [f.regions[0].box.area / scale for f in drawn] == pytest.approx([25, 30, 9], rel=1e-4)
    assert all(image.heatmaps == () for image in said.images)


def test_the_task_is_the_one_it_was_trained_for(reader):
    assert reader.task == task("cancer")


def test_several_networks_have_one_bar():
    told = []
    reader = SimpleNamespace(networks=("a", "b"))
    for number in (0, 1):
        for done in (1, 4):
            Reader._progress(reader, lambda *args: told.append(args), number, done, 4)
    assert told == [(1, 8), (4, 8), (5, 8), (8, 8)]
