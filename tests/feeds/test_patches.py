import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import nn

from factory import drawn_manifest
from fourview.errors import RecipeError, StoreError, TrainingError
from fourview.feeds.feed import MAPS, FeedRequest, find_feed, item_draw
from fourview.feeds.kinds.patches import PatchFeed, PatchSettings
from fourview.feeds.patches import (
    Outline,
    Window,
    coverage,
    cut_window,
    draw_window,
    grid_maps,
    patch_reader,
    windows_of_finding,
)
from fourview.feeds.window_sources import BENIGN, CLASSES, MALIGNANT, NEGATIVE, OUTSIDE
from fourview.manifest.manifest import make_manifest
from fourview.predict.frozen import with_codes
from fourview.preprocess.spec import pixel_spec
from fourview.store.prepare import prepare
from fourview.store.said import Said
from fourview.store.store import Store

PAPER, GRID = (2944, 1920), (46, 30)
SQUARE = Outline(np.array([(40.0, 60.0), (60.0, 60.0), (60.0, 90.0), (40.0, 90.0)]))


def test_the_worked_example_of_the_paper_covers_its_cells_as_printed():
    maps = coverage(Window(600, 400, 200).corners(), PAPER, GRID)  # rows 300-500, cols 500-700
    rows, cols = np.nonzero(maps)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (4, 7, 7, 10)
    assert (maps > 0).sum() == 16
    assert maps.sum() == pytest.approx(9.765625, abs=1e-6)
    assert maps[4, 7] == pytest.approx(0.05859375, abs=1e-7)
    assert maps[5, 8] == 1.0


@settings(max_examples=60, deadline=None)
@given(st.floats(300, 1600), st.floats(300, 2600), st.floats(128, 384), st.floats(-30, 30))
def test_coverage_sums_to_the_area_of_a_turned_window(x, y, side, degrees):
    maps = coverage(Window(x, y, side, degrees).corners(), PAPER, GRID)
    assert maps.sum(dtype=np.float64) == pytest.approx(side**2 / 4096, rel=1e-6)  # float32 cells
    assert maps.min() >= 0 and maps.max() <= 1


def test_coverage_of_a_turned_window_agrees_with_counting_points():
    window, fine = Window(70, 50, 60, 25), 16
    y, x = (np.mgrid[: 128 * fine, : 96 * fine] + 0.5) / fine
    turn = math.radians(25)
    along = (x - 70) * math.cos(turn) + (y - 50) * math.sin(turn)
    across = -(x - 70) * math.sin(turn) + (y - 50) * math.cos(turn)
    inside = (abs(along) < 30) & (abs(across) < 30)
    want = inside.reshape(8, 16 * fine, 6, 16 * fine).mean(axis=(1, 3))
    # points a 1/16 pixel apart miss at most half of that along a side through a cell of 16 pixels
    np.testing.assert_allclose(coverage(window.corners(), (128, 96), (8, 6)), want, atol=5e-3)


def test_coverage_counts_what_lies_inside_the_image_only():
    maps = coverage(Window(0, 64, 64).corners(), (128, 128), (2, 2))
    assert maps.tolist() == [[0.25, 0.0], [0.25, 0.0]]


def test_a_window_shows_the_pixels_below_it_turned_about_its_centre():
    levels = np.random.default_rng(0).integers(1, 65535, (120, 90)).astype(np.uint16)
    smooth = ndimage.gaussian_filter(levels.astype(float), 3)
    levels = smooth.astype(np.uint16)
    window = Window(41.3, 63.7, 30, 20)
    got = cut_window(patch_reader(levels), window, 24)
    place = ((np.mgrid[:24, :24] + 0.5) / 24 - 0.5) * 30
    turn = math.radians(20)
    x = 41.3 + place[1] * math.cos(turn) - place[0] * math.sin(turn)
    y = 63.7 + place[1] * math.sin(turn) + place[0] * math.cos(turn)
    want = ndimage.map_coordinates(levels.astype(float), [y - 0.5, x - 0.5], order=1) / 65535
    # OpenCV rounds places to 1/32 pixel; neighbours differ by less than 4 % here
    np.testing.assert_allclose(got, want, atol=0.04 / 32 + 1e-4)


def test_a_window_is_dark_beyond_the_image():
    levels = np.full((40, 40), 65535, np.uint16)
    got = cut_window(patch_reader(levels), Window(0, 20, 20), 20)
    assert (got[:, :9] == 0).all() and (got[:, 11:] == 1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_window_of_a_finding_overlaps_it(seed):
    draw = np.random.default_rng(seed)
    window = draw_window(draw, SQUARE, sides=(10, 40), degrees=30)
    assert SQUARE.overlap(window) > 0
    assert 10 <= window.side <= 40 and abs(window.degrees) <= 30
    wide = draw_window(draw, SQUARE, sides=(10, 40), min_overlap_px=80)
    assert SQUARE.overlap(wide) >= 80


def test_points_are_drawn_from_the_polygon_and_not_from_its_box():
    triangle = Outline(np.array([(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)]))
    draw = np.random.default_rng(0)
    points = np.array([triangle.draw_point(draw) for _ in range(300)])
    assert (points.sum(axis=1) <= 10 + 1e-5).all()
    assert abs(points.mean(axis=0) - 10 / 3).max() < 4 * 2.4 / math.sqrt(300)  # sd of a coordinate


def test_a_finding_is_scored_by_the_same_upright_windows_every_time():
    one, again = (windows_of_finding("f\ni", SQUARE, num=9, sides=(10, 40)) for _ in range(2))
    assert one == again != windows_of_finding("g\ni", SQUARE, num=9, sides=(10, 40))
    assert all(w.degrees == 0 and SQUARE.overlap(w) > 0 for w in one)


def test_maps_are_the_coverage_then_the_context():
    context = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    windows = [Window(20, 30, 20, 30), Window(10, 10, 10)]
    maps = grid_maps(windows, (60, 40), (3, 2), context)
    assert maps.shape == (2, 3, 3, 2)
    np.testing.assert_array_equal(maps[:, 1:], np.stack([context, context]))
    np.testing.assert_array_equal(maps[0, 0], coverage(windows[0].corners(), (60, 40), (3, 2)))
    upright = grid_maps(windows, (60, 40), (3, 2), None, upright=True)
    np.testing.assert_array_equal(
        upright[0, 0], coverage(Window(20, 30, 20).corners(), (60, 40), (3, 2))
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Eight patients: right breasts of four have a malignant and a benign finding in CC."""
    root = tmp_path_factory.mktemp("patches")
    (root / "pictures").mkdir()
    base = drawn_manifest(root / "pictures")
    rows = []
    for image in base.images.filter((pl.col("side") == "R") & (pl.col("view") == "CC"))[
        :4
    ].iter_rows(named=True):
        for name, malignant, y in (("a", 1, 60.0), ("b", 0, 110.0)):
            keys = {k: image[k] for k in ("patient_id", "exam_id", "image_id", "side")}
            rows.append(
                {
                    **keys,
                    "finding_id": f"{image['exam_id']}-{name}",
                    "malignant": malignant,
                    "kind": "mass",
                    "frame": "stored",
                    **{"x0": 70.0, "y0": y, "x1": 90.0, "y1": y + 20},
                }
            )
    manifest = make_manifest(
        source=base.source,
        root=base.root,
        images=base.images,
        breasts=base.breasts,
        exams=base.exams,
        findings=pl.DataFrame(rows),
        terms=base.terms,
    )
    prepare(manifest, pixel_spec("mvccl-192x96"), root / "store", workers=1)
    return manifest, Store.open(root / "store")


SMALL = PatchSettings(sides=(10, 30), patch_px=16, per_epoch=(6, 5, 4, 3), windows=7, grid=(6, 3))


def feed_of(place, *, training: bool, **changes) -> PatchFeed:
    manifest, store = place
    request = FeedRequest(
        classes={"malignant": ("cancer",)},
        training=training,
        settings=replace(SMALL, **{k: v for k, v in changes.items() if hasattr(SMALL, k)}),
        **{k: v for k, v in changes.items() if not hasattr(SMALL, k)},
    )
    return find_feed("patches").make(manifest, store, request)


def test_an_epoch_has_as_many_windows_of_each_class_as_asked(place):
    feed = feed_of(place, training=True)
    order = feed.order(seed=0, epoch=0)
    kinds = [feed.sources[i % len(feed)].kind for i in order]
    assert [kinds.count(k) for k in range(4)] == [6, 5, 4, 3]
    assert len(set(order)) == len(order)  # a source that comes twice is drawn differently
    assert order == feed.order(seed=0, epoch=0) != feed.order(seed=0, epoch=1)
    malignant = [i % len(feed) for i in order if feed.sources[i % len(feed)].kind == MALIGNANT]
    assert set(malignant) == {i for i, s in enumerate(feed.sources) if s.kind == MALIGNANT}


def test_windows_keep_the_rule_of_their_class(place):
    feed = feed_of(place, training=True)
    manifest, _ = place
    with_findings = set(manifest.findings["image_id"])
    biopsied = set(manifest.findings.select("exam_id", "side").iter_rows())
    for n, index in enumerate(feed.order(seed=1, epoch=0)):
        item = feed.read(index, item_draw(1, 0, index))
        (window,), source = item.windows, item.source
        others = [outline.overlap(window) for outline in source.others]
        assert all(shared == 0 for shared in others), n
        if source.kind in (MALIGNANT, BENIGN):
            assert source.outline.overlap(window) > 0
        else:
            assert (item.pixels > 0).mean() >= 0.5
        assert (source.image_id in with_findings) == (source.kind != NEGATIVE)
        if source.kind == NEGATIVE:
            side = "RL"[item.sample.slots[0] % 2]
            assert (item.sample.exam_id, side) not in biopsied


def test_chunks_of_the_store_give_the_pixels_of_the_whole_image(place):
    from_store, in_memory = (feed_of(place, training=True, cache_bytes=b) for b in (0, 1 << 30))
    for index in from_store.order(seed=0, epoch=0)[:6]:
        one = from_store.read(index, item_draw(0, 0, index))
        other = in_memory.read(index, item_draw(0, 0, index))
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_measuring_gives_every_finding_its_windows_and_what_is_known(place):
    feed = feed_of(place, training=False)
    assert len(feed) == 8
    batch = feed.collate([feed.read(i) for i in range(len(feed))])
    patches = batch.patches
    assert patches.num_findings == 8 and len(patches.pixels) == 56
    assert patches.finding_targets["malignant"].tolist() == [1.0, 0.0] * 4
    assert [s.findings for s in feed.samples][:2] == [("e00-a",), ("e00-b",)]
    assert patches.maps.shape == (56, 1, 6, 3)
    assert patches.targets["patch_class"][:8].tolist() == [0.0] * 7 + [1.0]
    assert batch.pixels.shape == (8, 1, 0, 0)


def test_windows_that_are_saved_are_the_same_in_every_epoch_and_bring_their_codes(place):
    plain = feed_of(place, training=True, saved=3)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 5)).requires_grad_(False)
    coded = with_codes(plain, encoder)
    seen = set()
    for epoch in range(6):
        one, other = (feed.read(0, item_draw(0, epoch, 0)) for feed in (plain, coded))
        assert one.windows == other.windows and other.pixels is None
        np.testing.assert_array_equal(one.maps, other.maps)
        want = encoder(torch.from_numpy(one.pixels))
        np.testing.assert_allclose(other.codes, want, atol=1e-5)  # batches of another size
        seen.add(one.windows)
    assert 1 < len(seen) <= 3
    patches = coded.collate([coded.read(0, item_draw(0, 0, 0))]).patches
    assert patches.pixels is None and patches.codes.shape == (1, 5)


def test_codes_are_made_once_for_an_encoder_and_its_windows(place):
    plain = feed_of(place, training=False)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 5)).requires_grad_(False)
    made = with_codes(plain, encoder).read(1)
    asked: list[int] = []
    again = with_codes(plain, encoder, progress=lambda *_: asked.append(1)).read(1)
    assert not asked
    np.testing.assert_array_equal(made.codes, again.codes)
    other = nn.Sequential(nn.Flatten(), nn.Linear(256, 5)).requires_grad_(False)
    with_codes(plain, other, progress=lambda *_: asked.append(1))
    assert len(asked) == len(plain)


def test_a_class_without_a_place_is_refused_by_name(place):
    manifest, store = place
    request = FeedRequest(
        classes={"malignant": ("cancer",)}, training=True, settings=SMALL, part="train"
    )
    feed = find_feed("patches").make(manifest, store, request)
    with pytest.raises(TrainingError, match=CLASSES[MALIGNANT]):
        feed.order(seed=0, epoch=0)
    assert CLASSES.index("outside") == OUTSIDE


def test_context_maps_are_kept_beside_the_store_and_refused_for_another(place):
    _, store = place
    ids = store.table["image_id"].to_list()
    maps = np.random.default_rng(0).random((len(ids), 2, 6, 3), dtype=np.float32)
    said = Said({"recipe": "r", "weights": "d" * 64}, store.path)
    assert not said.has(ids[0], MAPS)
    for image_id, own in zip(ids, maps, strict=True):
        said.write(image_id, {MAPS: own})
    found = Said({"recipe": "r", "weights": "d" * 64}, store.path)
    for place_, image_id in enumerate(ids):
        np.testing.assert_array_equal(found.read(image_id, MAPS), maps[place_])
    feed = feed_of(place, training=False, context=found)
    item = feed.read(0)
    np.testing.assert_array_equal(item.maps[0, 1:], found.read(item.source.image_id, MAPS))
    with pytest.raises(StoreError, match="cannot be read"):
        Said({"recipe": "r", "weights": "e" * 64}, store.path).read(ids[0], MAPS)
    with pytest.raises(RecipeError, match="grid of 6x3"):
        feed_of(place, training=False, context=found, grid=(5, 3))


def test_a_finding_that_moved_has_codes_of_its_own(place):
    manifest, store = place
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 5)).requires_grad_(False)
    plain = feed_of(place, training=False)
    before = with_codes(plain, encoder).read(0)
    shifted = manifest.findings.with_columns(pl.col("y0", "y1") + 7)
    moved = feed_of((replace(manifest, findings=shifted), store), training=False)
    after = with_codes(moved, encoder).read(0)
    assert before.windows != after.windows
    np.testing.assert_allclose(
        after.codes, encoder(torch.from_numpy(moved.read(0).pixels)), atol=1e-5
    )
