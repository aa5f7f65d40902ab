"""A place that a person names, looked up in the other view."""

import numpy as np
import pytest

from exam_examples import processed_whole
from fourview.errors import ReportError
from fourview.predict.query_place import parse_place


@pytest.mark.parametrize(
    "text", ["CC:1,2", "L-CC", "L-CC:1", "X-CC:1,2", "L-CC:9,9,1,1", "L-CC:-1,2"]
)
def test_a_place_that_cannot_be_read_is_told_with_an_example(text):
    with pytest.raises(ReportError, match="--at"):
        parse_place(text)


@pytest.mark.parametrize(
    ("at", "cells"),
    [
        ("0,0", [(0, 0)]),
        ("99,199", [(3, 1)]),
        ("49.5,150", [(3, 0)]),
        ("100,0", None),  # the image's columns are 0 to 99
        ("0,200", None),
        ("0,0,10,10", [(0, 0)]),  # it holds no cell's centre: the cell of its own
        ("0,0,50,100", [(0, 0), (1, 0)]),
        ("20,60,90,90", [(1, 0), (1, 1)]),
    ],
)
def test_a_place_names_the_cells_whose_centre_is_in_it_and_its_own(at, cells):
    """A grid of 4 x 2 over 200 x 100 pixels: cells of 50, centres at 25, 75, ..."""
    image = processed_whole("L-CC", (200, 100))
    chosen = parse_place(f"L-CC:{at}").cells(image, (4, 2))
    assert (None if chosen is None else [tuple(map(int, c)) for c in np.argwhere(chosen)]) == cells
