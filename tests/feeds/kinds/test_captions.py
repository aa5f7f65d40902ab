"""The captions feed: which images go together, which are told, and that it repeats itself."""

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from factory import drawn_store
from fourview.errors import ManifestError, RecipeError
from fourview.feeds.feed import FeedRequest, find_feed, item_draw
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.nn.tokenizer import small_vocabulary

NUM_EXAMS = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    manifest, store = drawn_store(tmp_path_factory.mktemp("data"), num_patients=NUM_EXAMS)
    birads = pl.Series([1, 2, 4, 0, 5, 2], dtype=pl.Int8)
    return replace(manifest, breasts=manifest.breasts.with_columns(birads=birads)), store


def feed(data, **settings):
    request = FeedRequest(classes={}, training=True, settings=CaptionFeedConfig(**settings))
    return find_feed("captions").make(*data, request)


def drawn(feed, index, times):
    return [feed.read(index, np.random.default_rng([index, n])).sample for n in range(times)]


def test_every_image_is_an_anchor_once_and_its_text_is_its_own(data):
    items = feed(data, positive="exam")
    assert sorted(s.images[0] for s in items.samples) == sorted(data[0].images["image_id"])
    batch = items.collate([items.read(i, item_draw(0, 0, i)) for i in range(len(items))])
    anchors = batch.text.image
    assert batch.exam[anchors].tolist() == list(range(len(items)))
    assert batch.patient.tolist() == sorted(list(range(NUM_EXAMS)) * 4)
    known = data[0].breasts
    numbers = small_vocabulary()
    words = {row["exam_id"]: {} for row in known.iter_rows(named=True)}
    for row in known.iter_rows(named=True):
        words[row["exam_id"]][row["side"]] = row["birads"]
    for index, sample in enumerate(items.samples):
        side = "RL"[int(batch.slot[anchors[index]]) % 2]
        tokens = batch.text.tokens[index].tolist()
        place = tokens.index(numbers["category"])
        assert tokens[place + 1] == numbers[str(words[sample.exam_id][side])]


@pytest.mark.parametrize(
    ("positive", "wanted"),
    [  # slots R-CC, L-CC, R-MLO, L-MLO of the second image, for an anchor of slot 0
        ("none", {}),
        ("same", {0: 1.0}),
        ("exam", {0: 0.25, 1: 0.25, 2: 0.25, 3: 0.25}),
        ("other", {1: 1 / 3, 2: 1 / 3, 3: 1 / 3}),
        ("breast", {0: 0.5, 2: 0.5}),
        ("partner", {2: 1.0}),
    ],
)
def test_the_second_image_is_drawn_as_the_setting_says(data, positive, wanted):
    items = feed(data, positive=positive)
    index = next(i for i, s in enumerate(items.samples) if s.slots == (0,))
    times = 400
    counts = Counter(s.slots[1] for s in drawn(items, index, times) if len(s.slots) == 2)
    assert set(counts) == set(wanted)
    for slot, share in wanted.items():  # within four standard deviations
        spread = 4 * (share * (1 - share) / times) ** 0.5
        assert counts[slot] / times == pytest.approx(share, abs=spread + 1e-9)


def test_the_anchor_can_be_its_own_positive_with_a_given_probability(data):
    items = feed(data, positive="exam", self_prob=0.5)
    pairs = [s.images for s in drawn(items, 0, 400)]
    again = sum(a == b for a, b in pairs) / len(pairs)
    assert again == pytest.approx(0.5, abs=4 * 0.5 / 20)
    assert all(len(p) == 2 for p in pairs)


def test_partners_come_cc_first_and_the_text_stays_with_the_anchor(data):
    items = feed(data, positive="partner")
    for index, own in enumerate(items.samples):
        item = items.read(index)
        assert item.sample.slots[0] < 2 <= item.sample.slots[1]
        assert item.sample.slots[0] % 2 == item.sample.slots[1] % 2
        ((place, _),) = item.captions
        assert item.sample.images[place] == own.images[0]


def test_an_anchor_without_a_partner_is_alone(data):
    manifest, store = data
    images = manifest.images.filter(pl.col("view") == "CC")
    items = feed((replace(manifest, images=images), store), positive="partner")
    assert {len(items.read(i).sample.images) for i in range(len(items))} == {1}


def test_both_images_or_two_texts_can_be_told(data):
    every = feed(data, positive="partner", texts="every").read(0)
    assert [place for place, _ in every.captions] == [0, 1]
    twice = feed(data, positive="none", num_texts=2).read(0, item_draw(0, 0, 0))
    assert [place for place, _ in twice.captions] == [0, 0]
    once = feed(data, positive="same").read(0)
    assert [place for place, _ in once.captions] == [0]


def test_an_item_is_decided_by_seed_epoch_and_index_and_changes_with_each(data):
    items = feed(data, positive="exam")

    def told(seed, epoch):
        return [
            (item.sample.images, item.captions)
            for item in (items.read(i, item_draw(seed, epoch, i)) for i in range(len(items)))
        ]

    assert told(0, 0) == told(0, 0)
    assert told(0, 0) != told(0, 1) and told(0, 0) != told(1, 0)


def test_nothing_but_the_side_is_hidden_where_nothing_is_trained(data):
    items = feed(data, positive="exam")
    ((_, caption),) = items.read(0).captions
    assert caption.text.count("unknown") == 4  # race, ethnicity and kind are; the side is hidden
    assert torch.equal(*(items.collate([items.read(0)]).text.tokens for _ in range(2)))


def test_an_image_without_what_is_required_is_no_anchor(data):
    manifest, store = data
    birads = pl.when(pl.col("side") == "R").then("birads")
    some = replace(manifest, breasts=manifest.breasts.with_columns(birads=birads))
    items = feed((some, store), positive="exam")
    assert {s.slots[0] % 2 for s in items.samples} == {0}
    assert any(s.slots[1] % 2 == 1 for s in drawn(items, 0, 50))  # but it can be the positive
    with pytest.raises(ManifestError, match="procedure"):
        feed((some, store), require=("procedure",))


def test_one_anchor_of_each_exam_is_drawn_anew(data):
    items = feed(data, anchors="exam", positive="none")
    assert len(items) == NUM_EXAMS
    assert len({s.images for s in drawn(items, 0, 60)}) == 4


def test_recipes_of_this_feed_read_exams(data):
    with pytest.raises(RecipeError, match="unit=exam"):
        find_feed("captions").make(*data, FeedRequest(classes={}, unit="breast"))


def test_only_the_segments_that_are_asked_for_are_told(data):
    items = feed(data, segments=("impression", "findings"))
    ((_, caption),) = items.read(0).captions
    assert caption.segments == ("findings", "impression")  # in the style's order
    with pytest.raises(
        RecipeError, match="style structured: no segment 'history'; there are: proc"
    ):
        feed(data, segments=("history",))
