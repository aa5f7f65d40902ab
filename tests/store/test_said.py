"""What a frozen network said is kept whole, under what decides it, in memory or beside a store."""

import numpy as np
import pytest

from fourview.errors import StoreError
from fourview.store.said import Said

ABOUT = {"weights": "w", "stride": 2}


@pytest.fixture(params=["memory", "disk"])
def said(request, tmp_path):
    return Said(ABOUT, None if request.param == "memory" else tmp_path)


def test_arrays_come_back_by_key_and_name_whatever_the_key(said):
    values = np.arange(12, dtype=np.float16).reshape(4, 3)
    for key in ("1.2.3", "../x/é", "a" * 300):
        assert not said.has(key, "codes")
        said.write(key, {"places": values[:, :1], "codes": values + len(key)})
        assert said.has(key, "codes") and said.has(key, "places")
        np.testing.assert_array_equal(said.read(key, "codes"), values + len(key))
        np.testing.assert_array_equal(said.read(key, "codes", [3, 0]), (values + len(key))[[3, 0]])
        assert said.read(key, "codes").dtype == np.float16


def test_other_weights_have_another_place(tmp_path):
    one, other = Said(ABOUT, tmp_path), Said(ABOUT | {"weights": "x"}, tmp_path)
    one.write("k", {"codes": np.ones(2)})
    assert not other.has("k", "codes")
    assert Said(dict(reversed(ABOUT.items())), tmp_path).has("k", "codes")  # order does not count


def test_a_damaged_file_is_said(tmp_path):
    said = Said(ABOUT, tmp_path)
    said.write("k", {"codes": np.ones(2)})
    (path,) = said.folder.glob("*.codes.npy")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(StoreError, match=r"'codes' of k cannot be read .*delete the folder"):
        said.read("k", "codes")
