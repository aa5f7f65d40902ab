"""How often what occurs."""

from dataclasses import replace

import numpy as np
import pytest

from fourview.errors import PhantomError
from fourview.phantom.preset import (
    MINIATURE,
    PRESETS,
    SCREENING,
    class_of,
    preset_of,
)


def test_density_classes_are_drawn_at_their_rates():
    draws = (np.arange(1000) + 0.5) / 1000
    classes = [class_of(SCREENING, float(d)) for d in draws]
    assert [classes.count(c) for c in "abcd"] == [100, 400, 400, 100]


def test_a_preset_has_another_digest_for_every_field():
    digests = {replace(MINIATURE, **c).digest for c in ({}, {"conspic": 2.0}, {"rows": 128})}
    assert len(digests) == 3
    assert preset_of("miniature") is PRESETS["miniature"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"p_cancer": 1.2}, "p_cancer"),
        ({"p_cc_only": 0.7, "p_mlo_only": 0.7}, "p_cc_only"),
        ({"densities": (0.5, 0.5, 0.5, 0.5)}, "densities"),
        ({"rows": 10}, "rows"),
        ({"conspic": 0.0}, "conspic"),
        ({"p_summation_beside": -0.1}, "p_summation_beside"),
    ],
)
def test_presets_that_mean_nothing_are_refused(change, word):
    with pytest.raises(PhantomError, match=word):
        replace(MINIATURE, **change)
