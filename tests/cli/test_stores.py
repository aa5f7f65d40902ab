"""A store that is missing or holds other pixels: the message is the command that makes it."""

from pathlib import Path

import pytest

from factory import drawn_store
from fourview.cli.stores import open_store
from fourview.errors import StoreError


def test_what_is_needed_is_a_command_to_copy(tmp_path):
    _, store = drawn_store(tmp_path, num_patients=1)
    place = Path(store.path)
    assert open_store(place, store.spec.name, tmp_path / "m").spec == store.spec
    with pytest.raises(StoreError, match=r"run: fourview prepare '.*a b' --spec x-1 -o .*none"):
        open_store(tmp_path / "none", "x-1", tmp_path / "a b")
    with pytest.raises(StoreError, match=f"holds {store.spec.name}, need x-1; run: .*-x-1"):
        open_store(place, "x-1", tmp_path / "m")
