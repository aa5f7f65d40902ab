"""The worst errors of a table and the spread of its scores, against loops over its rows."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import polars as pl

from fourview.evaluate.run import evaluate
from fourview.evaluate.worst import KINDS, NUM_BINS
from fourview.manifest.manifest import make_manifest
from fourview.report.result_html import result_to_html
from scored_sets import scored_set

PROTOCOL = "screening-breast-v1"


def result_and_rows():
    manifest, table = scored_set()
    labels = {(r["exam_id"], r["side"]): r["cancer"] for r in manifest.breasts.to_dicts()}
    rows = [
        (r["score"], labels[r["exam_id"], r["side"]], r["exam_id"], r["side"])
        for r in table.filter(pl.col("unit") == "breast").to_dicts()
    ]
    return evaluate(table, manifest, PROTOCOL, replicates=0), rows


def test_the_worst_are_the_highest_negatives_and_the_lowest_positives():
    result, rows = result_and_rows()
    high = sorted((r for r in rows if r[1] == 0), reverse=True)[:10]
    low = sorted(r for r in rows if r[1] == 1)[:10]
    got = [(r["score"], int(r["label"]), r["exam_id"], r["side"]) for r in result.worst.to_dicts()]
    assert got == [*high, *low]
    assert result.worst["kind"].unique(maintain_order=True).to_list() == list(KINDS[:2])


def test_histograms_count_every_unit_once():
    result, rows = result_and_rows()
    by_name = {c.name: c for c in result.curves}
    for name, label in (("scores_negative", 0), ("scores_positive", 1)):
        want = np.zeros(NUM_BINS)
        for score, own, *_ in rows:
            if own == label:
                want[min(int(score * NUM_BINS), NUM_BINS - 1)] += 1
        assert by_name[name].y.tolist() == want.tolist()


def test_of_several_classes_the_worst_are_those_whose_right_class_has_least():
    rng = np.random.default_rng(3)
    keys = [{"patient_id": f"p{k}", "exam_id": f"e{k}", "side": "L"} for k in range(40)]
    truth = rng.integers(0, 4, 40)
    scores = rng.dirichlet(np.ones(4), 40)
    breasts = pl.DataFrame([k | {"density": "ABCD"[t]} for k, t in zip(keys, truth, strict=True)])
    images = [k | {"image_id": f"i{n}", "view": "CC", "path": ""} for n, k in enumerate(keys)]
    manifest = make_manifest(
        source="made", root=".", images=pl.DataFrame(images), breasts=breasts, terms=""
    )
    rows = [
        k | {"unit": "image", "image_id": f"i{m}", "class": c, "score": s[n]}
        for m, (k, s) in enumerate(zip(keys, scores, strict=True))
        for n, c in enumerate("ABCD")
    ]
    result = evaluate(pl.DataFrame(rows), manifest, "vindr-density-v1", replicates=0)
    wrong = [n for n in range(40) if scores[n].argmax() != truth[n]]
    wrong.sort(key=lambda n: scores[n][truth[n]])
    got = result.worst.to_dicts()
    assert [r["exam_id"] for r in got] == [f"e{n}" for n in wrong[:10]]
    assert [r["label"] for r in got] == ["ABCD"[truth[n]] for n in wrong[:10]]
    assert [r["said"] for r in got] == ["ABCD"[scores[n].argmax()] for n in wrong[:10]]
    assert not [c for c in result.curves if c.name.startswith("scores")]


class Text(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.words = []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_names_the_model_its_caution_and_the_worst():
    result, _ = result_and_rows()
    about = {"recipe": "mvccl:small", "caution": "Trained on phantoms only."}
    page = result_to_html(replace(result, provenance={**result.provenance, **about}))
    text = Text(page).text
    assert "Trained on phantoms only. Model mvccl:small." in text
    assert "Highest without the label" in text
    assert f"{result.worst['score'][0]:.3f}" in text
    assert "prefers-color-scheme: dark" in page
