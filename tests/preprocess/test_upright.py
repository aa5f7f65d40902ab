"""An image is turned upright, and every pixel's place is known afterwards."""

from dataclasses import replace

import numpy as np
import pytest

from fourview.entities import Turn
from fourview.geometry import Geometry
from fourview.preprocess.upright import stand_up, turned, with_turn
from mammogram_examples import breast_pixels, image_of

TURNS = [(True, False), (False, True), (True, True)]


def turn(exchanged, upside_down, wall=None):
    return Turn(exchanged=exchanged, upside_down=upside_down, chest_wall=wall)


@pytest.mark.parametrize(("exchanged", "upside_down"), TURNS)
def test_a_pixel_goes_where_the_geometry_says(exchanged, upside_down):
    image = image_of(breast_pixels()[0])
    image = replace(image, pixels=image.pixels.copy(), spacing_mm=(0.1, 0.2))
    row, col = 17, 41
    image.pixels[row, col] = image.pixels.max() + 1
    asked = turn(exchanged, upside_down)
    standing = turned(replace(image, turn=asked))
    x, y = with_turn(Geometry(image.stored_size), asked).to_processed(
        np.array((col + 0.5, row + 0.5))
    )
    at = np.unravel_index(standing.pixels.argmax(), standing.pixels.shape)
    assert at == (int(y), int(x))
    assert standing.stored_size == standing.pixels.shape
    assert standing.spacing_mm == ((0.2, 0.1) if exchanged else (0.1, 0.2))
    assert not standing.turn.moves_pixels
    assert turned(standing) is standing


def test_an_orientation_that_the_pixels_refute_turns_nothing():
    image = image_of(breast_pixels()[0])
    wall = stand_up(image).breast.chest_wall
    other = {"left": "right", "right": "left"}[wall]
    stood = stand_up(replace(image, turn=turn(False, True, other)))
    assert stood.turn is None and np.array_equal(stood.image.pixels, image.pixels)
    assert f"the pixels have it on the {wall}" in stood.notes[0]
    stood = stand_up(replace(image, turn=turn(False, True, wall)))
    assert stood.turn is not None and np.array_equal(stood.image.pixels, image.pixels[::-1])
    assert not stood.notes


def test_no_turn_is_the_whole_geometry():
    geometry = Geometry((10, 20)).mirrored()
    assert with_turn(geometry, None) is geometry
