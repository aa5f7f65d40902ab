"""Tables that are too wide are refused by their first line."""

from pathlib import Path

import pytest

from fourview.errors import ManifestError
from fourview.tables import MAX_COLUMNS, MAX_HEADER, SEPARATORS, require_narrow


@pytest.mark.parametrize("separator", SEPARATORS)
def test_as_many_columns_as_may_be_pass_and_one_more_does_not(separator):
    line = separator.join(["a"] * MAX_COLUMNS)
    require_narrow(line + "\n" + line + separator, Path("t.csv"), ManifestError)
    with pytest.raises(ManifestError, match=r"t\.csv: its first line has 2,001 names"):
        require_narrow(line + separator + "a", Path("t.csv"), ManifestError)


def test_a_long_first_line_is_refused():
    require_narrow("a" * MAX_HEADER, Path("t"), ManifestError)
    with pytest.raises(ManifestError, match="more than 1,048,576 characters"):
        require_narrow("a" * (MAX_HEADER + 1), Path("t"), ManifestError)
