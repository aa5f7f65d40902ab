import numpy as np
import pytest
from scipy.ndimage import map_coordinates

import phantom_examples as examples
from fourview.phantom.anatomy import GLAND_SHARE, draw_breast, draw_patient, random_points
from fourview.phantom.tiles import PADDED
from fourview.phantom.tissue import envelope


def slow_field(tissue, x, eta, zeta):
    """Drive, sheets, depth and envelope as the text of docs/phantom.md has them, in numpy."""
    p, noise = tissue.params, tissue.noise
    cubes = [t.reshape((PADDED,) * 3)[:-1, :-1, :-1] for t in (noise.band, noise.power)]

    def look(cube, scale, axes, offset):
        at = [axes[i] * scale + noise.offsets[offset, i] for i in range(3)]
        return map_coordinates(cubes[cube], at, order=1, mode="grid-wrap")

    ratio = (x / p.length) ** p.exponent
    h0 = p.radius * np.sqrt(1 - ratio)
    hs = p.radius * (h0 / p.radius) ** p.convergence
    r2 = eta**2 + zeta**2
    slope = p.exponent * ratio / x
    depth = (1 - ratio) * (1 - r2) / np.sqrt(4 * r2 * h0**2 / p.radius**4 + slope**2)
    near = np.where(np.sqrt(r2) * h0 < 20, 1 / (1 + 1e-4 * r2**2 * h0**4), 0)
    gap = p.skin_gap * (1 - 0.85 * np.exp(-((p.length - x) ** 2) / 900) * near)
    a, b, c = noise.turn @ np.stack([x * p.ap_scale, eta * hs, zeta * hs]) + 4096  # all positive
    n2, n3 = look(0, 0.5, (a, b, c), 0), look(0, 1.25, (b, c, a), 1)
    s1, s2 = n2 + 0.25 * n3, n3 + 0.3 * n2
    w2 = p.sheet_width**2
    sheet = 1 / (1 + (s1**2 / w2) ** 2) + 0.5 / (1 + (1.6 * s2**2 / w2) ** 2)
    n, m, f = (
        look(1, s, v, k)
        for s, v, k in ((0.3, (a, b, c), 2), (1.3, (c, a, b), 3), (5.7, (b, c, a), 4))
    )
    e1 = np.clip((depth - gap + p.wobble * n2) / p.skin_ramp, 0, 1)
    e2 = np.clip((x - p.chest_gap + 2 * p.wobble * n) / p.chest_ramp, 0, 1)
    zone = e1 * (2 - e1) * e2 * (2 - e2)
    drive = 1.6 * n + p.medium * m + p.fine * f - p.envelope * (1 - zone)
    drive += p.sheets * (0.7 - abs(s1)) + 0.7 * p.upper_outer * (eta + zeta) - p.central * r2
    return drive, sheet, depth, zone


def slow_fraction(tissue, x, eta, zeta):
    p = tissue.params
    drive, sheet, depth, zone = slow_field(tissue, x, eta, zeta)
    gland = np.where(zone > 0.01, 1 / (1 + np.exp(-(drive - p.threshold) / p.softness)), 0)
    fibrous = (p.sheet_in_fat + (p.sheet_in_gland - p.sheet_in_fat) * zone) * sheet
    fibrous = np.minimum(fibrous * np.clip(depth / 2, 0, 1), 1)
    return 1 - (1 - gland) * (1 - fibrous), gland


@pytest.fixture(scope="module")
def points():
    drawn = random_points(np.random.default_rng(0), examples.breast().tissue.params, 4000)
    return drawn[(drawn[:, 0] > 1) & (drawn[:, 0] < 0.97 * examples.breast().length)]


def test_the_kernel_agrees_with_numpy_and_scipy(points):
    tissue = examples.breast().tissue
    want, _ = slow_fraction(tissue, *points.T)
    # float32 lookups, and a gland that is cut off below 0.03 % of a fraction (sigmoid of -8)
    np.testing.assert_allclose(tissue.fraction(points), want, atol=2e-3)


def test_a_ray_is_the_mean_of_its_samples(points):
    tissue = examples.breast().tissue
    depths = np.linspace(-0.9, 0.9, 7)
    x, e = points[:50, 0].copy(), np.linspace(-0.8, 0.8, 50)
    thick = np.linspace(10, 60, 50)
    got = tissue.project(x, e, thick, gantry=0.7, depths=depths, pins=np.zeros((0, 5)))
    for i in range(50):
        s = np.sqrt(1 - e[i] ** 2) * depths
        eta, zeta = e[i] * np.cos(0.7) - s * np.sin(0.7), e[i] * np.sin(0.7) + s * np.cos(0.7)
        ray = np.stack([np.full(7, x[i]), eta, zeta], axis=1)
        assert got[i] == pytest.approx(thick[i] * tissue.fraction(ray).mean(), rel=1e-4)


@pytest.mark.parametrize("density", ["a", "b", "c", "d"])
def test_the_glandular_volume_is_within_two_percent_of_its_target(density):
    for seed in range(4):
        patient = draw_patient(seed, density)
        tissue = draw_breast(patient, "R").tissue
        drawn = random_points(np.random.default_rng(seed), tissue.params, 20000)
        drawn = drawn[(drawn[:, 0] > 1) & (drawn[:, 0] < 0.98 * tissue.params.length)]
        _, gland = slow_fraction(tissue, *drawn.T)
        assert gland.mean() == pytest.approx(GLAND_SHARE * patient.volumetric_density, abs=0.02)


def test_density_classes_have_more_gland_from_a_to_d(points):
    means = [examples.breast(1, "L", d).tissue.fraction(points).mean() for d in "abcd"]
    assert means == sorted(means)


def test_a_pin_pulls_tissue_only_where_it_reaches():
    of = examples.breast()
    x, e = np.linspace(5, 80, 400), np.zeros(400)
    pins = np.array([[40.0, 0.0, 0.0, 0.8, 5.0]])
    common = {"gantry": 0.0, "depths": np.linspace(-0.9, 0.9, 15)}
    free = of.tissue.project(x, e, np.full(400, 50.0), pins=np.zeros((0, 5)), **common)
    held = of.tissue.project(x, e, np.full(400, 50.0), pins=pins, **common)
    far = abs(x - 40) > 5 * np.sqrt(10)  # the kernel's reach: q < 5, that is 3.2 sigma
    assert (free[far] == held[far]).all()
    assert (free[~far] != held[~far]).any()


def test_the_smooth_envelope_is_the_kernels_without_noise(points):
    params = examples.breast().tissue.params
    x, rho = points[:, 0], np.hypot(points[:, 1], points[:, 2])
    zone = envelope(params, x, rho)
    assert zone.min() >= 0
    assert zone.max() <= 1
    middle = envelope(params, np.array([0.5 * params.length]), np.zeros(1))
    skin = envelope(params, np.array([0.5 * params.length]), np.array([0.99]))
    assert middle > 0.5
    assert skin == 0
