"""Rows of a predictions table: what is scored has one, and nothing else."""

import math

import numpy as np
import pytest
import torch

from fourview.contract import ExamBatch, ModelOutput
from fourview.entities import Exam
from fourview.feeds.pixels import ExamPixels
from fourview.feeds.samples import Sample
from fourview.geometry import Box, Geometry
from fourview.localise.findings import stored_box
from fourview.localise.peaks import ScoredRegion
from fourview.predict.marks import Look
from fourview.predict.table import mean_of_tables, prediction_rows, region_table, table_of
from fourview.preprocess.spec import pixel_spec


def sample(exam: str, *slots: int, findings: tuple[str, ...] = ()) -> Sample:
    return Sample(
        patient_id=f"p-{exam}",
        exam_id=exam,
        images=tuple(f"{exam}.{n}" for n in range(len(slots))),
        slots=slots,
        ranks=tuple(slots[:n].count(slot) for n, slot in enumerate(slots)),
        targets={},
        findings=findings,
    )


def rows_of(samples, output, classes=("cancer",)):
    return list(prediction_rows(samples, output, classes))


def test_a_breast_without_an_image_has_no_row_whatever_the_network_says_of_it():
    samples = [sample("both", 0, 1), sample("right", 0, 2), sample("left", 3)]
    scores = torch.tensor([[0.1, 0.2], [0.3, 0.4], [math.nan, 0.5]])[:, :, None]
    rows = rows_of(samples, ModelOutput(breast_scores=scores))
    assert [(r["exam_id"], r["side"], round(r["score"], 6)) for r in rows] == [
        ("both", "R", 0.1),
        ("both", "L", 0.2),
        ("right", "R", 0.3),
        ("left", "L", 0.5),
    ]
    assert {r["unit"] for r in rows} == {"breast"}


def test_images_and_classes_keep_their_scores_and_their_sides():
    samples = [sample("a", 0, 1), sample("b", 3)]
    scores = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    rows = rows_of(samples, ModelOutput(image_scores=scores), ("benign", "malignant"))
    got = [(r["image_id"], r["side"], r["class"], round(r["score"], 6)) for r in rows]
    assert got == [
        ("a.0", "R", "benign", 0.1),
        ("a.0", "R", "malignant", 0.2),
        ("a.1", "L", "benign", 0.3),
        ("a.1", "L", "malignant", 0.4),
        ("b.0", "L", "benign", 0.5),
        ("b.0", "L", "malignant", 0.6),
    ]


def test_a_finding_without_a_score_has_no_row():
    samples = [sample("a", 2, findings=("f1", "f2")), sample("b", 1, findings=("f3",))]
    scores = torch.tensor([[0.1], [math.nan], [0.3]])
    rows = rows_of(samples, ModelOutput(finding_scores=scores))
    assert [(r["finding_id"], r["image_id"], r["side"]) for r in rows] == [
        ("f1", "a.0", "R"),
        ("f3", "b.0", "L"),
    ]


def test_a_mean_of_tables_is_joined_by_ids_and_keeps_what_one_alone_scores():
    one = table_of(iter(rows_of([sample("a", 0), sample("b", 1)], breasts(0.2, 0.4))))
    two = table_of(iter(rows_of([sample("b", 1), sample("c", 0)], breasts(0.6, 0.9))))
    mean = {r["exam_id"]: r["score"] for r in mean_of_tables([one, two]).iter_rows(named=True)}
    assert mean == {e: pytest.approx(s, abs=1e-6) for e, s in (("a", 0.2), ("b", 0.5), ("c", 0.9))}


def test_a_mean_of_tables_keeps_the_first_ones_order_of_rows():
    """The same command writes the same file."""
    exams = [f"exam-{n * 37 % 101}" for n in range(101)]
    table = table_of(iter(rows_of([sample(e, 0) for e in exams], breasts(*np.ones(101)))))
    assert mean_of_tables([table, table.reverse()])["exam_id"].to_list() == exams


def breasts(*scores: float) -> ModelOutput:
    """The same score for both breasts of an exam."""
    both = np.repeat(np.array(scores, dtype=np.float32)[:, None], 2, axis=1)
    return ModelOutput(breast_scores=torch.from_numpy(both)[:, :, None])


def test_regions_are_rows_image_by_image_in_the_files_own_frame():
    geometry = Geometry((100, 100)).mirrored().cropped(0, 0, 200, 100)  # right half is padding
    draw = np.random.default_rng(0)

    def region(image_id):
        x0, y0 = draw.uniform(0, 180, size=2)
        box = Box(x0, y0, x0 + 15, y0 + 15)
        return ScoredRegion(image_id=image_id, box=box, score=draw.random(), geometry=geometry)

    ids = ("b.0", "a.1", "a.0", "b.0", "a.1", "b.0")
    regions = {name: [region(i) for i in ids] for name in ("cancer", "benign")}
    samples = [sample("a", 0, 1), sample("b", 3)]
    look = Look(
        samples=samples,
        batch=ExamBatch.of_slots(torch.zeros(1, 4, 4, 4)),
        output=ModelOutput(),
        pixels=ExamPixels(Exam(patient_id="p", exam_id="e", images=()), pixel_spec("mvccl-192x96")),
        classes=tuple(regions),
    )
    want = []
    for image_id, exam, side in (("a.0", "a", "R"), ("a.1", "a", "L"), ("b.0", "b", "L")):
        for name, own in regions.items():
            for one in own:
                box = stored_box(one)
                if one.image_id == image_id and box is not None:
                    where = (box.x0, box.y0, box.x1, box.y1)
                    want.append(("region", f"p-{exam}", side, image_id, name, one.score, *where))
    table = region_table(look, regions)
    keys = ("unit", "patient_id", "side", "image_id", "class", "score", "x0", "y0", "x1", "y1")
    assert table.select(keys).rows() == want and 0 < len(want) < 12
    assert len(region_table(look, {})) == 0
