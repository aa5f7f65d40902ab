"""`prepare` under crashes, hangs and bad files; its workers are real processes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import polars as pl
import pytest

from dicom_examples import J2K_LOSSLESS, write_mammogram
from fourview.errors import DiskFullError, StoreError
from fourview.manifest.manifest import make_manifest, write_manifest
from fourview.preprocess.pipeline import process, to_pixel_levels, was_enlarged
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.store.journal import Journal
from fourview.store.prepare import prepare
from fourview.store.read_image import read_listed_image, read_processed
from fourview.store.store import FAILED, IMAGES, Description, Store, shard_path
from mammogram_examples import breast_pixels, overlap
from troubled_reader import read_with_trouble

SPEC = pixel_spec("mvccl-192x96")
CHILD = """
import sys
from pathlib import Path
from fourview.manifest.manifest import read_manifest
from fourview.store.journal import Journal
from fourview.store.prepare import prepare
from fourview.preprocess.spec import pixel_spec
if __name__ == "__main__":
    prepare(read_manifest(Path(sys.argv[1])), pixel_spec("mvccl-192x96"), sys.argv[2], workers=2)
"""


def make_data(root, names):
    """PNG files and their manifest; a name with "blank" holds no breast, "broken" no PNG."""
    rows = []
    for number, name in enumerate(names):
        side = "RL"[number % 2]
        pixels, _ = breast_pixels(208, 160, side=side, seed=number, noise=2)
        data = imagecodecs.png_encode(pixels * (0 if "blank" in name else 1))
        (root / f"{name}.png").write_bytes(data[:50] if "broken" in name else data)
        ids = {"patient_id": f"p{number // 4}", "exam_id": f"e{number // 4}", "image_id": name}
        rows.append(ids | {"side": side, "view": "CC", "path": f"{name}.png"})
    images = pl.DataFrame(rows)
    return make_manifest(source="test", root=root, images=images, terms="none")


def contents(folder):
    """Every file of a store with its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    """A manifest of ten images, one of them blank, and the store of an undisturbed run."""
    root = tmp_path_factory.mktemp("ten")
    manifest = make_data(root, [f"i{n}" for n in range(9)] + ["blank"])
    write_manifest(manifest, root / "manifest")
    seen = []
    summary = prepare(
        manifest,
        SPEC,
        root / "store",
        workers=1,
        progress=lambda done, all_: seen.append((done, all_)),
    )
    assert (summary.num_stored, summary.num_new) == (9, 9)
    assert seen == [(n, 10) for n in range(1, 11)]
    return root, manifest


def test_the_store_holds_what_process_gives(ten):
    root, manifest = ten
    store = Store.open(root / "store", SPEC)
    order = [row for row in manifest.images["image_id"] if row != "blank"]
    assert store.table["image_id"].to_list() == order
    assert store.failed.select("image_id", "reason").rows() == [("blank", "no_breast")]
    for row in manifest.images.iter_rows(named=True):
        if row["image_id"] == "blank":
            continue
        done = process(read_listed_image(root / row["path"], row, SPEC), SPEC)
        levels = store.read(row["image_id"])
        np.testing.assert_array_equal(levels, to_pixel_levels(done.pixels))
        np.testing.assert_array_equal(levels > 0, done.mask)
        assert store.geometry(row["image_id"]) == done.geometry


def test_the_number_of_workers_changes_no_byte(ten, tmp_path):
    root, manifest = ten
    prepare(manifest, SPEC, tmp_path / "s", workers=3)
    assert contents(tmp_path / "s") == contents(root / "store")


def test_a_finished_store_is_left_as_it_is_and_a_lost_shard_made_again(ten, tmp_path):
    root, manifest = ten
    prepare(manifest, SPEC, tmp_path / "s")
    assert prepare(manifest, SPEC, tmp_path / "s").num_new == 0
    shard_path(tmp_path / "s", 2).unlink()
    shard_path(tmp_path / "s", 4).write_bytes(b"cut")
    assert prepare(manifest, SPEC, tmp_path / "s").num_new == 2
    assert contents(tmp_path / "s") == contents(root / "store")


def kill_and_resume(root, manifest, out, seed):
    """SIGKILL a run and all that it started at a random moment, then run again to the end."""
    moment = random.Random(seed)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root / "manifest"), str(out)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        start_new_session=True,
    )
    wanted, after = moment.randrange(10), moment.uniform(0, 0.05)
    journal, deadline = out / "journal.jsonl", time.monotonic() + 60
    while child.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") >= wanted:
            break
        time.sleep(0.001)
    time.sleep(after)
    if moment.random() < 0.5:
        os.kill(child.pid, signal.SIGKILL)  # the parent only: its workers must leave by themselves
    else:
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    prepare(manifest, SPEC, out, workers=2)
    assert contents(out) == contents(root / "store")


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_run_goes_on_to_the_same_store(ten, tmp_path, seed):
    kill_and_resume(*ten, tmp_path / "s", seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_run_killed_at_any_of_twenty_moments_goes_on(ten, tmp_path, seed):
    kill_and_resume(*ten, tmp_path / "s", seed)


def test_torn_journal_lines_and_stale_parts_do_no_harm(ten, tmp_path):
    root, manifest = ten
    out = tmp_path / "s"
    prepare(manifest, SPEC, out)
    (out / "images.parquet").unlink()
    (out / "partial").mkdir()
    (out / "partial" / "3.99").write_bytes(b"half")
    (out / "journal.jsonl").write_bytes(b'{"index": 3, "num_by')
    prepare(manifest, SPEC, out)
    assert contents(out) == contents(root / "store")


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def unfinished(out):
    """Turn a finished store into one that was killed before its tables were written."""
    about = Description.read(out)
    entries = Store.open(out).table.rows(named=True)
    with Journal(out / "journal.jsonl") as journal:
        for entry in entries:
            journal.add(entry)
    for name in (IMAGES, FAILED):
        (out / name).unlink()
    (out / "store.json").write_text(replace(about, complete=False, tables={}).to_json())


@pytest.mark.parametrize("finished", [True, False])
def test_prepare_makes_damaged_pixels_again_and_nothing_else(ten, tmp_path, finished):
    root, manifest = ten
    out = tmp_path / "s"
    shutil.copytree(root / "store", out)
    if not finished:
        unfinished(out)
    flip(shard_path(out, 2), 3000)
    flip(shard_path(out, 5), -1)
    shard_path(out, 7).unlink()
    if not finished:
        lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
        flip(out / "journal.jsonl", len(lines[0]) + 100)  # the second line
    assert prepare(manifest, SPEC, out).num_new == (3 if finished else 4)
    assert contents(out) == contents(root / "store")
    assert prepare(manifest, SPEC, out).num_new == 0


@pytest.mark.parametrize("name", [IMAGES, FAILED, "pixels/zarr.json"])
def test_prepare_mends_the_tables_of_a_store(ten, tmp_path, name):
    root, manifest = ten
    out = tmp_path / "s"
    shutil.copytree(root / "store", out)
    flip(out / name, 40)
    prepare(manifest, SPEC, out)
    assert contents(out) == contents(root / "store")


def test_a_folder_that_a_full_disk_left_is_gone_on_with(ten, tmp_path):
    root, manifest = ten
    out = tmp_path / "s"
    (out / "pixels").mkdir(parents=True)
    (out / "pixels" / ".zarr.json.partial").write_text("{")
    (out / ".store.json.partial").write_text("")
    prepare(manifest, SPEC, out)
    assert contents(out).items() >= contents(root / "store").items()


def test_bad_files_cost_one_image_each_and_are_listed(tmp_path):
    names = ["a", "broken", "blank", "hang", "die", "once", "raise", "b"]
    manifest = make_data(tmp_path, [*names, "missing"])
    (tmp_path / "missing.png").unlink()
    out = tmp_path / "s"
    options = {"workers": 2, "image_timeout_s": 8.0, "read": read_with_trouble}
    summary = prepare(manifest, SPEC, out, **options)
    reasons = dict(summary.failed.select("image_id", "reason").rows())
    assert reasons == {
        "broken": "damaged",
        "missing": "unreachable",
        "blank": "no_breast",
        "hang": "timeout",
        "die": "killed",
        "raise": "defect",
    }
    assert not summary.failed["detail"].str.contains("\n").any()
    assert set(Store.open(out).table["image_id"]) == {"a", "b", "once"}
    # What may pass is tried again by the next run; a bad file only when asked for.
    again = prepare(manifest, SPEC, out, workers=2)
    assert again.num_new == 2
    assert set(again.failed["image_id"]) == {"broken", "missing", "blank", "raise"}
    assert prepare(manifest, SPEC, out, retry_failed=True).num_new == 1  # "raise" has been mended


def test_another_spec_other_images_and_a_foreign_folder_are_refused_by_name(ten, tmp_path):
    root, manifest = ten
    with pytest.raises(StoreError, match=r"pixel spec mvccl-192x96 .* not mvccl-384x192"):
        prepare(manifest, pixel_spec("mvccl-384x192"), root / "store")
    fewer = make_data(tmp_path, ["i0", "i1"])
    with pytest.raises(StoreError, match="a store of 10 images"):
        prepare(fewer, SPEC, root / "store")
    with pytest.raises(StoreError, match="not empty and no store"):
        prepare(fewer, SPEC, tmp_path)


def test_corrected_labels_need_no_new_store(ten):
    root, manifest = ten
    breasts = manifest.breasts.with_columns(cancer=pl.lit(1, pl.Int8))
    labelled = make_manifest(
        source="test", root=root, images=manifest.images, breasts=breasts, terms="none"
    )
    assert prepare(labelled, SPEC, root / "store").num_new == 0


def test_a_full_disk_stops_no_run_and_another_one_completes_it(ten, small_disk):
    root, manifest = ten
    disk, enlarge = small_disk
    out = disk / "s"
    summary = prepare(manifest, SPEC, out, workers=2)
    reasons = summary.failed.group_by("reason", "detail").len().sort("reason")
    full = reasons.filter(pl.col("reason") == "disk")
    assert full["detail"].to_list() == ["no space left"]
    assert 1 <= full["len"][0] <= 8  # some found room, some did not
    store = Store.open(out)
    assert len(store) == summary.num_stored == 10 - summary.failed.height
    for image_id in store.table["image_id"]:
        assert store.read(image_id).any()
    enlarge()
    assert prepare(manifest, SPEC, out).num_new == full["len"][0]
    assert contents(out) == contents(root / "store")


def test_a_disk_without_room_for_the_tables_is_named(ten, small_disk):
    _, manifest = ten
    disk, _ = small_disk
    (disk / "other").write_bytes(bytes(200 << 10))
    with pytest.raises(DiskFullError, match="no space left on the disk; free some"):
        prepare(manifest, SPEC, disk / "s")


@pytest.mark.parametrize(("fills", "reduced"), [(0.9, 4), (0.5, 2), (0.35, 1)])
def test_a_wavelet_file_is_decoded_as_fine_as_its_breast_needs(tmp_path, fills, reduced):
    pixels, _ = breast_pixels(832, 640, noise=2)
    whole = np.zeros_like(pixels)
    small = cv2.resize(pixels, None, fx=fills, fy=fills, interpolation=cv2.INTER_AREA)
    whole[: small.shape[0], : small.shape[1]] = small
    path = write_mammogram(tmp_path / "a.dcm", stored=whole, syntax=J2K_LOSSLESS)
    row = {"side": "L", "view": "CC", "modifiers": None, "path": "a.dcm", "voi": None}
    row |= dict.fromkeys(("image_id", "patient_id", "exam_id"), "i")
    spec = PixelSpec(name="t", rows=130, cols=100, decode="as_needed", range="bits")
    image, processed = read_processed(path, row, spec)
    assert image.pixels.shape == (832 // reduced, 640 // reduced)
    assert not was_enlarged(processed.geometry)
    full = process(read_listed_image(path, row, replace(spec, rows=None, cols=None)), spec)
    corners = np.array([[0.0, 0.0], [640, 832]])
    moved = processed.geometry.to_processed(corners) - full.geometry.to_processed(corners)
    assert np.abs(moved).max() < 3  # the mask's edge is a few stored pixels elsewhere
    both = processed.mask & full.mask
    assert overlap(processed.mask, full.mask) > 0.97
    assert np.corrcoef(processed.pixels[both], full.pixels[both])[0, 1] > 0.97
