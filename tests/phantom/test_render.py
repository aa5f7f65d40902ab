import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter1d

import phantom_examples as examples
from fourview.phantom.lesions import Contents
from fourview.phantom.vendor import Detector
from phantom_examples import render


def test_right_breasts_are_stored_with_the_chest_wall_at_the_right():
    for side, wall in (("L", 0), ("R", -1)):
        got = render(examples.breast(3, side), "CC")
        assert got.mask[:, wall].any()
        assert not got.mask[:, -1 - wall].any()
        nipple = got.truth.nipple
        assert (nipple[0] > 48) == (side == "L")
        assert got.truth.ap_axis[0] * (1 if side == "L" else -1) > 0
        near = got.mask[
            int(nipple[1]) - 2 : int(nipple[1]) + 3, int(nipple[0]) - 6 : int(nipple[0]) + 7
        ]
        assert near.any()
        assert not near.all()  # the nipple is on the border of the breast


def test_finer_pixels_show_the_same_breast():
    of = examples.breast()
    coarse = render(of, "CC", Detector((256, 128), 0.9))
    fine = render(of, "CC", Detector((768, 384), 0.3))
    binned = fine.pixels.reshape(256, 3, 128, 3).mean(axis=(1, 3))
    inside = binary_erosion(coarse.mask, iterations=2)
    assert np.corrcoef(binned[inside], coarse.pixels[inside])[0, 1] > 0.97
    np.testing.assert_allclose(np.array(fine.truth.nipple) / 3, coarse.truth.nipple, atol=1e-9)
    assert (fine.mask.reshape(256, 3, 128, 3).mean(axis=(1, 3)) > 0.5)[inside].all()


def test_profiles_along_the_ap_axis_tell_the_two_views_of_a_breast_from_others():
    profiles = [
        [ap_profile(examples.breast(100 + seed, "L", "bc"[seed % 2]), p) for p in ("CC", "MLO")]
        for seed in range(8)
    ]
    match = np.array([[correlation(cc, mlo) for _, mlo in profiles] for cc, _ in profiles])
    same, other = np.diag(match).mean(), match[~np.eye(8, dtype=bool)].mean()
    assert same - other >= 0.25


def ap_profile(of, position):
    """Mean glandular thickness at each AP depth (1.5 mm), without its slow part; and where."""
    layers = examples.layers(of, position, Contents())
    gland, px = layers.canvas.gland, examples.SMALL.px
    row, col = np.indices(gland.shape)
    view = examples.view(of, position)
    x, _ = view.from_image(layers.canvas.corner[0] + col * px, layers.canvas.corner[1] + row * px)
    use = (layers.depth > 6) & (x > 14)
    step = (x[use] / 1.5).astype(int)
    count = np.bincount(step, minlength=80)
    mean = np.bincount(step, gland[use], minlength=80) / np.maximum(count, 1)
    known = (count > 15).astype(float)
    slow = gaussian_filter1d(mean * known, 5) / np.maximum(gaussian_filter1d(known, 5), 1e-6)
    return mean - slow, known > 0


def correlation(a, b):
    both = a[1] & b[1]
    return np.corrcoef(a[0][both], b[0][both])[0, 1]
