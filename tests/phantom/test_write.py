import numpy as np
import polars as pl
import pytest

from fourview.dicom.image import read_image
from fourview.errors import PhantomError
from fourview.phantom.exam import make_exam
from fourview.phantom.tables import SCHEMAS, unpack_mask
from fourview.phantom.write import exam_seed, write_phantom

COMMON = {"seed": 4, "preset": "miniature", "rows": 96}


def contents(folder):
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantom") / "out"
    calls = []
    summary = write_phantom(out, num_exams=4, progress=lambda *c: calls.append(c), **COMMON)
    return out, summary, calls


@pytest.fixture(scope="module")
def tables(written):
    return {t: pl.read_parquet(written[0] / "truth" / f"{t}.parquet") for t in SCHEMAS}


def test_the_summary_and_the_progress_count_what_was_written(written, tables):
    out, summary, calls = written
    assert calls == [(i, 4) for i in range(5)]
    assert (summary.num_exams, summary.num_written, summary.num_images) == (4, 4, 16)
    assert summary.num_cancers == tables["breasts"]["cancer"].sum()
    assert len(list((out / "dicom").rglob("*.dcm"))) == 16


def test_any_number_of_workers_gives_the_same_bytes(written, tmp_path):
    write_phantom(tmp_path / "two", num_exams=4, workers=2, **COMMON)
    assert contents(tmp_path / "two") == contents(written[0])


def test_an_interrupted_run_goes_on_to_the_same_bytes(written, tmp_path):
    out = tmp_path / "out"

    def stop(done, _):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom(out, num_exams=4, progress=stop, **COMMON)
    summary = write_phantom(out, num_exams=4, **COMMON)
    assert summary.num_written == 2
    assert contents(out) == contents(written[0])


def test_asking_for_more_adds_exams_and_keeps_those_there_are(written, tmp_path):
    write_phantom(tmp_path, num_exams=2, **COMMON)
    before = contents(tmp_path / "dicom")
    assert write_phantom(tmp_path, num_exams=3, **COMMON).num_exams == 3
    after = contents(tmp_path / "dicom")
    assert before.items() <= after.items()
    assert after.items() <= contents(written[0] / "dicom").items()


def test_a_folder_of_other_exams_is_refused(written):
    with pytest.raises(PhantomError, match="another seed"):
        write_phantom(written[0], num_exams=4, seed=5, preset="miniature", rows=96)
    with pytest.raises(PhantomError, match="another preset"):
        write_phantom(written[0], num_exams=4, seed=4, preset="screening", rows=96)


@pytest.mark.parametrize(
    "wrong",
    [{"num_exams": 0}, {"seed": -1}, {"vendors": ()}, {"vendors": ("Z",)}, {"syntaxes": ("1.2",)}],
)
def test_what_cannot_be_written_is_refused_before_anything_is(wrong, tmp_path):
    with pytest.raises(PhantomError):
        write_phantom(tmp_path / "out", **{"num_exams": 1, **COMMON, **wrong})
    assert not (tmp_path / "out").exists()


def test_files_and_tables_are_those_of_the_exam_in_memory(written, tables):
    out = written[0]
    row = tables["exams"].row(1, named=True)
    exam = make_exam(
        exam_seed(4, 1), "miniature", vendor=row["vendor"], rows=96, patient_id=row["patient_id"]
    )
    assert row["exam_id"] == exam.exam_id
    assert row["seed"] == exam.seed
    for image in exam.images:
        its_row = tables["images"].row(
            by_predicate=pl.col("image_id") == image.image_id, named=True
        )
        assert (read_image(out / its_row["path"]).pixels == image.pixels).all()
        assert (its_row["nipple_x"], its_row["nipple_y"]) == image.truth.nipple
        findings = tables["findings"].filter(image_id=image.image_id)
        assert findings.height == len(image.truth.findings)


def test_masks_come_back_whole(tables):
    num = 0
    for row in tables["findings"].drop_nulls("mask").iter_rows(named=True):
        mask = unpack_mask(row["mask"], int(row["y1"] - row["y0"]), int(row["x1"] - row["x0"]))
        assert mask.any(axis=0).all()  # a mass has no empty row or column inside its box
        assert mask.any(axis=1).all()
        num += 1
    assert num > 4


def test_labels_of_breasts_follow_their_findings(tables):
    malignant = tables["findings"].filter(malignant=1).select("exam_id", "side").unique()
    cancers = tables["breasts"].filter(cancer=1).select("exam_id", "side")
    key = ["exam_id", "side"]
    assert malignant.sort(key).equals(cancers.sort(key))
    assert set(tables["breasts"]["density"]) <= set("ABCD")


def test_exam_seeds_differ():
    assert len({exam_seed(s, i) for s in range(5) for i in range(20)}) == 100
    assert np.iinfo(np.int64).max > exam_seed(0, 0) >= 0
