"""ExamBatch: whose image is whose, whatever is missing."""

import math

import pytest
import torch

from factory import exam_batch


def test_the_partner_is_the_preferred_image_of_the_other_view_of_the_same_breast():
    batch = exam_batch("0123", "022", "13", "1")
    # exam 0: R-CC 0, L-CC 1, R-MLO 2, L-MLO 3; exam 1: R-CC 4, R-MLO 5 and 6; exam 2: L 7, 8
    assert batch.partner().tolist() == [2, 3, 0, 1, 5, 4, 4, 8, 7, -1]


def test_breasts_are_numbered_right_before_left():
    assert exam_batch("0123", "31").breast().tolist() == [0, 1, 0, 1, 3, 3]


def test_a_breast_is_the_mean_of_its_views_and_a_view_of_its_images():
    batch = exam_batch("0022", "1", "")
    values = torch.tensor([[0.1], [0.3], [0.6], [0.8], [0.5]])
    got = batch.per_breast(values)[:, :, 0]
    assert got[0, 0] == pytest.approx((0.2 + 0.7) / 2)
    assert got[1, 1] == pytest.approx(0.5)
    for exam, side in ((0, 1), (1, 0), (2, 0), (2, 1)):
        assert math.isnan(got[exam, side])


def test_slots_hold_means_and_say_which_are_filled():
    batch = exam_batch("0012")
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    slots, present = batch.to_slots(features)
    assert present.tolist() == [[True, True, True, False]]
    assert slots[0].tolist() == [[2.0, 3.0], [5.0, 6.0], [7.0, 8.0], [0.0, 0.0]]


def test_an_image_has_its_breasts_target():
    batch = exam_batch("0123", "13")
    assert batch.target_of_images("cancer").tolist() == [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
