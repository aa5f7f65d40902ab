"""The copies of a patch: shifted, turned and mirrored as their move says."""

import numpy as np

from fourview.feeds.copies import Move, moved


def test_all_eight_moves_differ_and_keep_the_pixels():
    window = np.arange(16, dtype=np.uint16).reshape(1, 4, 4)
    seen = {
        moved(window, Move(turns=t, mirrored=m)).tobytes() for t in range(4) for m in (False, True)
    }
    assert len(seen) == 8
    assert all(sorted(np.frombuffer(s, np.uint16)) == list(range(16)) for s in seen)
