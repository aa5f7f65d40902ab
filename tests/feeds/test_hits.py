import math

import numpy as np

from fourview.feeds.hits import AT_LEAST, region_hits
from fourview.geometry import Box
from fourview.manifest.image_labels import LABELS


def test_hits_are_those_of_a_loop_over_boxes():
    draw = np.random.default_rng(0)
    corner = draw.integers(0, 80, size=(60, 2))
    boxes = np.concatenate([corner, corner + 24], axis=1)
    findings = [
        (Box(*c, *(c + draw.uniform(4, 60, size=2))), nature)
        for c, nature in zip(
            draw.uniform(0, 90, size=(6, 2)), (1, 0, None, 1, 0, None), strict=True
        )
    ]
    got = region_hits(boxes, findings)
    seen = set()
    for i, corners in enumerate(boxes.tolist()):
        natures = [n for box, n in findings if Box(*corners).iom(box) >= AT_LEAST]
        for row, nature in enumerate((1, 0)):
            want = 1.0 if nature in natures else math.nan if None in natures else 0.0
            assert np.array_equal(got[row, i], want, equal_nan=True)
            seen.add((LABELS[row], str(want)))
    assert len(seen) == 6  # every label was yes, no and unknown somewhere


def test_an_image_without_findings_is_hit_nowhere():
    assert not region_hits(np.array([[0, 0, 4, 4]]), ()).any()
