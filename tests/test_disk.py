"""Files and folders are written whole or not at all, and a full disk is named."""

import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

import fourview
from fourview import disk
from fourview.errors import DiskFullError, FourviewError

NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with disk.whole(path) as draft:
        draft.write_text("done")
        assert not path.exists()
        assert draft.parent == path.parent
    assert path.read_text() == "done"
    assert files_of(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), NO_ROOM])
def test_whatever_ends_the_writing_leaves_the_old_file_and_no_draft(error, tmp_path):
    path = tmp_path / "a.txt"
    disk.write_text(path, "old")
    with pytest.raises(BaseException) as raised, disk.whole(path) as draft:
        draft.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert files_of(tmp_path) == ["a.txt"]
    assert isinstance(raised.value, DiskFullError) == (error is NO_ROOM)


def test_a_full_disk_is_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(DiskFullError) as raised, disk.whole(tmp_path / "a.txt"):
        raise NO_ROOM
    assert str(raised.value) == (
        f"{tmp_path / 'a.txt'}: no space left on the disk; free some and run the same command "
        "again, it goes on where it was"
    )


@pytest.mark.parametrize("writer", ["text", "csv", "parquet", "weights", "array", "mapped"])
def test_every_kind_of_file_meets_a_full_disk_in_the_same_way(writer, small_disk):
    folder, enlarge = small_disk
    (folder / "other").write_bytes(bytes(200 << 10))
    noise = np.random.default_rng(0).random(40_000)  # 320 kB, on a disk of 256 kB
    table = pl.DataFrame({"noise": noise})
    path = folder / f"a.{writer}"

    def write():
        if writer == "text":
            disk.write_text(path, json.dumps(noise.tolist()))
        elif writer in ("csv", "parquet"):
            disk.write_table(table, path)
        elif writer == "weights":
            with disk.whole(path) as draft:
                save_file({"noise": torch.from_numpy(noise)}, draft)
        elif writer == "array":
            with disk.whole(path) as draft, draft.open("wb") as file:
                np.save(file, noise)
        else:
            with disk.whole(path) as draft:
                mapped = np.lib.format.open_memmap(draft, mode="w+", shape=noise.shape)
                disk.take_room(draft, draft.stat().st_size)
                mapped[:] = noise

    with pytest.raises(DiskFullError, match=re.escape(f"{path}: no space left on the disk")):
        write()
    assert files_of(folder) == ["other"]
    enlarge()
    write()
    assert files_of(folder) == [f"a.{writer}", "other"]


def test_weights_can_be_read_by_others_as_any_new_file_can(tmp_path):
    (tmp_path / "plain").touch()
    with disk.whole(tmp_path / "weights") as draft:
        save_file({"a": torch.ones(2)}, draft)  # which makes its files private
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes["weights"] == modes["plain"]
    assert load_file(tmp_path / "weights")["a"].tolist() == [1, 1]


def test_drafts_of_several_processes_do_not_meet(tmp_path):
    with disk.whole(tmp_path / "a", shared=True) as mine:
        pid = os.fork()
        if pid == 0:  # another process writes the same file meanwhile
            disk_status = 1
            with disk.whole(tmp_path / "a", shared=True) as theirs:
                disk_status = int(theirs == mine)
                theirs.write_text("theirs")
            os._exit(disk_status)
        assert os.waitpid(pid, 0)[1] == 0
        mine.write_text("mine")
    assert (tmp_path / "a").read_text() == "mine"


def test_a_table_is_csv_or_parquet_by_its_name(tmp_path):
    table = pl.DataFrame({"a": [1, 2]})
    disk.write_table(table, tmp_path / "a.csv")
    disk.write_table(table, tmp_path / "a.parquet", metadata={"terms": "none"})
    assert (tmp_path / "a.csv").read_text() == "a\n1\n2\n"
    assert pl.read_parquet(tmp_path / "a.parquet").equals(table)
    assert pl.read_parquet_metadata(tmp_path / "a.parquet")["terms"] == "none"


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.parquet.bak"])
def test_an_ending_that_cannot_be_written_is_refused_with_those_that_can(name, tmp_path):
    with pytest.raises(FourviewError, match=r"there are: \.parquet, \.csv; such as .*a.*\.parquet"):
        disk.write_table(pl.DataFrame({"a": [1]}), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "run"
    for text in ("first", "second"):
        with disk.whole_folder(path) as draft:
            (draft / "a").write_text(text)
            if text == "second":
                assert (path / "a").read_text() == "first"
        assert (path / "a").read_text() == text
    with pytest.raises(DiskFullError), disk.whole_folder(path) as draft:
        (draft / "a").write_text("half")
        raise NO_ROOM
    assert (path / "a").read_text() == "second"
    assert files_of(tmp_path) == ["run"]


def test_a_folder_moved_aside_by_a_run_that_was_killed_still_stands(tmp_path):
    path = tmp_path / "run"

    def is_whole(folder):
        return (folder / "a").exists()

    assert disk.standing(path, is_whole) is None
    with disk.whole_folder(path) as draft:
        (draft / "a").touch()
    assert disk.standing(path, is_whole) == path
    path.rename(tmp_path / "run.old")  # killed between the two renames
    assert disk.standing(path, is_whole) == tmp_path / "run.old"


def test_nothing_else_writes_files_in_the_house():
    """Journals and logs grow line by line and locks hold nothing: all else goes through disk.py."""
    package = Path(fourview.__file__).parent
    writes = re.compile(r"\.write_(text|bytes|csv|parquet)\(|\bsave_file\(|np\.save\(")
    inside = re.compile(r"\b(draft|folder|files\[-1\]|out\b)")  # a draft, or a work folder's file
    for path in sorted(package.rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if writes.search(line) and path.name != "disk.py":
                where = f"{path.relative_to(package)}:{number}: {line.strip()}"
                assert inside.search(line) or "np.save(file" in line, where
