"""The list of a cohort: every answer against plain Python over the same rows."""

import polars as pl
import pytest

from fourview.errors import ServeError
from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.table import write_predictions
from fourview.manifest.manifest import make_manifest
from fourview.serve.cohort import ManifestCohort
from fourview.serve.predictions import TableSource
from fourview.serve.worklist import PAGE, Query, Worklist
from scored_sets import scored_set

PROTOCOL = find_protocol("screening-breast-v1")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    manifest, table = scored_set(130)
    folder = tmp_path_factory.mktemp("tables")
    write_predictions(table, folder / "one.parquet", {})
    other = table.with_columns(score=(pl.col("score") * 0.5).round(3))
    write_predictions(other, folder / "other.parquet", {})
    sources = [
        TableSource(folder / f"{name}.parquet", "cancer", manifest, PROTOCOL)
        for name in ("one", "other")
    ]
    return manifest, table, Worklist(ManifestCohort(manifest).exams(), manifest, sources, PROTOCOL)


def key(patient, exam):
    return f"{patient}-{exam}"


def by_exam(table):
    rows = table.filter(pl.col("unit") == "breast").iter_rows(named=True)
    by_id = {}
    for row in rows:
        by_id.setdefault(row["exam_id"], {})[row["side"]] = row["score"]
    return by_id


def labels_of(manifest):
    return {(r["exam_id"], r["side"]): r["cancer"] for r in manifest.breasts.iter_rows(named=True)}


def test_errors_come_first(scored):
    manifest, table, worklist = scored
    answer = worklist.answer(Query(), key)
    labels, scores = labels_of(manifest), by_exam(table)
    errors = {e: max(abs(labels[e, s] - v) for s, v in of.items()) for e, of in scores.items()}
    want = sorted(errors, key=lambda e: -errors[e])[:PAGE]
    assert [row["exam_id"] for row in answer["rows"]] == want
    assert answer["rows"][0]["error"] == pytest.approx(errors[want[0]])
    assert answer["total"] == answer["all"] == 130 and answer["sources"] == ["one", "other"]


@pytest.mark.parametrize("threshold", [0.2, 0.5])
@pytest.mark.parametrize("outcome", ["tp", "fp", "fn", "tn"])
def test_filters_by_outcome_of_a_breast(scored, outcome, threshold):
    manifest, table, worklist = scored
    labels, scores = labels_of(manifest), by_exam(table)
    words = {(1, True): "tp", (0, True): "fp", (1, False): "fn", (0, False): "tn"}
    told = {
        (exam, side): words[labels[exam, side], score >= threshold]
        for exam, of in scores.items()
        for side, score in of.items()
    }
    answer = worklist.answer(Query(outcome=[outcome], threshold=threshold, sort="n"), key)
    want = sorted({exam for (exam, _), word in told.items() if word == outcome})
    assert answer["total"] == len(want)
    assert [row["exam_id"] for row in answer["rows"]] == want[:PAGE]
    every = worklist.answer(Query(threshold=threshold), key)["outcomes"]
    assert every[outcome] == list(told.values()).count(outcome)


def test_a_bar_of_the_histogram_filters_what_it_counts(scored):
    _, _, worklist = scored
    histogram = worklist.answer(Query(), key)["histogram"]
    assert sum(map(sum, histogram["counts"].values())) == 260  # every breast is in one bar
    edges, counts = histogram["edges"], histogram["counts"]["1"]
    place = counts.index(max(counts))
    bar = f"{edges[place]} {edges[place + 1]} 1"
    answer = worklist.answer(Query(bar=bar), key)
    inside = [
        row
        for row in answer["rows"]
        for side in "RL"
        if row[f"label_{side}"] == 1 and edges[place] <= row[f"score_0_{side}"] < edges[place + 1]
    ]
    assert len(inside) == counts[place]


def test_columns_of_two_tables_sort_by_their_difference(scored):
    _, _, worklist = scored
    rows = worklist.answer(Query(sort="difference", descending=True), key)["rows"]
    gaps = [max(abs(r[f"score_0_{s}"] - r[f"score_1_{s}"]) for s in "RL") for r in rows]
    assert gaps == sorted(gaps, reverse=True)
    assert [r["difference"] for r in rows] == pytest.approx(gaps)


def test_text_facets_and_pages(scored):
    _, _, worklist = scored
    assert [r["exam_id"] for r in worklist.answer(Query(text="p017"), key)["rows"]] == ["e017"]
    vendor = worklist.answer(Query(where=["vendor:Asterra"]), key)
    assert vendor["total"] == 65 and {r["vendor"] for r in vendor["rows"]} == {"Asterra"}
    second = worklist.answer(Query(sort="n", page=1), key)["rows"]
    assert [row["n"] for row in second] == list(range(101, 131))


def test_next_and_previous_keep_filter_and_order(scored):
    _, _, worklist = scored
    query = Query(where=["vendor:Asterra"], sort="age")
    rows = worklist.answer(query, key)["rows"]
    around = worklist.answer(query.model_copy(update={"around": rows[5]["n"]}), key)["around"]
    assert around["place"] == 6
    assert [around[w]["n"] for w in ("previous", "this", "next")] == [r["n"] for r in rows[4:7]]
    gone = worklist.answer(query.model_copy(update={"around": 2}), key)["around"]
    assert gone["place"] is None and gone["next"]["n"] == rows[0]["n"]  # the list begins again


@pytest.mark.parametrize(
    "query",
    [{"sort": "none"}, {"where": ["patient_id:p001"]}, {"bar": "a b c"}, {"bar": "0 1 2"}],
)
def test_what_there_is_not_is_refused_by_name(scored, query):
    with pytest.raises(ServeError):
        scored[2].answer(Query(**query), key)


def test_unknown_labels_are_no_error(tmp_path):
    images = [
        {"patient_id": "p", "exam_id": e, "image_id": f"{e}{v}", "side": "R", "view": v}
        | {"path": "x.dcm"}
        for e in ("a", "b")
        for v in ("CC", "MLO")
    ]
    manifest = make_manifest(
        source="t", root=tmp_path, images=pl.DataFrame(images), terms="made up"
    )
    worklist = Worklist(ManifestCohort(manifest).exams(), manifest, [], PROTOCOL)
    answer = worklist.answer(Query(threshold=0.5), key)
    assert [row["error"] for row in answer["rows"]] == [None, None]
    assert answer["histogram"] is None and answer["outcomes"] == dict.fromkeys(
        ("tp", "fp", "fn", "tn"), 0
    )
    assert not worklist.has_errors  # so the order is the manifest's
    assert [row["exam_id"] for row in answer["rows"]] == ["a", "b"]
