"""What ``fourview check`` finds, and what it lets pass."""

import json
from dataclasses import replace

import polars as pl
import pytest

from fourview.cli.check import check
from fourview.cli.main import main
from fourview.manifest.check import check_folder, check_manifest, label_counts
from fourview.manifest.manifest import make_manifest, write_manifest

IMAGES = pl.DataFrame(
    {
        "patient_id": ["1", "1", "2", "3"],
        "exam_id": ["10", "11", "20", "30"],
        "image_id": ["a", "b", "c", "d"],
        "side": ["L", "R", "L", "R"],
        "view": ["CC"] * 4,
        "path": ["one/a.dcm", "one/b.dcm", "two/c.dcm", "two/d.dcm"],
    }
)
EXAMS = pl.DataFrame(
    {
        "patient_id": ["1", "1", "2", "3"],
        "exam_id": ["10", "11", "20", "30"],
        "split": ["train", "train", "train", "test"],
    }
)


def make(root="", cancer=(0, 1, 0, None), images=IMAGES):
    breasts = images.select("patient_id", "exam_id", "side").with_columns(cancer=pl.Series(cancer))
    return make_manifest(
        source="test", root=root, terms="", images=images, breasts=breasts, exams=EXAMS
    )


@pytest.fixture
def files(tmp_path):
    for path in IMAGES["path"]:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    return tmp_path


def facts_of(problems):
    return [(p.kind, p.level, p.count) for p in problems]


def test_a_good_manifest_has_no_problem(files):
    assert check_manifest(make(files), files=True) == []


def test_missing_files_are_counted_and_named(files):
    (files / "one" / "b.dcm").unlink()
    (files / "two" / "c.dcm").unlink()
    problems = check_manifest(make(files), files=True)
    assert facts_of(problems) == [("files", "error", 2)]
    assert "2 of 4 files are not under" in problems[0].text
    assert "one/b.dcm, two/c.dcm" in problems[0].text
    assert check_manifest(make(files), files=False) == []


def test_the_file_of_an_image_that_is_left_out_need_not_exist(files):
    (files / "one" / "b.dcm").unlink()
    images = IMAGES.with_columns(left_out=pl.Series([None, "spot", None, None]))
    assert [
        p for p in check_manifest(make(files, images=images), files=True) if p.kind == "files"
    ] == []


def test_a_patient_in_two_splits_is_an_error():
    exams = EXAMS.with_columns(split=pl.Series(["train", "test", "train", "test"]))
    torn = replace(make(), exams=exams.with_columns(age=None, density=None))
    problems = [p for p in check_manifest(torn, files=False) if p.kind == "leak"]
    assert facts_of(problems) == [("leak", "error", 1)]
    assert "1 patients are in more than one split (1)" in problems[0].text


def test_an_exam_without_a_split_is_no_leak():
    exams = EXAMS.with_columns(split=pl.Series(["train", None, "train", "test"]))
    part = replace(make(), exams=exams.with_columns(age=None, density=None))
    assert [p for p in check_manifest(part, files=False) if p.kind == "leak"] == []


def test_one_class_only_is_noted_for_the_split_that_has_it():
    problems = check_manifest(make(cancer=(0, 1, 0, 0)), files=False)
    assert facts_of(problems) == [("labels", "note", 1)]
    assert "cancer is 0 for all 1 labelled breasts of split test" in problems[0].text


def test_no_label_at_all_is_noted():
    problems = check_manifest(make(cancer=(None,) * 4), files=False)
    assert facts_of(problems) == [("labels", "note", 4)]


def test_nothing_to_read_is_an_error():
    problems = check_manifest(
        make(images=IMAGES.with_columns(left_out=pl.lit("spot"))), files=False
    )
    assert facts_of(problems) == [("labels", "error", 0)]


def test_all_broken_rules_are_listed_not_only_the_first():
    manifest = make()
    broken = replace(
        manifest,
        images=manifest.images.with_columns(side=pl.lit("B")),
        exams=manifest.exams.with_columns(age=pl.lit(400.0)),
    )
    problems = [p for p in check_manifest(broken, files=False) if p.kind == "schema"]
    assert [(p.count, p.text.split(":")[0]) for p in problems] == [(4, "images"), (4, "exams")]


def test_counts_are_by_split_and_by_breast():
    assert label_counts(make()).rows(named=True) == [
        {"split": "test", "patients": 1, "exams": 1, "images": 1, "breasts": 1}
        | {"cancer": 0, "no_cancer": 0, "unknown": 1},
        {"split": "train", "patients": 2, "exams": 3, "images": 3, "breasts": 3}
        | {"cancer": 1, "no_cancer": 2, "unknown": 0},
    ]


def test_tables_changed_behind_the_hash_are_an_error(files, tmp_path):
    path = tmp_path / "m"
    write_manifest(make(files), path)
    exams = pl.read_parquet(path / "exams.parquet").with_columns(age=pl.lit(50.0))
    exams.write_parquet(path / "exams.parquet")
    assert facts_of(check_folder(path)) == [("hash", "error", 1)]


def run(capsys, *args, **options):
    with pytest.raises(SystemExit) as done:
        check(*args, **options)
    return done.value.code, capsys.readouterr()


def test_the_command_exits_0_1_and_3(files, tmp_path, capsys):
    write_manifest(make(files), tmp_path / "m")
    code, out = run(capsys, tmp_path / "m")
    assert (code, out.out.splitlines()[-1]) == (0, "ok")
    assert "train: 2 patients, 3 exams, 3 images, 3 breasts, 1 cancer" in out.out
    (files / "one" / "a.dcm").unlink()
    code, out = run(capsys, tmp_path / "m", json=True)
    report = json.loads(out.out)
    assert (code, report["ok"], report["problems"][0]["kind"]) == (1, False, "files")
    with pytest.raises(SystemExit) as stop:
        main(["check", str(tmp_path / "none")])
    code, out = stop.value.code, capsys.readouterr()
    assert code == 3
    assert out.err.startswith("error: ")
    assert out.err.count("\n") == 1
