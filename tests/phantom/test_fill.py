"""What is planned for an exam: rates and labels."""

import numpy as np
import pytest

from fourview.phantom.fill import plan_breast
from fourview.phantom.preset import MINIATURE


def test_plans_have_the_presets_rates_and_labels_say_nothing_of_distractors():
    plans = [plan_breast(seed, "L", MINIATURE) for seed in range(800)]
    cancer = np.array([p.cancer is not None for p in plans])
    features = {
        "mass": ([p.benign_mass is not None for p in plans], 0.3),
        "shadow cc": (["CC" in p.shadows for p in plans], 0.5),
        "shadow mlo": (["MLO" in p.shadows for p in plans], 0.5),
        "covered": ([p.cancer_mode != "both" for p in plans], 0.25),
    }
    assert cancer.mean() == pytest.approx(0.49, abs=0.06)  # 3.5 sd of 800 draws
    for values, rate in features.values():
        drawn = np.array(values)
        assert drawn.mean() == pytest.approx(rate, abs=0.06)
        # 4 sd of the difference of two halves
        assert drawn[cancer].mean() == pytest.approx(drawn[~cancer].mean(), abs=0.14)
