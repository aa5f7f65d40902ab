"""The line of an epoch, and how long it will take."""

import math

import pytest

from fourview.train.state import Position
from fourview.train.told import Told, duration, line_of_epoch
from fourview.train.validate import Validation


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (99.4, "99 s"),
        (100, "2 min"),
        (3569, "59 min"),
        (3600, "1 h 00 min"),
        (12_000, "3 h 20 min"),
        (math.nan, "unknown"),
    ],
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


def test_a_line_has_what_is_known_and_the_best_so_far():
    position = Position(epoch=4, step=0, total_steps=40, best_epoch=1, best_value=0.5, digest="d")
    means = {"loss": 0.6, "parts": {"bce": 0.5, "similarity": 0.1, "none": None}}
    validation = Validation(loss=0.7, auc=math.nan, parts={})
    line = line_of_epoch(3, 10, means, validation, position, 12.0, 72.0)
    assert line == (
        "epoch 4 of 10: loss 0.6000 (bce 0.5000, similarity 0.1000); validation loss 0.7000; "
        "best in epoch 2; 12 s, 72 s left"
    )
    nothing = Validation(loss=math.nan, auc=math.nan, parts={})
    line = line_of_epoch(1, 2, {"loss": None, "parts": {}}, nothing, position, 1.0, math.nan)
    assert line == "epoch 2 of 2: loss none; validation undefined; best; 1.0 s, unknown left"


def test_steps_that_were_done_before_say_nothing_of_the_speed():
    told = Told(100, done=60)
    assert math.isnan(told.seconds_left(60))
    told.began -= 8.0  # as if 8 seconds ago
    assert told.seconds_left(64) == pytest.approx(8 / 4 * 36, rel=0.05)  # and the time this took
    assert told.seconds_left(100) == 0
