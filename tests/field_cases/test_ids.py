"""Images whose UIDs name several, and ZIP archives of exams."""

import stat
import zipfile
from pathlib import Path

import pytest

from dicom_examples import J2K_LOSSLESS, RLE, TWELVE, gradient, mammogram, write_mammogram
from field_looks import FOUR, one_exam
from fourview.dicom import archive
from fourview.dicom.archive import unpacked
from fourview.dicom.exams import read_exams
from fourview.errors import HostileFileError, NotDicomError
from fourview.sources.dicom import read_dicom

VIEWS = [(side, view) for view in ("CC", "MLO") for side in "RL"]


def write_four(folder, *, uid=True):
    for number, (side, view) in enumerate(VIEWS, start=1):
        dataset = mammogram(1 if uid else number, side=side, view=view)
        stored = gradient((40, 34), TWELVE, seed=number)
        write_mammogram(folder / f"{side}-{view}.dcm", dataset, stored=stored)


def test_copies_stay_duplicates_also_when_they_are_coded_otherwise(tmp_path):
    write_mammogram(tmp_path / "a.dcm")
    write_mammogram(tmp_path / "b.dcm")
    write_mammogram(tmp_path / "c.dcm", syntax=J2K_LOSSLESS)
    write_mammogram(tmp_path / "d.dcm", syntax=RLE)
    exam = read_exams(tmp_path)[0]
    assert len(exam.images) == 1
    assert [out.reason for out in exam.left_out] == ["duplicate"] * 3
    images = read_dicom(tmp_path).images
    assert images["left_out"].to_list().count("duplicate") == 3
    assert images["image_id"].n_unique() == 4


def test_two_images_and_a_copy_of_each_under_one_uid(tmp_path):
    write_four(tmp_path)
    for name in ("R-CC", "L-MLO"):
        (tmp_path / f"z-{name}.dcm").write_bytes((tmp_path / f"{name}.dcm").read_bytes())
    exam = read_exams(tmp_path)[0]
    assert tuple(image.view.name for image in exam.images) == FOUR
    assert len({image.image_id for image in exam.images}) == 4
    assert [out.reason for out in exam.left_out] == ["duplicate"] * 2
    images = read_dicom(tmp_path).images
    assert images["left_out"].drop_nulls().to_list() == ["duplicate"] * 2
    assert images["image_id"].n_unique() == 6


def test_one_uid_in_two_patients_is_two_images(tmp_path):
    for number, patient in enumerate(("P1", "P2")):
        stored = gradient((40, 34), TWELVE, seed=number)
        write_mammogram(tmp_path / f"{patient}.dcm", mammogram(PatientID=patient), stored=stored)
    exams = read_exams(tmp_path)
    assert [len(exam.images) for exam in exams] == [1, 1]
    images = read_dicom(tmp_path).images
    assert images["left_out"].null_count() == 2
    assert images["image_id"].n_unique() == 2


def test_the_manifest_does_not_depend_on_how_the_work_is_shared(tmp_path):
    write_four(tmp_path / "in")
    one, two = read_dicom(tmp_path / "in"), read_dicom(tmp_path / "in", workers=2)
    assert one.images.equals(two.images)


def zip_of(path, members, *, prepare=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if prepare is not None:
                prepare(info)
            out.writestr(info, data)
    return path


@pytest.fixture
def four(tmp_path):
    write_four(tmp_path / "plain", uid=False)
    return {p.name: p.read_bytes() for p in sorted((tmp_path / "plain").iterdir())}


def test_a_zip_with_folders_and_a_zip_beside_files(four, tmp_path):
    path = zip_of(tmp_path / "a.zip", [(f"study/series/{n}", d) for n, d in four.items()])
    assert tuple(i.view.name for i in one_exam(path).images) == FOUR
    renamed = path.rename(tmp_path / "export")  # its name does not matter
    assert len(one_exam([renamed]).images) == 4
    write_mammogram(tmp_path / "other" / "x.dcm", mammogram(9, PatientID="P9"))
    exams = read_exams([renamed, tmp_path / "other"])
    assert sorted(len(exam.images) for exam in exams) == [1, 4]


EVIL = ["../out.dcm", "/tmp/out.dcm", "a/../../out.dcm", "C:\\out.dcm", "..\\out.dcm"]


@pytest.mark.parametrize("name", EVIL)
def test_no_name_leads_out_of_the_folder(name, four, tmp_path):
    members = [*four.items(), (name, four["R-CC.dcm"])]
    before = {p for p in tmp_path.parent.rglob("*") if p.name == "out.dcm"}
    exams = read_exams(zip_of(tmp_path / "a.zip", members))
    assert len(exams[0].images) == 4
    left = [out for exam in exams for out in exam.left_out]
    assert [out.reason for out in left] == ["unreachable"]
    assert "\\" in left[0].path or ".." in left[0].path or left[0].path.endswith("out.dcm")
    assert {p for p in tmp_path.parent.rglob("*") if p.name == "out.dcm"} == before
    assert not Path("/tmp/out.dcm").exists()


def test_links_are_not_followed(four, tmp_path):
    def as_link(info):
        if info.filename == "link":
            info.external_attr = (stat.S_IFLNK | 0o777) << 16

    members = [*four.items(), ("link", "/etc/passwd")]
    exams = read_exams(zip_of(tmp_path / "a.zip", members, prepare=as_link))
    left = [out for exam in exams for out in exam.left_out]
    assert [out.detail for out in left] == ["it is a link or a device, no file; refused"]


def test_number_size_and_ratio_are_capped(tmp_path, monkeypatch):
    many = zip_of(tmp_path / "many.zip", [(f"{n}", b"") for n in range(30)])
    bomb = zip_of(tmp_path / "bomb.zip", [("a.dcm", bytes(40 << 20))])
    monkeypatch.setattr(archive, "MAX_FILES", 20)
    monkeypatch.setattr(archive, "FREE_BYTES", 1 << 20)
    with pytest.raises(HostileFileError, match="30 files, more than 20"):
        read_exams(many)
    with pytest.raises(HostileFileError, match="unpacks to more than"):
        read_exams(bomb)


def test_what_is_unpacked_is_gone_afterwards(four, tmp_path):
    path = zip_of(tmp_path / "a.zip", four.items())
    with unpacked([path]) as roots:
        folder = roots[0].path
        assert len(list(folder.iterdir())) == 4
    assert not folder.exists()


@pytest.mark.parametrize("data", [b"PK\3\4" + bytes(100), b"PK\3\4"])
def test_a_damaged_archive_is_one_line(data, tmp_path):
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(NotDicomError, match="ZIP archive cannot be read"):
        read_exams(tmp_path / "a.zip")


def test_a_password_is_said(four, tmp_path):
    path = zip_of(tmp_path / "a.zip", four.items())
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = 0
        while (start := data.find(mark, start)) >= 0:
            data[start + at] |= 1
            start += 4
    path.write_bytes(data)
    with pytest.raises(NotDicomError, match="password"):
        read_exams(path)


def test_an_archive_inside_a_folder_is_named(four, tmp_path):
    zip_of(tmp_path / "plain" / "more.zip", four.items())
    exam = read_exams(tmp_path / "plain")[0]
    assert len(exam.images) == 4
    assert "ZIP archive" in exam.left_out[0].detail


def test_an_archive_of_pictures_says_what_to_do(tmp_path):
    path = zip_of(
        tmp_path / "a.zip", [("a.png", b"\x89PNG\r\n\x1a\n" + bytes(200)), ("b", b"text")]
    )
    exams = read_exams(path)
    details = " ".join(o.detail for exam in exams for o in exam.left_out)
    assert "need a table" in details
