import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import zarr

from fourview.errors import StoreError
from fourview.fingerprint import digest_of_file
from fourview.geometry import Geometry
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.store.check import check_store
from fourview.store.shard import Tiling, checksum_of, encode_shard
from fourview.store.store import (
    FAILED,
    FAILED_SCHEMA,
    IMAGES,
    STORED_SCHEMA,
    Description,
    Store,
    array_metadata,
    shard_path,
)

SIZED = PixelSpec(name="sized", rows=600, cols=300)
NATIVE = PixelSpec(name="native", rows=None, cols=None)


def random_levels(rows, cols, seed):
    levels = np.random.default_rng(seed).integers(0, 65536, (rows, cols), dtype=np.uint16)
    levels[:, cols // 2 :] = 0  # so that some chunks are empty
    return levels


def write_store(path, spec, images, *, complete=True):
    """A store as `prepare` leaves it; image number i of three is not there if it is None."""
    about = Description(
        spec=spec,
        fingerprint=spec.fingerprint,
        images_digest="d",
        num_images=len(images),
        source="test",
        terms="none",
        complete=complete,
    )
    (path / "pixels").mkdir(parents=True)
    (path / "pixels" / "zarr.json").write_text(array_metadata(len(images), about.canvas))
    rows, failed = [], []
    for index, levels in enumerate(images):
        if levels is None:
            failed.append((f"i{index}", index, "x.png", "no_breast", "it is blank"))
            continue
        shard = encode_shard(levels, Tiling.of(about.canvas))
        shard_path(path, index).write_bytes(shard)
        geometry = Geometry((1000, 800)).mirrored().resized(*levels.shape)
        rows.append(
            dict.fromkeys(STORED_SCHEMA)
            | {"image_id": f"i{index}", "index": index}
            | {"rows": levels.shape[0], "cols": levels.shape[1]}
            | {"num_bytes": len(shard), "crc32c": checksum_of(shard)}
            | {"geometry": json.dumps(geometry.to_json())}
        )
    pl.DataFrame(rows, schema=STORED_SCHEMA).write_parquet(path / IMAGES)
    pl.DataFrame(failed, schema=FAILED_SCHEMA, orient="row").write_parquet(path / FAILED)
    tables = {name: digest_of_file(path / name) for name in (IMAGES, FAILED)}
    (path / "store.json").write_text(replace(about, tables=tables).to_json())


@pytest.mark.parametrize("size", [(600, 300), (192, 96), (256, 256), (1, 1), (518, 518)])
def test_a_shard_is_what_zarr_reads(tmp_path, size):
    spec = PixelSpec(name="any", rows=size[0], cols=size[1])
    images = [random_levels(*size, seed) for seed in range(2)]
    write_store(tmp_path / "s", spec, [images[0], None, images[1]])
    array = zarr.open_array(tmp_path / "s" / "pixels", mode="r")
    assert array.shape == (3, *size)
    np.testing.assert_array_equal(array[0], images[0])
    np.testing.assert_array_equal(array[1], np.zeros(size))
    np.testing.assert_array_equal(array[2], images[1])
    store = Store.open(tmp_path / "s", spec)
    np.testing.assert_array_equal(store.read("i0"), images[0])
    np.testing.assert_array_equal(store.read_many(["i2", "i0"]), images[::-1])


def test_a_patch_is_a_slice_with_zeros_beyond_the_image(tmp_path):
    levels = random_levels(600, 300, 0)
    write_store(tmp_path / "s", SIZED, [levels])
    store = Store.open(tmp_path / "s")
    wide = np.pad(levels, 400)
    random = np.random.default_rng(0)
    for _ in range(40):
        y, x, size = (int(v) for v in random.integers((-390, -390, 1), (650, 350, 300)))
        want = wide[y + 400 : y + 400 + size, x + 400 : x + 400 + size]
        got = store.patch("i0", y, x, size)
        np.testing.assert_array_equal(got[: want.shape[0], : want.shape[1]], want)
        assert got.shape == (size, size)
    np.testing.assert_array_equal(store.patch("i0", 10, 20, (5, 7)), levels[10:15, 20:27])


def test_native_images_keep_their_size_and_empty_chunks_take_no_room(tmp_path):
    images = [random_levels(700, 900, 0), random_levels(300, 200, 1)]
    write_store(tmp_path / "s", NATIVE, images)
    store = Store.open(tmp_path / "s")
    assert [store.size("i0"), store.size("i1")] == [(700, 900), (300, 200)]
    np.testing.assert_array_equal(store.read("i1"), images[1])
    np.testing.assert_array_equal(store.patch("i1", 290, 0, 20)[:10], images[1][290:, :20])
    assert not store.patch("i1", 300, 0, 20).any()
    written = shard_path(tmp_path / "s", 1).stat().st_size
    assert written < 300 * 100 * 2 + 24 * 20 * 16 + 2000  # half of it is zeros; and the index
    with pytest.raises(StoreError, match="300 x 200, 700 x 900 cannot be one array"):
        store.read_many(["i0", "i1"])
    with pytest.raises(StoreError, match="6200 x 10 does not fit the store's canvas"):
        encode_shard(np.zeros((6200, 10), np.uint16), Tiling.of((6144, 5120)))


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_it_reads_in_other_processes_and_threads(tmp_path, method):
    levels = random_levels(600, 300, 0)
    write_store(tmp_path / "s", SIZED, [levels])
    store = Store.open(tmp_path / "s")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).read("i0"), levels)
    with ThreadPoolExecutor(4) as pool:
        for patch in pool.map(lambda y: store.patch("i0", y, 0, 64), range(0, 320, 5)):
            assert patch.any()
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        np.testing.assert_array_equal(pool.submit(store.read, "i0").result(60), levels)


def test_geometry_comes_back(tmp_path):
    write_store(tmp_path / "s", SIZED, [random_levels(600, 300, 0)])
    geometry = Store.open(tmp_path / "s").geometry("i0")
    assert geometry == Geometry((1000, 800)).mirrored().resized(600, 300)


def test_what_is_not_there_is_told_with_its_reason(tmp_path):
    write_store(tmp_path / "s", SIZED, [None])
    store = Store.open(tmp_path / "s")
    assert "i0" not in store
    assert len(store) == 0
    with pytest.raises(StoreError, match="i0 could not be processed: it is blank"):
        store.read("i0")
    with pytest.raises(StoreError, match="no image other"):
        store.patch("other", 0, 0, 5)


def test_wrong_unfinished_and_foreign_stores_are_refused(tmp_path):
    write_store(tmp_path / "s", SIZED, [random_levels(600, 300, 0)])
    with pytest.raises(StoreError, match=r"made with pixel spec sized .* need mvccl-384x192"):
        Store.open(tmp_path / "s", pixel_spec("mvccl-384x192"))
    write_store(tmp_path / "t", SIZED, [None], complete=False)
    with pytest.raises(StoreError, match="not finished"):
        Store.open(tmp_path / "t")
    with pytest.raises(StoreError, match=r"no store\.json"):
        Store.open(tmp_path / "nothing")
    (tmp_path / "t" / "store.json").write_text("[1]")
    with pytest.raises(StoreError, match="damaged"):
        Store.open(tmp_path / "t")


@pytest.mark.parametrize("damage", [lambda d: d[:10], lambda d: b"\xff" * 100 + d[100:], None])
def test_a_damaged_shard_is_an_error_and_no_picture(tmp_path, damage):
    write_store(tmp_path / "s", SIZED, [random_levels(600, 300, 0)])
    path = shard_path(tmp_path / "s", 0)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StoreError, match="run `prepare` again"):
        Store.open(tmp_path / "s").read("i0")


def test_an_index_that_points_elsewhere_is_found_by_its_checksum(tmp_path):
    levels = random_levels(600, 600, 0)
    write_store(tmp_path / "s", PixelSpec(name="square", rows=600, cols=600), [levels])
    path, grid = shard_path(tmp_path / "s", 0), 9
    data = bytearray(path.read_bytes())
    first, second = (slice(-4 - 16 * (grid - n), -4 - 16 * (grid - n) + 16) for n in (0, 1))
    data[first], data[second] = data[second], data[first]  # two chunks change places
    path.write_bytes(data)
    with pytest.raises(StoreError, match="its checksum is another"):
        Store.open(tmp_path / "s").read("i0")


def test_a_bit_that_turned_anywhere_in_a_shard_is_found(tmp_path):
    levels = random_levels(300, 280, 0)
    write_store(tmp_path / "s", PixelSpec(name="small", rows=300, cols=280), [levels])
    store, path = Store.open(tmp_path / "s"), shard_path(tmp_path / "s", 0)
    whole = path.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(whole), 60):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 4,)) + whole[at + 1 :])
        with pytest.raises(StoreError, match="run `prepare` again"):
            store.read("i0")
        assert [p.kind for p in check_store(tmp_path / "s", pixels=True)] == ["files"]
    path.write_bytes(whole)
    np.testing.assert_array_equal(store.read("i0"), levels)
    assert check_store(tmp_path / "s", pixels=True) == []


def test_a_shard_in_another_ones_place_is_found(tmp_path):
    images = [random_levels(300, 280, seed) for seed in range(2)]
    write_store(tmp_path / "s", PixelSpec(name="small", rows=300, cols=280), images)
    shard_path(tmp_path / "s", 1).write_bytes(shard_path(tmp_path / "s", 0).read_bytes())
    (problem,) = check_store(tmp_path / "s", pixels=True)
    assert "1 of 2 images" in problem.text
    assert "i1 (c.1.0.0)" in problem.text


@pytest.mark.parametrize("name", [IMAGES, FAILED, "store.json"])
def test_a_bit_that_turned_in_a_table_or_the_description_is_found(tmp_path, name):
    write_store(tmp_path / "s", SIZED, [random_levels(600, 300, 0), None])
    path = tmp_path / "s" / name
    whole = path.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(whole) - 1, 40):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        with pytest.raises(StoreError):
            Store.open(tmp_path / "s")


def test_a_store_without_checksums_is_refused_with_what_to_do(tmp_path):
    write_store(tmp_path / "s", SIZED, [None])
    about = json.loads((tmp_path / "s" / "store.json").read_text())
    (tmp_path / "s" / "store.json").write_text(json.dumps(about | {"format": 1}))
    with pytest.raises(StoreError, match=r"without checksums .* prepare it again, in a new folder"):
        Store.open(tmp_path / "s")
