"""Every protocol says what it asks, and of what, so that no two figures are taken for one."""

from fourview.evaluate.protocol_words import task_of, view_of
from fourview.evaluate.protocols import PROTOCOLS


def test_every_protocol_has_words():
    for protocol in PROTOCOLS.values():
        assert view_of(protocol)
        assert task_of(protocol)


def test_one_view_and_the_average_of_views_are_told_apart():
    one = PROTOCOLS["embed-density-v1"]
    several = PROTOCOLS["embed-density-multiview-v1"]
    assert task_of(one) == task_of(several) == "density"
    assert view_of(one) == "single images" != view_of(several)
