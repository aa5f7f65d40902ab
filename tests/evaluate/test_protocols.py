"""A protocol is never edited: another rule is another name."""

import subprocess
import sys
from dataclasses import replace

import polars as pl
import pytest

from fourview.errors import EvaluationError
from fourview.evaluate.labels import RULES, labelled_units
from fourview.evaluate.protocols import PROTOCOLS, find_protocol
from fourview.evaluate.published import published_numbers
from fourview.manifest.manifest import make_manifest

FROZEN = {
    "metarepo-image-v1": "ea8e6ed42f75a21d",
    "metarepo-breast-v1": "5f8b7008d56f6042",
    "admani-image-v1": "3915d10fdfa4928b",
    "clsdet-m-vs-bn-v1": "a07385ca4bc8f036",
    "clsdet-mb-vs-n-v1": "3091e4a62d4efea6",
    "lesion-biopsy-v1": "857bb1b3756dfd3e",
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
    found = [n.value for n in density if n.method == "MaMA" and n.setting == "zero-shot"]
    assert found == [0.7540, 0.9346]  # its own paper's
    screening = published_numbers("embed-density-screening-v1")
    found = [n.value for n in screening if n.method == "MaMA" and n.setting == "zero-shot"]
    assert found == [0.7518, 0.9181]  # GLAM's


@pytest.mark.parametrize(
    ("rule", "want"),
    [
        ("birads-m-vs-bn", [None, 0, 0, 0, 1, 1, 1, None]),
        ("birads-mb-vs-n", [None, 0, 1, 1, 1, 1, 1, None]),
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
    found, _ = labelled_units(manifest, "image", "birads-0-6", "birads_sample")
    sizes = found.filter(pl.col("split") == "test")["label"].value_counts().rows()
    assert dict(sizes) == {0: 1, 1: 10, 2: 3, 5: 6, 6: 2}  # of 19, 101, 30, 6 and 2
    turned = replace(manifest, images=manifest.images.reverse())
    again, _ = labelled_units(turned, "image", "birads-0-6", "birads_sample")
    assert set(again["image_id"]) == set(found["image_id"])


def test_a_sample_of_the_published_size_is_drawn_from_the_published_counts():
    counts = {0: 7387, 1: 31035, 2: 30438, 3: 4179}  # test images of density A to D, MaMA's code
    manifest = many_images(counts)
    manifest = replace(manifest, exams=manifest.exams.with_columns(split=pl.lit("test")))
    found, _ = labelled_units(manifest, "image", "density", "density_sample")
    assert len(found) == 7301


def test_pairs_are_a_tenth_of_the_breasts_with_both_views_of_screening_exams():
    manifest = many_images({0: 40, 1: 40, 2: 80})
    mlo = manifest.images.with_columns(
        view=pl.lit("MLO"), image_id=pl.col("image_id") + "-mlo", path=pl.col("path") + "2"
    )
    number = pl.col("exam_id").str.slice(1).cast(pl.Int32)  # even ones are the test
    images = pl.concat([manifest.images, mlo.filter(number % 4 == 2)])  # of every other of them
    manifest = replace(manifest, images=images.with_columns(screening=number % 8 != 6))
    found, _ = labelled_units(manifest, "image", "birads-0-2", "birads_pairs")
    tested = found.filter(pl.col("split") == "test")
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
