"""What is sent of an image: indices, smaller levels, and the table of greys."""

from dataclasses import replace

import numpy as np
import pytest

from exam_examples import image
from fourview.entities import Voi
from fourview.preprocess.window import to_levels
from fourview.report.display import show
from fourview.serve.pixels import hold
from fourview.serve.tables import grey_table, halved, indices, scale_of

WINDOWS = {
    "LINEAR": Voi(function="LINEAR", center=1200.5, width=900.0),
    "LINEAR_EXACT": Voi(function="LINEAR_EXACT", center=1200.0, width=777.0),
    "SIGMOID": Voi(function="SIGMOID", center=1300.0, width=600.0),
    "TABLE": Voi(
        function="TABLE",
        table=(np.linspace(0, 1, 3000) ** 2 * 4095).astype(np.uint16),
        first=500,
        table_bits=12,
    ),
}


def block_means(values, side):
    """A loop over blocks, in whole numbers."""
    rows, cols = values.shape
    out = np.zeros((-(-rows // side), -(-cols // side)), dtype=np.uint16)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            block = values[i * side : (i + 1) * side, j * side : (j + 1) * side]
            total, number = int(block.astype(int).sum()), block.size
            out[i, j] = (2 * total + number) // (2 * number)  # floor(mean + 1/2)
    return out


@pytest.mark.parametrize("halvings", [1, 2])
@pytest.mark.parametrize("size", [(8, 12), (13, 9), (3, 5), (1, 1), (16, 3), (2, 17)])
def test_a_level_holds_the_means_of_blocks_cut_at_the_edge(size, halvings):
    values = np.random.default_rng(1).integers(0, 65536, size).astype(np.uint16)
    assert np.array_equal(halved(values, halvings), block_means(values, 2**halvings))


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("name", WINDOWS)
def test_the_table_of_an_index_is_the_grey_of_its_value(name, invert):
    shown = image("L-CC", voi=WINDOWS[name], bright_is_dense=not invert)
    held = hold(shown)
    levels = to_levels(shown.pixels, WINDOWS[name], invert=invert)
    want = np.rint(levels * np.float32(255 / 65535)).astype(np.uint8)
    assert np.array_equal(held.table[held.index], want)
    as_reported = show(shown)
    hung = want[:, ::-1] if as_reported.geometry.is_mirrored else want
    assert np.array_equal(hung, as_reported.pixels)
    assert (held.table[held.scale.count :] == held.table[held.scale.count - 1]).all()


def test_negative_values_have_an_index_from_0():
    shown = image("R-CC")
    shown = replace(
        shown, pixels=shown.pixels.astype(np.int32) - 1000, value_range=(-1000.0, 3095.0)
    )
    scale = scale_of(shown)
    index = indices(shown, scale)
    assert scale.is_exact and scale.low == -1000
    assert np.array_equal(scale.values()[index], shown.pixels)


@pytest.mark.parametrize("factor", [0.37, 100.0])
def test_values_that_fit_no_16_bits_are_off_by_half_a_step_at_most(factor):
    shown = image("R-CC")
    shown = replace(
        shown, pixels=shown.pixels * np.float32(factor), value_range=(0.0, 4095 * factor)
    )
    scale = scale_of(shown)
    back = scale.values()[indices(shown, scale)]
    assert not scale.is_exact
    assert np.abs(back - shown.pixels).max() <= scale.step / 2 * (1 + 1e-6)
    assert any("in steps of" in note for note in hold(shown).facts()["notes"])


@pytest.mark.parametrize("dense_is_bright", [True, False])
def test_padding_shows_the_darkest_grey(dense_is_bright):
    shown = image("L-CC", bright_is_dense=dense_is_bright)
    padding = np.zeros(shown.pixels.shape, dtype=bool)
    padding[:7] = True
    held = hold(replace(shown, padding=padding))
    assert (held.table[held.index[:7]] == held.table[: held.scale.count].min()).all()
    assert np.array_equal(held.index[7:], shown.pixels[7:])


def test_a_file_without_a_window_is_scaled_between_the_extremes_of_its_breast():
    shown = image("L-CC", voi=None)
    facts = hold(shown).facts()
    assert facts["window"]["function"] == "RAMP"
    assert "no window in the file" in facts["notes"][0]


def test_an_ignored_window_shows_the_whole_range_of_the_bits():
    held = hold(image("L-CC", voi=WINDOWS["SIGMOID"]), voi="ignore")
    ramp = np.rint(np.linspace(0, 1, 4096) * 65535).astype(np.uint16)
    assert held.table[4095] == 255 and held.table[0] == 0
    want = np.rint(ramp * np.float32(255 / 65535)).astype(np.uint8)
    assert np.array_equal(held.table[:4096], want)


def test_facts_name_no_file_and_nobody():
    text = str(hold(image("L-CC", path="/somewhere/IM1.dcm")).facts())
    for word in ("IM1", "P-1", "1.2.3"):
        assert word not in text


def test_the_table_of_a_scale_does_not_depend_on_the_pixels_type():
    shown = image("R-CC")
    wide = replace(shown, pixels=shown.pixels.astype(np.int32))
    display = WINDOWS["SIGMOID"]
    one, other = (grey_table(scale_of(i), display, invert=False) for i in (shown, wide))
    assert np.array_equal(one, other)
