"""The images feed: single images with a known label, drawn evenly from the classes."""

from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from factory import drawn_store
from fourview.contract import task
from fourview.feeds.feed import FeedRequest, find_feed
from fourview.feeds.kinds.images import ImageFeedConfig

BIRADS = [1, 1, 1, 1, 2, 1, 4, 1, 1, None]  # right and left breast of five exams


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    manifest, store = drawn_store(tmp_path_factory.mktemp("data"), num_patients=5)
    birads = pl.Series(BIRADS, dtype=pl.Int8)
    return replace(manifest, breasts=manifest.breasts.with_columns(birads=birads)), store


def feed(data, *, training=True, **settings):
    request = FeedRequest(
        classes=task("birads7").labels, training=training, settings=ImageFeedConfig(**settings)
    )
    return find_feed("images").make(*data, request)


def images(items):
    return [sample.images for sample in items.samples]


def label(sample):
    (known,) = [v for v in sample.targets["birads7"] if not np.isnan(v)]
    return known


def test_an_item_is_one_image_with_its_own_breasts_label(data):
    items = feed(data)
    assert len(items) == 18  # two images a breast whose label is known
    assert Counter(label(s) for s in items.samples) == {1.0: 14, 2.0: 2, 4.0: 2}
    batch = items.collate([items.read(i) for i in range(4)])
    assert batch.exam.tolist() == [0, 1, 2, 3]
    values = batch.target_of_images("birads7").tolist()
    assert values == [label(s) for s in items.samples[:4]]


def test_classes_are_drawn_as_often_as_each_other(data):
    items = feed(data, draws=3000)
    order = items.order(seed=0, epoch=0)
    counts = Counter(label(items.samples[i]) for i in order)
    for count in counts.values():  # a third each, within four standard deviations
        assert count / 3000 == pytest.approx(1 / 3, abs=4 * (2 / 9 / 3000) ** 0.5)
    assert order == items.order(seed=0, epoch=0)
    assert order != items.order(seed=0, epoch=1)


def test_without_balance_every_image_comes_equally_often(data):
    items = feed(data, balanced=False)
    assert sorted(items.order(seed=0, epoch=0)) == list(range(18))
    twice = feed(data, balanced=False, draws=36)
    assert set(Counter(twice.order(seed=0, epoch=3)).values()) == {2}


def test_a_part_keeps_every_class_and_does_not_depend_on_the_runs_seed(data):
    tenth = feed(data, fraction=0.1)
    assert Counter(label(s) for s in tenth.samples) == {1.0: 1, 2.0: 1, 4.0: 1}
    half = feed(data, fraction=0.5)
    assert Counter(label(s) for s in half.samples) == {1.0: 7, 2.0: 1, 4.0: 1}
    assert images(half) == images(feed(data, fraction=0.5))
    assert images(half) != images(feed(data, fraction=0.5, fraction_seed=1))
    assert set(images(half)) <= set(images(feed(data)))


def test_what_is_measured_comes_as_whole_exams(data):
    items = feed(data, training=False, fraction=0.1)
    assert [len(s.images) for s in items.samples] == [4] * 5
