"""What a validation says of the batches that it saw."""

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score

from factory import exam_batch
from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.feeds.batches import Batches
from fourview.feeds.samples import Sample
from fourview.train.processes import Processes
from fourview.train.validate import Validation, mean_auc, validate


class Told(Objective):
    """Says the parts that it was told, whatever the batch."""

    def __init__(self, terms: list[dict[str, float]]) -> None:
        super().__init__(torch.nn.Identity())
        self.terms = iter(terms)

    def forward(self, batch: ExamBatch) -> LossTerms:  # noqa: ARG002
        parts = {k: torch.tensor(v) for k, v in next(self.terms).items()}
        return LossTerms(total=sum(parts.values(), start=torch.zeros(())), parts=parts)


class Fixed(Batches):
    """Batches of one process, in their order."""

    def __init__(self, given: list) -> None:
        self.given, self.numbers = given, range(len(given))

    def __iter__(self):
        return iter(self.given)


def test_parts_are_means_over_the_samples_of_the_batches_that_have_them():

    batch = exam_batch("0123")
    sample = Sample(exam_id="e", patient_id="p", images=(), slots=(), ranks=(), targets={})
    told = [{"cross_entropy": 1.0, "similarity": 4.0}, {"cross_entropy": 2.5}]
    validation = validate(
        Told(told),
        Fixed([([sample] * 2, batch), ([sample], batch)]),
        None,
        processes=Processes(torch.device("cpu")),
    )
    assert validation.parts == {"cross_entropy": pytest.approx(1.5), "similarity": 4.0}
    assert validation.loss == pytest.approx((2 * 5.0 + 2.5) / 3)


def test_what_is_selected_by():
    validation = Validation(loss=3.0, auc=0.8, parts={"cross_entropy": 1.0})
    assert [validation.value_of(s) for s in ("loss", "auc", "cross_entropy")] == [3.0, -0.8, 1.0]
    assert [validation.loss_of(s) for s in ("loss", "auc", "cross_entropy")] == [3.0, 3.0, 1.0]
    assert math.isnan(validation.value_of("similarity"))


def test_auc_is_scikit_learns_over_what_is_known():
    make = torch.Generator().manual_seed(0)
    scores = torch.rand(40, 1, generator=make)
    targets = (torch.rand(40, generator=make) < 0.4).float()
    targets[:5], scores[5] = torch.nan, torch.nan
    want = roc_auc_score(targets[6:], scores[6:, 0])
    assert mean_auc(scores, targets) == pytest.approx(want)
    assert math.isnan(mean_auc(scores, torch.ones(40)))


def test_auc_of_several_classes_is_the_mean_of_those_that_occur():
    make = torch.Generator().manual_seed(1)
    scores = torch.rand(40, 4, generator=make).softmax(dim=1)
    targets = torch.randint(0, 3, (40,), generator=make).float()  # the last never occurs
    want = sum(roc_auc_score(targets == k, scores[:, k]) for k in range(3)) / 3
    assert mean_auc(scores, targets) == pytest.approx(want)
