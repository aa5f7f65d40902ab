"""How vendors store what the detector saw, and how it is shown."""

from dataclasses import replace

import numpy as np
import pytest

import phantom_examples as examples
from fourview.entities import Voi
from fourview.phantom.lesions import Contents
from fourview.phantom.render import render_view
from fourview.phantom.vendor import VENDORS, vendor_of, voi_of
from phantom_examples import render


@pytest.mark.parametrize("display", ["LINEAR", "LINEAR_EXACT", "SIGMOID", "TABLE"])
def test_every_way_to_store_is_shown_as_the_same_grey(display):
    of = examples.breast()
    got, want = (render(of, "MLO", display=d) for d in (display, "LINEAR"))
    grey = examples.shown(got.pixels, voi_of(VENDORS["A"], display), "MONOCHROME2")
    plain = examples.shown(want.pixels, voi_of(VENDORS["A"], "LINEAR"), "MONOCHROME2")
    same = got.mask & (plain > 0.02)
    # SIGMOID ends at 1 where the others end at 0.97; stored steps are 1/4095 of 9 curve widths
    scale = 0.97 if display == "SIGMOID" else 1
    np.testing.assert_allclose(scale * grey[same], plain[same], atol=2e-3)
    assert (grey[~got.mask & (got.pixels < 100)] < 0.01).all()  # air is black


@pytest.mark.parametrize("vendor", ["A", "B", "C"])
def test_monochrome1_is_the_same_image_turned_over(vendor):
    of, maker = examples.breast(), vendor_of(vendor)
    got = render(of, "CC", vendor=vendor, display="LINEAR")
    other = "MONOCHROME1" if maker.photometric == "MONOCHROME2" else "MONOCHROME2"
    turned = render_view(
        of,
        "CC",
        contents=Contents(),
        detector=examples.SMALL,
        vendor=replace(maker, photometric=other),
        display="LINEAR",
    )
    assert (got.pixels.astype(int) + turned.pixels == 4095).all()
    assert got.pixels.max() <= 4095
    assert len(np.unique(got.pixels)) > 500


def test_turning_over_does_not_change_what_is_shown():
    voi = voi_of(VENDORS["B"], "SIGMOID")
    stored = np.arange(4096)
    upright = voi_of(replace(VENDORS["B"], photometric="MONOCHROME2"), "SIGMOID")
    np.testing.assert_allclose(
        examples.shown(4095 - stored, voi, "MONOCHROME1"),
        examples.shown(stored, upright, "MONOCHROME2"),
        atol=1e-12,
    )
    assert isinstance(voi, Voi)
