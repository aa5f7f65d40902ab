from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from factory import drawn_manifest
from fourview.errors import RecipeError, StoreError, TrainingError
from fourview.feeds.feed import MAPS, FeedRequest, find_feed, item_draw
from fourview.feeds.kinds.patches import PatchFeed, PatchSettings
from fourview.feeds.window_sources import BENIGN, CLASSES, MALIGNANT, NEGATIVE, OUTSIDE
from fourview.manifest.manifest import make_manifest
from fourview.predict.frozen import with_codes
from fourview.preprocess.spec import pixel_spec
from fourview.store.prepare import prepare
from fourview.store.said import Said
from fourview.store.store import Store


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
    kept = Said({"recipe": "r", "weights": "d" * 64}, store.path)
    for place_, image_id in enumerate(ids):
        np.testing.assert_array_equal(kept.read(image_id, MAPS), maps[place_])
    feed = feed_of(place, training=False, context=kept)
    item = feed.read(0)
    np.testing.assert_array_equal(item.maps[0, 1:], kept.read(item.source.image_id, MAPS))
    with pytest.raises(StoreError, match="cannot be read"):
        Said({"recipe": "r", "weights": "e" * 64}, store.path).read(ids[0], MAPS)
    with pytest.raises(RecipeError, match="grid of 6x3"):
        feed_of(place, training=False, context=kept, grid=(5, 3))


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
