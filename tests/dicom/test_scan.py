"""Listing and chunks: by name, with size and time, and stable when a file comes or goes."""

import os

import pytest

from dicom_examples import mammogram, write_mammogram
from fourview.dicom.header import Header
from fourview.dicom.scan import (
    CHUNK_LEAST,
    CHUNK_MOST,
    RegularFile,
    chunks_below,
    files_below,
    read_chunk,
)
from fourview.entities import LeftOut
from fourview.entities.reasons import Reason


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """3,000 empty files in six folders."""
    root = tmp_path_factory.mktemp("many")
    for number in range(3000):
        folder = root / str(number // 500)
        folder.mkdir(exist_ok=True)
        (folder / f"{number:05d}").touch()
    return root


def test_every_file_is_in_one_chunk_in_the_order_of_names(many):
    chunks = list(chunks_below(many))
    paths = [file.path for chunk in chunks for file in chunk]
    assert paths == [f"{number // 500}/{number:05d}" for number in range(3000)]
    assert all(CHUNK_LEAST <= len(chunk) <= CHUNK_MOST for chunk in chunks[:-1])
    assert len(chunks) > 3000 // CHUNK_MOST  # they end by names, not only where they are full


def test_a_new_file_changes_its_own_chunk_and_few_others(many):
    before = set(chunks_below(many))
    (many / "0" / "00000a").touch()
    after = set(chunks_below(many))
    (many / "0" / "00000a").unlink()
    assert 1 <= len(after - before) <= 3  # its own; where that changes the end, the next as well
    assert set(chunks_below(many)) == before


def test_a_file_is_known_by_its_name_size_and_time(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    os.utime(tmp_path / "a", ns=(5, 7))
    assert list(files_below(tmp_path)) == [RegularFile("a", 3, 7)]
    assert [file.path for file in files_below(tmp_path / "a")] == [""]


def test_a_folder_to_skip_is_not_entered_by_any_name(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "part").touch()
    (tmp_path / "link").symlink_to(tmp_path / "work")
    (tmp_path / "z").touch()
    files = files_below(tmp_path, skip=[tmp_path / "work", tmp_path / "none"])
    assert [file.path for file in files] == ["z"]


def test_a_chunk_has_a_result_for_each_file_whatever_it_is(tmp_path):
    write_mammogram(tmp_path / "a.dcm", mammogram(1))
    (tmp_path / "b.txt").write_text("no DICOM")
    gone = RegularFile("gone.dcm", 1, 1)
    pipe = LeftOut(path="pipe", reason=Reason.SPECIAL, detail="a pipe")
    results = read_chunk((*files_below(tmp_path), gone, pipe), str(tmp_path))
    assert isinstance(results[0], Header)
    assert [r.path for r in results] == ["a.dcm", "b.txt", "gone.dcm", "pipe"]
    assert [r.reason for r in results[1:]] == ["not_dicom", "unreachable", "special"]
