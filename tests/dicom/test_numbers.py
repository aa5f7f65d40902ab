"""Numbers as people wrote them into headers."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourview.dicom.numbers import read_decimal, read_decimals


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_what_the_standard_allows_is_read_as_it_is(value):
    assert read_decimal(f" {value!r} ") == [value]


@settings(deadline=None)
@given(st.integers(-(10**6), 10**6), st.integers(0, 999))
def test_a_comma_is_read_as_the_point_that_it_stands_for(whole, part):
    assert read_decimal(f"{whole},{part:03d}") == [float(f"{whole}.{part:03d}")]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("1,500.5", [1500.5]),
        ("1.500,5", [1500.5]),
        ("1'500,5", [1500.5]),
        ("0.07, 0.08", [0.07, 0.08]),
        ("0,07;0,08", [0.07, 0.08]),
        ("0.07 0.08", [0.07, 0.08]),
        (".5", [0.5]),
        ("1e-2", [0.01]),
        ("1,2,3", None),  # three numbers, or thousands
        ("1 2", None),
        ("", None),
        ("one", None),
        ("nan", None),
        ("inf", None),
        ("0x10", None),
        ("\u0661", None),  # digits of other scripts are none
    ],
)
def test_what_can_be_understood_in_one_way_only(text, want):
    assert read_decimal(text) == want


def test_a_value_that_is_none_keeps_the_places_of_the_others():
    values, is_whole = read_decimals(("0.1", "x", "0.3"))
    assert values[::2] == (0.1, 0.3) and math.isnan(values[1]) and not is_whole
    assert read_decimals(("x",)) == ((), False)
    assert read_decimals(("", "")) == ((), True)
