"""The overview of many exams."""

import re
from dataclasses import replace

from exam_examples import exam_prediction
from fourview.entities import Asked, BreastPrediction
from fourview.report.index_html import exam_folder, index_row, write_index


def test_exams_come_with_the_highest_score_first_and_those_without_last(tmp_path):
    first = index_row(exam_prediction(), tmp_path / exam_folder(1) / "report.html")
    assert (first.right, first.left, first.num_findings, first.num_left_out) == (
        *(0.8734567890123456, None),
        *(1, 1),
    )
    rows = [
        replace(first, patient_id="none", right=None, report=None),
        replace(first, patient_id="low", right=0.0),
        first,
        replace(first, patient_id="high", right=0.1, left=0.95),
    ]
    text = write_index(rows, tmp_path).read_text(encoding="utf-8")
    cells = re.findall(r'<td data-value="([^"]*)">', text)
    assert cells == ["high", "P-1", "low", "none"]
    assert text.count("not scored") == 4
    assert "4 exams, 3 scored" in text
    assert text.count('href="exam-00001/report.html"') == 3


def test_hostile_strings_stay_text_and_links_are_quoted(tmp_path):
    evil = '"><script>alert(1)</script>'
    row = replace(index_row(exam_prediction(), None), patient_id=evil, exam_id=evil, model=evil)
    row = replace(row, report=tmp_path / 'a"b c' / "report.html")
    text = write_index([row], tmp_path, title=evil).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count("<script>") == 1
    assert 'href="a%22b%20c/report.html"' in text


def test_no_exam_gives_a_page_that_says_so(tmp_path):
    assert "No exam was read." in write_index([], tmp_path).read_text(encoding="utf-8")


def test_a_density_stands_where_no_suspicion_does_and_the_banner_above(tmp_path):
    density = Asked(name="density", classes=("A", "B"))
    breasts = (BreastPrediction(side="R", score=None, scores={"A": 0.2, "B": 0.8}),)
    told = replace(
        exam_prediction(), asked=(density,), breasts=breasts, caution="Trained on phantoms only."
    )
    text = write_index([index_row(told, None)], tmp_path).read_text(encoding="utf-8")
    assert "density B" in text
    assert text.count("not scored") == 1  # the other breast
    assert "Trained on phantoms only." in text
