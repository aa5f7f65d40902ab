"""The cross entropy of a tuple of labels."""

import math

import pytest
import torch

from fourview.losses.label_tuple import tuple_cross_entropy

NAN = math.nan


def test_is_the_sum_over_labels_and_the_mean_over_images():
    p = [[0.9, 0.2], [0.3, 0.6], [0.5, 0.5]]
    y = [[1.0, 0.0], [0.0, NAN], [NAN, NAN]]  # the last image says nothing and does not count
    by_hand = -(math.log(0.9) + math.log(0.8) + math.log(0.7)) / 2
    probabilities = torch.tensor(p, dtype=torch.float64)
    got = tuple_cross_entropy(probabilities.log(), (1 - probabilities).log(), torch.tensor(y))
    assert got.item() == pytest.approx(by_hand, abs=1e-12)  # float64


def test_a_normal_image_is_trained():
    """The printed Eq. 4 taken literally would reward p = 1 on an image without findings."""
    logit = torch.zeros(1, 1, requires_grad=True)
    log_yes, log_no = torch.nn.functional.logsigmoid(logit), torch.nn.functional.logsigmoid(-logit)
    tuple_cross_entropy(log_yes, log_no, torch.zeros(1, 1)).backward()
    assert logit.grad is not None and logit.grad.item() == 0.5  # down, by p


def test_nothing_known_is_zero_with_a_gradient_of_zeros():
    logs = torch.full((2, 2), -0.5, requires_grad=True)
    loss = tuple_cross_entropy(logs, logs, torch.full((2, 2), NAN))
    loss.backward()
    assert loss.item() == 0 and not logs.grad.any()
