"""A protocol is never edited: another rule is another name."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from fourview.errors import EvaluationError
from fourview.evaluate.labels import RULES, labelled_units
from fourview.evaluate.protocols import PROTOCOLS, find_protocol
from fourview.evaluate.published import published_numbers
from fourview.evaluate.run import evaluate
from fourview.manifest.image_labels import with_natures
from fourview.manifest.manifest import make_manifest

FROZEN = {
    "metarepo-image-v1": "ea8e6ed42f75a21d",
    "metarepo-breast-v1": "5f8b7008d56f6042",
    "admani-image-v1": "3915d10fdfa4928b",
    "clsdet-m-vs-bn-v1": "a07385ca4bc8f036",
    "clsdet-mb-vs-n-v1": "3091e4a62d4efea6",
    "lesion-biopsy-v1": "857bb1b3756dfd3e",
    "clsdet-m-vs-bn-v2": "71b84cff9b32bdcb",
    "clsdet-m-vs-bn-without-3-v1": "02edaab7c96762c7",
    "clsdet-m-vs-bn-breast-v1": "ee65eaa40204cd6a",
    "clsdet-m-vs-bn-without-3-breast-v1": "6a185ff72ca4054a",
    "clsdet-mb-vs-n-v2": "98454174fe67f796",
    "clsdet-mb-vs-n-without-3-v1": "219ad2ce54b93cff",
    "clsdet-mb-vs-n-breast-v1": "0739cd7db81dcf0c",
    "clsdet-mb-vs-n-without-3-breast-v1": "f3a6e44812e9c470",
    "clsdet-normal-v1": "9ecb66623d8642b4",
    "lesion-biopsy-image-v1": "f364eb6114544a2f",
    "embed-birads7-v1": "1392053c80b9aa4c",
    "embed-birads3-v1": "644f5aa17504f918",
    "embed-density-v1": "59d40c93a412fed2",
    "embed-birads7-sample-v1": "f4bc6418957d84f1",
    "embed-density-sample-v1": "f0643ba5056d8da3",
    "vindr-birads-v1": "8fc58d026b8da56f",
    "vindr-density-v1": "e74af9721548377b",
    "rsna-cancer-v1": "9d84e8e9e378ab31",
    "screening-breast-v1": "5329b3262c6e7dcc",
    "embed-birads7-multiview-v1": "d4ac8fb963ec819b",
    "embed-birads3-multiview-v1": "79d7b170a3f996f0",
    "embed-density-multiview-v1": "71842e224c846b8c",
    "vindr-birads-multiview-v1": "41c977c08b39a3cf",
    "vindr-density-multiview-v1": "53a1b26ed2db2717",
    "rsna-cancer-multiview-v1": "1016b4863b61440d",
    "embed-density-screening-v1": "4959ee98c914eed1",
    "embed-birads3-pairs-v1": "9040a183ee640bc6",
    "embed-density-pairs-v1": "6f2c088982581792",
    "embed-density-screening-multiview-v1": "414534c05c8dc32f",
    "embed-birads3-pairs-multiview-v1": "a9b75dfe7e7ed48f",
    "embed-density-pairs-multiview-v1": "6326db7a6108d195",
    "clsdet-m-vs-bn-few-v1": "ab65d85b82e8d298",
    "clsdet-m-vs-bn-all-v1": "f05433264cdd2198",
    "clsdet-mb-vs-n-few-v1": "32e7311ca9295ce7",
    "clsdet-mb-vs-n-all-v1": "9cfc4e7a25dbd028",
}


def test_protocols_are_frozen():
    assert {name: p.fingerprint for name, p in PROTOCOLS.items()} == FROZEN


def test_every_protocol_names_a_label_rule_and_its_source():
    assert all(p.label in RULES and p.source for p in PROTOCOLS.values())


def test_an_unknown_protocol_lists_those_there_are():
    with pytest.raises(EvaluationError, match="no protocol 'rsna'; there are: admani-image-v1"):
        find_protocol("rsna")


def test_published_numbers_are_fractions_of_known_protocols_and_their_metrics():
    for name, protocol in PROTOCOLS.items():
        for number in published_numbers(name):
            assert 0 <= number.value <= 1
            assert number.metric in protocol.metrics
            assert number.source
    density = published_numbers("embed-density-v1")
    numbers = [n.value for n in density if n.method == "MaMA" and n.setting == "zero-shot"]
    assert numbers == [0.7540, 0.9346]  # its own paper's
    screening = published_numbers("embed-density-screening-v1")
    numbers = [n.value for n in screening if n.method == "MaMA" and n.setting == "zero-shot"]
    assert numbers == [0.7518, 0.9181]  # GLAM's


@pytest.mark.parametrize(
    ("rule", "want"),
    [
        ("birads-m-vs-bn", [None, 0, 0, 0, 1, 1, 1, None]),
        ("birads-mb-vs-n", [None, 0, 1, 1, 1, 1, 1, None]),
        ("birads-m-vs-bn-without-3", [None, 0, 0, None, 1, 1, 1, None]),
        ("birads-mb-vs-n-without-3", [None, 0, 1, None, 1, 1, 1, None]),
        ("birads-0-6", [0, 1, 2, 3, 4, 5, 6, None]),
        ("birads-0-2", [0, 1, 2, None, None, None, None, None]),
        ("birads-1-5", [None, 0, 1, 2, 3, 4, None, None]),
    ],
)
def test_birads_rules(rule, want):
    frame = pl.DataFrame({"birads": [0, 1, 2, 3, 4, 5, 6, None]}, schema={"birads": pl.Int8})
    assert frame.select(RULES[rule].label).to_series().to_list() == want


def many_images(counts):
    """A patient, an exam and a breast an image; BI-RADS as often as asked, the same as density."""
    birads = [c for c, count in counts.items() for _ in range(count)]
    keys = [{"patient_id": f"p{i}", "exam_id": f"e{i}"} for i in range(len(birads))]
    split = ["train" if i % 2 else "test" for i in range(len(birads))]
    return make_manifest(
        source="made up",
        root=".",
        terms="made up",
        images=pl.DataFrame(
            [k | {"image_id": f"i{n}", "side": "R", "view": "CC", "path": f"{n}.dcm"}
             for n, k in enumerate(keys)]
        ),
        breasts=pl.DataFrame(
            [k | {"side": "R", "birads": b, "density": "ABCD"[b % 4]}
             for k, b in zip(keys, birads, strict=True)],
            schema_overrides={"birads": pl.Int8},
        ),
        exams=pl.DataFrame([k | {"split": s} for k, s in zip(keys, split, strict=True)]),
    )  # fmt: skip


def test_a_sample_is_a_tenth_of_each_class_of_a_part_and_all_of_the_rarest():
    manifest = many_images({0: 38, 1: 202, 2: 60, 5: 12, 6: 4})
    units, _ = labelled_units(manifest, "image", "birads-0-6", "birads_sample")
    sizes = units.filter(pl.col("split") == "test")["label"].value_counts().rows()
    assert dict(sizes) == {0: 1, 1: 10, 2: 3, 5: 6, 6: 2}  # of 19, 101, 30, 6 and 2
    turned = replace(manifest, images=manifest.images.reverse())
    again, _ = labelled_units(turned, "image", "birads-0-6", "birads_sample")
    assert set(again["image_id"]) == set(units["image_id"])


def test_a_sample_of_the_published_size_is_drawn_from_the_published_counts():
    counts = {0: 7387, 1: 31035, 2: 30438, 3: 4179}  # test images of density A to D, MaMA's code
    manifest = many_images(counts)
    manifest = replace(manifest, exams=manifest.exams.with_columns(split=pl.lit("test")))
    units, _ = labelled_units(manifest, "image", "density", "density_sample")
    assert len(units) == 7301


def test_pairs_are_a_tenth_of_the_breasts_with_both_views_of_screening_exams():
    manifest = many_images({0: 40, 1: 40, 2: 80})
    mlo = manifest.images.with_columns(
        view=pl.lit("MLO"), image_id=pl.col("image_id") + "-mlo", path=pl.col("path") + "2"
    )
    number = pl.col("exam_id").str.slice(1).cast(pl.Int32)  # even ones are the test
    images = pl.concat([manifest.images, mlo.filter(number % 4 == 2)])  # of every other of them
    manifest = replace(manifest, images=images.with_columns(screening=number % 8 != 6))
    units, _ = labelled_units(manifest, "image", "birads-0-2", "birads_pairs")
    tested = units.filter(pl.col("split") == "test")
    # of 20, 20 and 40 breasts of the test a half has both views, and of those a half is screening
    assert dict(tested.group_by("label").len().rows()) == {2: 2}
    assert tested.group_by("exam_id").agg(pl.col("view").n_unique())["view"].to_list() == [2]
    breasts, _ = labelled_units(manifest, "breast", "birads-0-2", "birads_pairs")
    chosen = breasts.filter(pl.col("expected") & (pl.col("split") == "test"))
    assert chosen["exam_id"].to_list() == tested["exam_id"].unique().to_list()


def test_a_sample_stands_beside_the_papers_numbers():
    assert published_numbers("embed-density-sample-v1") == published_numbers("embed-density-v1")


def test_measuring_imports_no_torch():
    code = (
        "import sys, fourview.evaluate.compare, fourview.report.result_files;"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def two_views(birads, *, natures=()):
    """A breast an exam with CC and MLO, each image with its own BI-RADS; scores of two classes."""
    rng = np.random.default_rng(3)
    images, breasts, rows, findings = [], [], [], []
    for number, pair in enumerate(birads):
        key = {"patient_id": f"p{number}", "exam_id": f"e{number}", "side": "L"}
        breasts.append(key | {"birads": max(pair)})
        rows += [key | {"unit": "breast", "class": c, "score": 0.5} for c in ("cancer", "benign")]
        for view, category in zip(("CC", "MLO"), pair, strict=True):
            image = {"image_id": f"{number}-{view}"}
            images.append(key | image | {"view": view, "path": "x", "birads": category})
            rows += [
                key | image | {"unit": "image", "class": c, "score": float(rng.random())}
                for c in ("cancer", "benign")
            ]
            nature = natures[number] if natures else None
            finding = {"finding_id": f"f{number}", "malignant": nature, "kind": "mass"}
            findings.append(key | image | finding)
            scored = {"finding_id": f"f{number}", "unit": "finding", "class": "cancer"}
            rows.append(key | image | scored | {"score": float(rng.random())})
    manifest = make_manifest(
        source="made up",
        root=".",
        terms="made up",
        images=pl.DataFrame(images, schema_overrides={"birads": pl.Int8}),
        breasts=pl.DataFrame(breasts, schema_overrides={"birads": pl.Int8}),
        findings=pl.DataFrame(findings, schema_overrides={"malignant": pl.Int8}),
    )
    return manifest, pl.DataFrame(rows, infer_schema_length=None)


BIRADS = [(1, 1), (2, 1), (3, 2), (4, 2), (5, 5), (6, 1), (1, 1), (2, 2)]


def by_hand(table, combine):
    """Scores of images, {image: combined}."""
    rows = table.filter(pl.col("unit") == "image").to_dicts()
    both = {}
    for row in rows:
        both.setdefault(row["image_id"], {})[row["class"]] = row["score"]
    return {image: combine(s["cancer"], s["benign"]) for image, s in both.items()}


def area(positive, negative):
    """Share of pairs in the right order."""
    wins = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    return sum(wins) / len(wins)


def test_a_breast_has_the_highest_of_its_images_by_the_papers_rule():
    manifest, table = two_views(BIRADS)
    result = evaluate(table, manifest, "clsdet-m-vs-bn-breast-v1", replicates=0, split=None)
    scores = by_hand(table, lambda m, _: m)
    highest = [max(scores[f"{n}-CC"], scores[f"{n}-MLO"]) for n in range(len(BIRADS))]
    worst = [max(pair) for pair in BIRADS]
    want = area(*([s for s, b in zip(highest, worst, strict=True) if (b >= 4) == is_m]
                  for is_m in (True, False)))  # fmt: skip
    assert result.num_units == len(BIRADS)
    assert result.metrics[0].value == pytest.approx(want)


def test_without_birads_3_its_images_count_for_nothing():
    manifest, table = two_views(BIRADS)
    result = evaluate(table, manifest, "clsdet-mb-vs-n-without-3-v1", replicates=0, split=None)
    assert (result.num_units, result.num_positive) == (15, 9)


def test_p_normal_is_the_product_of_what_is_not():
    manifest, table = two_views(BIRADS)
    result = evaluate(table, manifest, "clsdet-normal-v1", replicates=0, split=None)
    normal = by_hand(table, lambda m, b: (1 - m) * (1 - b))
    category = dict(manifest.images.select("image_id", "birads").iter_rows())
    abnormal = [-normal[i] for i, b in category.items() if b in (2, 4, 5, 6)]
    want = area(abnormal, [-normal[i] for i, b in category.items() if b == 1])
    assert result.metrics[0].value == pytest.approx(want)


def test_wus_unit_is_a_finding_on_an_image_and_ours_a_finding():
    manifest, table = two_views(BIRADS, natures=[0, 0, 0, 1, 1, 1, 0, None])
    image, finding = (
        evaluate(table, manifest, name, replicates=30, split=None)
        for name in ("lesion-biopsy-image-v1", "lesion-biopsy-v1")
    )
    assert (image.num_units, image.num_positive, image.unit) == (14, 6, "finding_image")
    assert (finding.num_units, finding.num_positive) == (7, 3)
    rows = table.filter(pl.col("unit") == "finding").to_dicts()
    known = dict(manifest.findings.select("finding_id", "malignant").iter_rows())
    scores = [[r["score"] for r in rows if known[r["finding_id"]] == is_m] for is_m in (1, 0)]
    assert image.metrics[0].value == pytest.approx(area(*scores))
    for result in (image, finding):
        (curve,) = [c for c in result.curves if c.name == "misses"]
        rates = {m.name: (m.value, m.low, m.high) for m in result.metrics}
        for rate in (0, 0.01, 0.05):
            at = round(rate * 100)
            assert (curve.y[at], curve.low[at], curve.high[at]) == rates[f"tnr_at_fnr_{rate:g}"]
        assert (len(curve.x), curve.x[-1]) == (100, 0.99)
        assert all(np.diff(curve.y) >= 0)


def test_natures_by_birads_are_told_with_every_count_of_marks():
    manifest, table = two_views(BIRADS)
    manifest = replace(
        with_natures(manifest, "birads"),
        findings=with_natures(manifest, "birads").findings.with_columns(
            x0=1.0, y0=1.0, x1=9.0, y1=9.0, frame=pl.lit("stored")
        ),
    )
    marks = table.filter((pl.col("unit") == "image") & (pl.col("class") == "cancer"))
    box = {"unit": "region", "x0": 2.0, "y0": 2.0, "x1": 8.0, "y1": 8.0}
    marks = marks.with_columns(**{name: pl.lit(value) for name, value in box.items()})
    both = pl.concat([table, marks], how="diagonal")
    result = evaluate(both, manifest, "clsdet-m-vs-bn-v2", replicates=0, split=None)
    assert any("nature of findings: by BI-RADS" in note for note in result.notes)
    metrics = {m.name: m.value for m in result.metrics}
    assert metrics["froc_sensitivity_at_1_fp"] == 1.0  # malignant by category, and marked
