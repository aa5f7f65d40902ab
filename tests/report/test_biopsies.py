import base64
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from exam_examples import IDS, exam_prediction, image
from fourview.entities import BreastPrediction, Finding, Patch, Region
from fourview.evaluate.auc import tnr_at_fnr
from fourview.evaluate.operating import choose_threshold
from fourview.geometry import Box
from fourview.predict.studies import Named
from fourview.report.biopsies import avoided_biopsies, miss_rates, thumbnails, verdict
from fourview.report.display import show
from fourview.report.exam_html import ReportOptions, exam_html, write_exam_report
from fourview.report.overlay import short_names

BOX = Box(10.0, 40.0, 30.0, 60.0)
THRESHOLDS = {0.0: 0.1, 0.02: 0.3}


def finding(name, score, *, source="named.csv", patches=()):
    region = Region(image_id=IDS["R-CC"], box=BOX)
    return Finding(
        finding_id=name, side="R", regions=(region,), score=score, source=source, patches=patches
    )


NAMED = (finding("low", 0.05), finding("middle", 0.2), finding("on it", 0.3), finding("?", None))


def test_a_biopsy_is_avoided_where_the_score_is_below_the_threshold_and_not_on_it():
    rows = avoided_biopsies((*NAMED, finding("guess", 0.01, source="proposed")), THRESHOLDS)
    assert [(r["miss_rate"], r["avoided"], r["of"]) for r in rows] == [
        (0.0, ["low"], 3),
        (0.02, ["low", "middle"], 3),
    ]
    assert avoided_biopsies((finding("guess", 0.01, source="proposed"),), THRESHOLDS) == []


def test_what_had_no_biopsy_is_scored_but_counts_for_none():
    spared = {"low"}
    rows = avoided_biopsies(NAMED, THRESHOLDS, spared)
    assert [(r["avoided"], r["of"]) for r in rows] == [([], 2), (["middle"], 2)]
    assert verdict(NAMED[0], THRESHOLDS, 0.02, spared) is None


def test_a_file_that_knows_some_findings_had_no_biopsy_of_the_others():
    def named(*natures):
        rows = [{"finding_id": str(i), "malignant": n} for i, n in enumerate(natures)]
        return Named(rows=rows, source="file")

    assert named(1, None, 0, None).not_biopsied == {"1", "3"}
    assert named(None, None).not_biopsied == frozenset()
    assert Named(rows=[{"finding_id": "a"}], source="file").not_biopsied == frozenset()


def test_the_share_avoided_on_the_table_that_chose_the_threshold_is_tnr_at_fnr():
    draw = np.random.default_rng(0)
    positive = draw.random(400) < 0.3
    scores = np.round(draw.beta(2, 3, 400) + 0.2 * positive, 2).clip(0, 1)  # with ties
    for missed in (0.0, 0.01, 0.02, 0.03, 0.05):
        rule = f"sensitivity-{1 - missed:.2f}"
        points = miss_rates({rule: choose_threshold(scores, positive, rule)})
        benign = [finding(str(i), float(s)) for i, s in enumerate(scores[~positive])]
        (row,) = avoided_biopsies(benign, points)
        assert row["miss_rate"] == pytest.approx(missed)
        share = len(row["avoided"]) / row["of"]
        assert share == pytest.approx(tnr_at_fnr(scores, positive, missed))


def test_points_of_other_rules_are_no_miss_rates():
    assert (
        miss_rates({"youden": 0.4, "sensitivity-0.98": 0.3, "sensitivity-1.00": 0.1}) == THRESHOLDS
    )


def test_the_verdict_goes_by_the_chosen_miss_rate_and_spares_what_nobody_named():
    words = [verdict(f, THRESHOLDS, 0.02) for f in NAMED]
    assert words == [
        "biopsy avoided at 2 % missed",
        "biopsy avoided at 2 % missed",
        "biopsy kept at 2 % missed",
        None,
    ]
    assert verdict(NAMED[0], THRESHOLDS, None) is None
    assert verdict(finding("guess", 0.1, source="proposed"), THRESHOLDS, 0.02) is None


def test_pictures_of_patches_show_what_the_image_shows_there():
    shown = show(image("L-CC"))
    box = Box(5.0, 20.0, 25.0, 40.0)  # around the bright spot
    patches = tuple(Patch(image_id=IDS["L-CC"], box=box, score=score) for score in (0.2, 0.9, 0.5))
    pictures = thumbnails(finding("f", 0.5, patches=patches), {IDS["L-CC"]: ("L-CC", shown)})
    assert [(t["key"], t["score"]) for t in pictures] == [("L-CC", 0.9), ("L-CC", 0.2)]
    data = base64.b64decode(pictures[0]["picture"].partition(",")[2])
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    at = shown.geometry.box_to_processed(box)
    part = shown.pixels[round(at.y0) : round(at.y1), round(at.x0) : round(at.x1)]
    assert picture.shape == (64, 64)
    spot = np.unravel_index(picture.argmax(), picture.shape)
    want = np.unravel_index(part.argmax(), part.shape)
    scale = 64 / part.shape[0]
    assert abs(np.array(spot) - (np.array(want) + 1) * scale).max() < 2 * scale  # a spot of 3 x 3
    assert abs(float(picture.mean()) - float(part.mean())) < 4  # JPEG and interpolation


def test_the_report_lists_scores_patches_and_avoided_biopsies(tmp_path):
    patches = (Patch(image_id=IDS["R-CC"], box=BOX, score=0.2),)
    named = (finding("f-1", 0.2, patches=patches), finding("f-2", 0.6))
    base = exam_prediction()
    right = BreastPrediction(side="R", score=0.8, findings=named)
    prediction = replace(base, breasts=(right, *base.breasts[1:]))
    options = ReportOptions(miss_rates=THRESHOLDS, miss_rate=0.02)
    paths = write_exam_report(prediction, [image("R-CC")], tmp_path, options=options)
    page, told = paths.html.read_text(), json.loads(paths.json.read_text())
    assert told["report"]["biopsies"] == avoided_biopsies(named, THRESHOLDS)
    assert "biopsy avoided at 2 % missed" in page and "biopsy kept at 2 % missed" in page
    assert "1 of 2" in page and "Patch of f-1 on R-CC" in page
    plain = exam_html(base, [image("R-CC")])
    assert "Biopsies that would be avoided" not in plain


def test_names_lose_what_all_findings_of_an_exam_begin_with():
    def short(*ids):
        return list(short_names([finding(name, 0.5) for name in ids]).values())

    assert short("p-1/R/mass_0", "p-1/L/mass_1") == ["R/mass_0", "L/mass_1"]
    assert short("p-1/R/mass_0") == ["mass_0"]
    assert short("p-1/mass", "p-10/mass") == ["p-1/mass", "p-10/mass"]
    assert short("R-1", "p/2") == ["R-1", "p/2"]
    assert short() == []


def test_labels_and_patches_say_the_short_name_and_their_view():
    patches = (Patch(image_id=IDS["R-CC"], box=BOX, score=0.25),)
    right = BreastPrediction(
        side="R", score=0.8, findings=(finding("exam/R/a", 0.2, patches=patches),)
    )
    base = exam_prediction()
    page = exam_html(replace(base, breasts=(right, *base.breasts[1:])), [image("R-CC")])
    assert ">a  0.20</text>" in page and 'data-finding="exam/R/a"' in page
    assert "R-CC<br>0.250" in page and "from named.csv" in page
