"""When sending is tried again, and when it is given up."""

import pytest

from fourview.node.deliver import next_of
from fourview.node.sent import Sent


def following(outcome, attempts, waited_s=0.0, give_up_s=86_400.0, share=0.5):
    return next_of(
        Sent(outcome), attempts=attempts, waited_s=waited_s, give_up_s=give_up_s, share=share
    )


def test_waits_double_up_to_five_minutes_within_a_fifth():
    waits = [following("unanswered", tries).wait_s for tries in range(12)]
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]
    assert following("unanswered", 0, share=0).wait_s == pytest.approx(1.6)
    assert following("unanswered", 0, share=1).wait_s == pytest.approx(2.4)


def test_a_dead_peer_is_given_up_only_after_the_time_for_it():
    assert following("unanswered", 40, waited_s=99.9, give_up_s=100).state == "waiting"
    assert following("unanswered", 40, waited_s=99.9, give_up_s=100).wait_s == pytest.approx(0.1)
    assert following("unanswered", 3, waited_s=100, give_up_s=100).state == "failed"


def test_a_refusal_is_believed_at_the_third_time():
    states = [following("refused", tries).state for tries in range(3)]
    assert states == ["waiting", "waiting", "failed"]
