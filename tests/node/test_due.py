"""When a study is due: each clause of the rule, and what a plain reading of it gives."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fourview.entities import SLOTS
from fourview.node.due import DueRule, Known, due

RULE = DueRule(quiet_s=60, early_s=10, longest_s=900)
FOUR = frozenset(SLOTS)
KNOWN = Known(quiet_since=1000.0, images=2, slots=frozenset(("R-CC", "L-CC")))


def test_half_a_study_waits_for_the_whole_quiet_time():
    assert not due(KNOWN, 1059.9, RULE).now
    assert due(KNOWN, 1060.0, RULE).now


def test_four_views_are_enough_after_a_short_while():
    whole = replace(KNOWN, images=4, slots=FOUR)
    assert not due(whole, 1009.9, RULE).now
    assert due(whole, 1010.0, RULE).now
    assert not due(whole, 1059.9, replace(RULE, early_s=0)).now


def test_an_open_association_holds_everything_back():
    assert not due(replace(KNOWN, slots=FOUR, is_open=True), 5000.0, RULE).now


def test_a_server_that_counts_more_is_waited_for_and_then_the_report_says_so():
    counted = replace(KNOWN, expected=6, images=4, slots=FOUR)
    assert not due(counted, 1899.9, RULE).now
    late = due(counted, 1900.0, RULE)
    assert late.now
    assert late.note == "2 of 6 images had not arrived"
    assert due(replace(counted, images=6), 1010.0, RULE).note == ""


def test_a_study_that_was_pulled_whole_is_due_at_once():
    assert due(replace(KNOWN, settled=True), 1000.0, RULE).now


@given(
    waited=st.floats(0, 2000),
    slots=st.sets(st.sampled_from(SLOTS)),
    images=st.integers(1, 8),
    expected=st.none() | st.integers(0, 8),
    is_open=st.booleans(),
    settled=st.booleans(),
    early_s=st.sampled_from((0.0, 10.0, 120.0)),
)
def test_agrees_with_the_rule_as_it_is_written(
    waited, slots, images, expected, is_open, settled, early_s
):
    known = Known(
        quiet_since=0.0,
        images=images,
        slots=frozenset(slots),
        is_open=is_open,
        settled=settled,
        expected=expected,
    )
    early = early_s > 0 and waited >= early_s and len(slots) == 4
    want = not is_open and (waited >= 60 or early or settled)
    if expected is not None and expected > images and waited < 900:
        want = False
    rule = DueRule(quiet_s=60, early_s=early_s, longest_s=900)
    assert due(known, waited, rule).now == want
