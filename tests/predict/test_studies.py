"""The reports of several exams: one folder each, in order, and what could not be read."""

from pathlib import Path

import pytest

from exam_examples import exam_prediction, image
from fourview.entities import Exam, LeftOut
from fourview.entities.reasons import Reason
from fourview.errors import ExamError
from fourview.predict.studies import Read, _reports


def exam(number, *, images=True):
    return Exam(
        patient_id=f"p{number}",
        exam_id=f"e{number}",
        images=(image("R-CC"),) if images else (),
        left_out=(LeftOut(path=f"x{number}", reason=Reason.DAMAGED, detail="half a file"),),
    )


def reports(exams, out, aside=()):
    read = []

    def one(each, folder):
        read.append((each, folder))
        return Read(prediction=exam_prediction(), folder=folder)

    written = list(_reports(iter(exams), aside, one, out, "2020"))
    return read, written


def test_every_exam_has_a_folder_of_its_own_and_a_list_of_all(tmp_path):
    read, written = reports([exam(n) for n in (1, 2, 3)], tmp_path)
    folders = [folder.relative_to(tmp_path) for _, folder in read]
    assert folders == [Path(f"exam-{n:05d}") for n in (1, 2, 3)]
    assert len(written) == 3 and (tmp_path / "index.html").exists()


def test_one_exam_is_the_folder_itself(tmp_path):
    read, _ = reports([exam(1)], tmp_path)
    assert read[0][1] == tmp_path and not (tmp_path / "index.html").exists()


def test_files_of_nobody_are_told_with_the_last_exam(tmp_path):
    aside = LeftOut(path="y", reason=Reason.DAMAGED, detail="empty")
    read, _ = reports([exam(1), exam(2, images=False), exam(3)], tmp_path, (aside,))
    assert [each.exam_id for each, _ in read] == ["e1", "e3"]
    assert [left.path for left in read[-1][0].left_out] == ["x3", "y", "x2"]
    assert [left.path for left in read[0][0].left_out] == ["x1"]


def test_nothing_to_read_says_why(tmp_path):
    with pytest.raises(ExamError, match=r"no mammogram to read \(x1: half a file\)"):
        reports([exam(1, images=False)], tmp_path)
    with pytest.raises(ExamError, match="no files"):
        reports([], tmp_path)
