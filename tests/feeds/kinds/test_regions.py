"""Codes of regions: computed once, the right ones, under the right fingerprint."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from factory import drawn_store
from fourview.contract import task
from fourview.feeds.copies import CopyRule, Move, draw_move, move_of_copy
from fourview.feeds.feed import FeedRequest, item_draw
from fourview.feeds.grid import RegionRule, cut_regions, find_regions
from fourview.feeds.kinds.regions import FEED, RegionFeed, RegionFeedSettings
from fourview.geometry import Box
from fourview.localise.findings import stored_boxes
from fourview.manifest.image_labels import with_stand_in_birads
from fourview.nn.encoder import EncoderConfig
from fourview.nn.region_encoder import RegionEncoderConfig, frozen_region_encoder
from fourview.predict.frozen import encode, with_codes

TINY = RegionEncoderConfig(
    network=EncoderConfig(name="small", weights="none", widths=(4, 4, 4, 4, 6)), pool="mean_max"
)
RULE = RegionRule(side=32, stride=16)
COPIES = CopyRule(copies=2, shift_px=8)
SETTINGS = RegionFeedSettings(windows=RULE, encoder=TINY, copies=COPIES, labels="findings")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A manifest whose images of breasts with cancer have a finding, and its store."""
    manifest, store = drawn_store(tmp_path_factory.mktemp("drawn"), num_patients=4)
    cancers = manifest.images.join(
        manifest.breasts.filter(cancer=1).select("exam_id", "side"), on=["exam_id", "side"]
    )
    box = {"x0": 20.0, "y0": 60.0, "x1": 60.0, "y1": 90.0, "frame": "stored", "kind": "mass"}
    keys = ("patient_id", "exam_id", "image_id", "side")
    rows = [
        {k: row[k] for k in keys} | box | {"finding_id": row["image_id"], "malignant": n % 2}
        for n, row in enumerate(cancers.iter_rows(named=True))
    ]
    schema = dict(manifest.findings.schema)
    findings = manifest.findings.clear().vstack(
        type(manifest.findings)([{c: row.get(c) for c in schema} for row in rows], schema=schema)
    )
    return with_stand_in_birads(replace(manifest, findings=findings)), store


def feed_of(drawn, *, training: bool, **changes) -> RegionFeed:
    manifest, store = drawn
    request = FeedRequest(
        classes=task("abnormality").labels,
        training=training,
        settings=replace(SETTINGS, **changes),
        cache_bytes=2**20,
    )
    plain = FEED.make(manifest, store, request)
    if plain.settings.reads == "pixels":
        return plain
    return with_codes(plain, frozen_region_encoder(plain.settings.encoder))


def test_a_code_is_the_encoders_of_that_window(drawn):
    _, store = drawn
    feed = feed_of(drawn, training=False)
    image_id, slot = feed.samples[0].images[0], feed.samples[0].slots[0]
    levels = store.read(image_id)
    boxes = find_regions(levels, slot, RULE)
    assert np.array_equal(feed.said.read(image_id, "boxes"), boxes)
    for (x0, y0, x1, y1), code in zip(boxes, feed.said.read(image_id, "codes0"), strict=True):
        pixels = torch.from_numpy(levels[y0:y1, x0:x1].astype(np.float32) / 65535)
        with torch.no_grad():
            wanted = frozen_region_encoder(TINY)(pixels[None, None])[0].numpy()
        np.testing.assert_allclose(code, wanted, rtol=2e-3, atol=1e-4)  # kept in 16 bits


def test_codes_are_kept_in_16_bits(drawn):
    feed = feed_of(drawn, training=False)
    codes = feed.said.read(feed.samples[0].images[0], "codes0")
    assert codes.dtype == np.float16


def test_a_copy_is_shifted_and_turned_as_its_move_says(drawn):
    _, store = drawn
    feed = feed_of(drawn, training=True)
    image_id = store.table["image_id"][0]
    move = move_of_copy(image_id, 2, COPIES)
    assert move not in (Move(), move_of_copy(image_id, 1, COPIES))
    levels, boxes = np.pad(store.read(image_id), 50), feed.said.read(image_id, "boxes")
    shifted = boxes + 50 + np.array([move.dx, move.dy, move.dx, move.dy])
    windows = np.stack([np.rot90(w, move.turns) for w in cut_regions(levels, shifted)])
    windows = windows[:, :, ::-1] if move.mirrored else windows
    pixels = windows.astype(np.float32) / np.float32(65535)
    wanted = encode(frozen_region_encoder(TINY), pixels)
    np.testing.assert_allclose(feed.said.read(image_id, "codes2"), wanted, rtol=2e-3, atol=1e-4)


def test_what_is_there_is_not_computed_again(drawn):
    plain = feed_of(drawn, training=True, reads="pixels")
    told = []
    feed_of(drawn, training=True)
    with_codes(plain, frozen_region_encoder(TINY), progress=lambda *_: told.append(1))
    assert told == []


def test_the_fingerprint_changes_with_all_that_decides_a_code(drawn):
    narrow = replace(TINY, network=replace(TINY.network, widths=(4, 4, 4, 4, 5)))
    changes = [
        {"windows": replace(RULE, stride=8)},
        {"encoder": narrow},
        {"encoder": replace(TINY, pool="mean")},
        {"copies": replace(COPIES, shift_px=9)},
        {"copies": replace(COPIES, seed=1)},
    ]
    mine = feed_of(drawn, training=False).said.fingerprint
    others = {feed_of(drawn, training=False, **change).said.fingerprint for change in changes}
    assert len(others | {mine}) == len(changes) + 1
    more = feed_of(drawn, training=False, copies=replace(COPIES, copies=7))
    assert more.said.fingerprint == mine


def test_training_shows_every_class_as_often(drawn):
    feed = feed_of(drawn, training=True)
    order = feed.order(seed=0, epoch=0)
    shown = [feed._class_of(feed.samples[i % len(feed)]) for i in order]
    counts = {name: shown.count(name) for name in ("malignant", "benign", "normal")}
    assert len(set(counts.values())) == 1 and sum(counts.values()) == len(order)
    assert len(set(order)) == len(order)  # a repeat has an index, and so a draw, of its own
    assert {i % len(feed) for i in order} == set(range(len(feed)))
    assert feed.order(seed=0, epoch=1) != order == feed.order(seed=0, epoch=0)


def test_an_item_repeats_itself_and_epochs_differ(drawn):
    feed = feed_of(drawn, training=True)
    reads = [feed.read(0, item_draw(0, epoch, 0)).values[0] for epoch in (0, 0, 1, 2, 3)]
    assert np.array_equal(reads[0], reads[1])
    assert any(not np.array_equal(reads[0], other) for other in reads[2:])


def test_a_batch_says_whose_region_each_is(drawn):
    feed = feed_of(drawn, training=False)
    batch = feed.collate([feed.read(0), feed.read(1)])
    assert batch.num_exams == 2 and batch.num_images == 8
    images = [i for sample in feed.samples[:2] for i in sample.images]
    for number, image_id in enumerate(images):
        own = batch.patches.image == number
        assert np.array_equal(batch.patches.box[own], feed.said.read(image_id, "boxes"))
        assert batch.image_targets["cancer"][number] == feed.labels["cancer"][image_id]
    slots = [slot for sample in feed.samples[:2] for slot in sample.slots]
    for exam in range(2):
        for side in range(2):
            own = [n for n in range(8) if n // 4 == exam and slots[n] % 2 == side]
            worst = max(batch.image_targets["cancer"][n] for n in own)
            assert batch.targets["cancer"][exam, side] == worst


def test_pixels_are_the_windows_that_codes_are_made_of(drawn):
    feed = feed_of(drawn, training=False, reads="pixels")
    codes = feed_of(drawn, training=False)
    patches = feed.collate([feed.read(0)]).patches
    with torch.no_grad():
        made = frozen_region_encoder(TINY)(patches.pixels)
    read = codes.collate([codes.read(0)]).patches
    assert torch.equal(patches.box, read.box)
    torch.testing.assert_close(made, read.codes, rtol=2e-3, atol=1e-4)  # stored in 16 bits


def test_boxes_come_back_to_the_stored_frame(drawn):
    feed = feed_of(drawn, training=False)
    image_id = feed.samples[0].images[0]  # a right breast, so mirrored
    boxes = feed.said.read(image_id, "boxes").astype(np.float64)
    geometry = feed.pixels.geometry(image_id)
    for processed, stored in zip(boxes, stored_boxes(geometry, boxes), strict=True):
        wanted = geometry.box_to_stored(Box(*processed)).clipped(geometry.stored_size)
        np.testing.assert_allclose(stored, [wanted.x0, wanted.y0, wanted.x1, wanted.y1])


@pytest.mark.parametrize("reads", ["codes", "pixels"])
def test_hits_are_of_the_places_that_were_read_shifts_and_all(drawn, reads):
    manifest, store = drawn
    feed = feed_of(drawn, training=True, boxes=True, reads=reads)
    index = next(i for i, s in enumerate(feed.samples) if s.images[0] in feed.findings)
    image_id = feed.samples[index].images[0]
    row = manifest.findings.filter(image_id=image_id).row(0, named=True)
    finding = store.geometry(image_id).box_to_processed(
        Box(row["x0"], row["y0"], row["x1"], row["y1"])
    )
    shifts = set()
    for step in range(12):
        item = feed.read(index, item_draw(0, step, index))
        draw = item_draw(0, step, index)
        move = (
            move_of_copy(image_id, int(draw.integers(COPIES.copies + 1)), COPIES)
            if reads == "codes"
            else draw_move(draw, COPIES.shift_px)
        )
        shifts.add((move.dx, move.dy))
        for box, own in zip(item.boxes[0].tolist(), item.hits[0].T.tolist(), strict=True):
            x0, y0, x1, y1 = box
            there = Box(x0 + move.dx, y0 + move.dy, x1 + move.dx, y1 + move.dy)
            hit = there.iom(finding) >= 0.5
            assert own == [
                float(hit and row["malignant"] == 1),
                float(hit and row["malignant"] == 0),
            ]
    assert len(shifts) > 1
    batch = feed.collate([feed.read(i) for i in range(len(feed))])
    assert batch.patches.targets["cancer"].sum() > 0
    plain = feed_of(drawn, training=True)
    assert plain.collate([plain.read(0)]).patches.targets == {}
