"""The page of a study: what stands first, and that every cell is there."""

from dataclasses import replace

import pytest

from fourview.entities import Metric
from fourview.evaluate.several_runs import WayResult
from fourview.report.study_page import (
    ClaimLine,
    MeasureTable,
    StudyPage,
    forest_png,
    study_html,
    study_markdown,
)


def metric(value, low, high) -> Metric:
    return Metric(name="auroc", value=value, low=low, high=high)


CLAIM = ClaimLine(
    text="Two views help",
    about="AUC: full less single",
    value=metric(0.05, 0.01, 0.09),
    need="above 0",
    verdict="holds",
    control=None,
    as_it_must=None,
)
CONTROL = replace(
    CLAIM, text="A model of noise", verdict="falls", control="positive", as_it_must=False
)
TABLE = MeasureTable(
    name="AUC",
    how="AUC-ROC by screening-breast-v1; the test part; 2 runs of each row.",
    reference="single",
    results=(
        WayResult(way="single", metric=metric(0.8, 0.7, 0.9), per_run=(0.79, 0.81), gap=None),
        WayResult(
            way="full | <b>",
            metric=metric(0.85, 0.75, 0.95),
            per_run=(0.84, 0.86),
            gap=metric(0.05, 0.01, 0.09),
        ),
    ),
    seeds={"single": 2, "full | <b>": 2},
)
PAGE = StudyPage(
    title="Two views?",
    question="Do two views help?",
    takeaway="They do.",
    claims=(CLAIM,),
    tables=(TABLE,),
    data=(("train", "16 phantom exams"),),
    rows=(("single", "mvccl:mini_single", "", "2 of 2"),),
    commands=("fourview study two.toml -o OUT",),
    facts=(("time", "1 min"),),
    remarks=("1 of 4 runs are not done: full-1.",),
)


def test_what_a_reader_takes_away_stands_first():
    lines = study_markdown(PAGE).splitlines()
    assert lines[:5] == ["# Two views?", "", "They do.", "", "- Holds: Two views help."]


def test_a_control_that_came_out_wrong_is_the_first_thing_said():
    page = replace(PAGE, claims=(CLAIM, CONTROL))
    assert page.summary[0].startswith("The study can show nothing yet")
    assert "**which it must not**" in study_markdown(page)


def test_controls_that_came_out_right_are_counted():
    good = replace(CONTROL, verdict="holds", as_it_must=True)
    assert replace(PAGE, claims=(CLAIM, good)).summary[-1] == "The control came out as it must."


def test_every_number_is_in_the_tables_and_names_are_escaped():
    text = study_markdown(PAGE)
    for shown in ("0.850 (0.750 to 0.950)", "0.840, 0.860", "+0.050 (+0.010 to +0.090)", "above 0"):
        assert shown in text
    assert "full \\| &lt;b&gt;" in text
    html = study_html(PAGE, forest_png(PAGE.tables))
    assert "full | &lt;b&gt;" in html and "<b>" not in html
    assert "0.850 (0.750 to 0.950)" in html


def test_an_unknown_number_is_no_zero():
    text = study_markdown(replace(PAGE, claims=(replace(CLAIM, value=None),)))
    assert "no runs yet" in text


@pytest.mark.parametrize("tables", [(TABLE,), (TABLE, replace(TABLE, name="other")), ()])
def test_the_plot_is_a_picture(tables):
    assert forest_png(tables).startswith(b"\x89PNG")
