"""Faster R-CNN: what its boxes mean, and that boxes go where their pixels go."""

import math
from dataclasses import replace

import torch

from factory import box_batch
from fourview.models.frcnn.model import BENIGN, MALIGNANT, TINY, Frcnn, FrcnnConfig
from fourview.models.frcnn.objective import (
    FrcnnObjective,
    FrcnnObjectiveConfig,
    _flipped,
    _targets,
)


def built() -> Frcnn:
    torch.manual_seed(0)
    return Frcnn(TINY).eval()


def test_an_image_scores_as_its_most_malignant_box():
    with torch.no_grad():
        output = built()(box_batch("0123", "02"))
    boxes = output.boxes
    assert len(boxes.corners)
    for image, score in enumerate(output.image_scores[:, 0].tolist()):
        mine = [
            float(s)
            for i, label, s in zip(boxes.image, boxes.label, boxes.score, strict=True)
            if i == image and label == 0  # malignant: the class that the task asks for
        ]
        assert score == max(mine, default=0.0)


def test_an_image_without_boxes_scores_0():
    torch.manual_seed(0)
    model = Frcnn(replace(TINY, lowest_score=0.999)).eval()
    with torch.no_grad():
        output = model(box_batch("0", "1"))
    assert len(output.boxes.corners) == 0
    assert output.image_scores.tolist() == [[0.0], [0.0]]


def test_nothing_is_resized():
    model = built()
    batch = box_batch("0")
    images, _ = model.network.transform([image.expand(3, -1, -1) for image in batch.pixels])
    mean, std = (
        torch.tensor(values)[:, None, None]
        for values in (model.network.transform.image_mean, model.network.transform.image_std)
    )
    torch.testing.assert_close(images.tensors[0], (batch.pixels[0] - mean) / std)


def test_the_paper_has_nine_anchors_three_classes_and_stride_16():
    with torch.device("meta"):
        network = Frcnn(FrcnnConfig()).network
    assert network.rpn.anchor_generator.num_anchors_per_location() == [9]
    predictor = network.roi_heads.box_predictor
    assert predictor.cls_score.out_features == 3 and predictor.bbox_pred.out_features == 12
    assert network.roi_heads.box_head.fc6.in_features == 512 * 7 * 7
    with torch.device("meta"):
        cells = network.backbone.features(torch.zeros(1, 3, 64, 128)).shape
    assert tuple(cells) == (1, 512, 4, 8)


def test_boxes_move_with_their_pixels():
    batch = box_batch("0")
    pixels = torch.zeros_like(batch.pixels)
    x0, y0, x1, y1 = (int(v) for v in batch.patches.box[0])
    pixels[0, 0, y0:y1, x0:x1] = 1
    flipped = _flipped(replace(batch, pixels=pixels))
    x0, y0, x1, y1 = (int(v) for v in flipped.patches.box[0])
    assert flipped.pixels[0, 0, y0:y1, x0:x1].min() == 1
    assert flipped.pixels.sum() == (y1 - y0) * (x1 - x0)


def test_findings_of_unknown_nature_are_not_learnt():
    batch = box_batch("0", "1")
    batch.patches.targets["malignant"][1] = math.nan
    first, second = _targets(batch)
    assert first["labels"].tolist() == [MALIGNANT]
    assert second["labels"].tolist() == [MALIGNANT, BENIGN]


def test_validation_gives_a_loss_and_scores_and_leaves_the_mode():
    objective = FrcnnObjective(built(), FrcnnObjectiveConfig()).eval()
    with torch.no_grad():
        terms = objective(box_batch("0123"))
    assert terms.total.isfinite() and terms.output is not None
    assert not objective.model.network.training
