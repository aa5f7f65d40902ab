import numpy as np
import pytest
from pydicom import Dataset
from pydicom.pixels.processing import apply_voi, apply_windowing

from fourview.entities import Voi
from fourview.errors import PixelError
from fourview.preprocess.window import Ramp, choose_display, to_display, to_levels
from mammogram_examples import image_of


def header(bits=12, signed=False):
    dataset = Dataset()
    dataset.BitsStored = dataset.BitsAllocated = bits
    dataset.PixelRepresentation = int(signed)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    return dataset


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (1000.5, 317), (40, 2), (3000, 8000)])
def test_windows_agree_with_pydicom_on_every_value(function, center, width):
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    dataset = header()
    dataset.WindowCenter, dataset.WindowWidth = center, width
    dataset.VOILUTFunction = function
    want = apply_windowing(values, dataset) / 4095
    voi = Voi(function=function, center=float(center), width=float(width))
    got = to_levels(values, voi, invert=False) / 65535
    # half a level of rounding; pydicom's own arithmetic is float64
    np.testing.assert_allclose(got, want, atol=0.51 / 65535)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32])
def test_tables_agree_with_pydicom_beyond_both_ends(dtype):
    random = np.random.default_rng(0)
    entries = np.sort(random.integers(0, 1024, 600)).astype(np.uint16)
    values = random.integers(0, 1200, (50, 40)).astype(dtype)
    dataset = header(signed=np.issubdtype(dtype, np.signedinteger))
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [600, 200, 10])
    item.add_new("LUTData", "US", entries.tolist())
    dataset.VOILUTSequence = [item]
    want = apply_voi(values, dataset) / 1023
    voi = Voi(function="TABLE", table=entries, first=200, table_bits=10)
    np.testing.assert_allclose(
        to_levels(values, voi, invert=False) / 65535, want, atol=0.51 / 65535
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_the_look_up_gives_what_the_formula_gives_for_every_type(dtype):
    values = np.random.default_rng(1).integers(0, 250, (30, 20)).astype(dtype)
    if np.issubdtype(dtype, np.signedinteger):
        values -= 100
    voi = Voi(function="LINEAR", center=60, width=130)
    want = np.rint(65535 * (1 - to_display(values, voi)))
    np.testing.assert_array_equal(to_levels(values, voi, invert=True), want)


def test_a_width_of_one_is_a_step_and_extreme_sigmoids_do_not_overflow():
    values = np.array([[9.0, 9.5, 9.6, 10.0]])
    step = to_display(values, Voi(function="LINEAR", center=10, width=1))
    np.testing.assert_array_equal(step, [[0, 0, 1, 1]])
    far = to_display(np.array([[-1e9, 1e9]]), Voi(function="SIGMOID", center=0, width=1e-3))
    np.testing.assert_allclose(far, [[0, 1]], atol=1e-12)


@pytest.mark.parametrize(
    "voi",
    [
        Voi(function="LINEAR", center=5, width=0.5),
        Voi(function="LINEAR_EXACT", center=5, width=0),
        Voi(function="SIGMOID", center=float("nan"), width=5),
        Voi(function="TABLE", table=np.zeros(0, np.uint16), table_bits=8),
    ],
)
def test_windows_that_the_standard_forbids_are_refused_in_one_line(voi):
    with pytest.raises(PixelError, match="set voi to 'ignore'") as caught:
        to_display(np.zeros((2, 2)), voi)
    assert "\n" not in str(caught.value)


def test_what_decides_the_scale_is_told_apart():
    values = np.array([[5, 100, 300], [4000, 7, 7]], dtype=np.uint16)
    mask = np.array([[False, True, True], [False, False, False]])
    voi = Voi(function="LINEAR", center=10, width=20, explanation="NORMAL", alternatives=2)
    image = image_of(values, voi=voi)

    def choose(range_, choice, image=image):
        return choose_display(image, mask, range_=range_, voi=choice)

    assert choose("window", "header")[0] is voi
    assert "NORMAL" in choose("window", "header")[1]
    assert "first of 3" in choose("window", "header")[1]
    assert choose("window", "ignore")[0] == Ramp(0, 4095)
    assert choose("bits", "header")[0] == Ramp(0, 4095)
    assert choose("min_max", "header")[0] == Ramp(100, 300)
    assert choose("window", "header", image_of(values))[0] == Ramp(100, 300)
    user = Voi(function="LINEAR", center=1, width=2)
    assert choose("window", user)[0] is user
