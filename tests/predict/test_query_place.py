"""A place that a person names, looked up in the other view."""

import pytest

from fourview.errors import ReportError
from fourview.predict.query_place import parse_place


@pytest.mark.parametrize(
    "text", ["CC:1,2", "L-CC", "L-CC:1", "X-CC:1,2", "L-CC:9,9,1,1", "L-CC:-1,2"]
)
def test_a_place_that_cannot_be_read_is_told_with_an_example(text):
    with pytest.raises(ReportError, match="--at"):
        parse_place(text)
