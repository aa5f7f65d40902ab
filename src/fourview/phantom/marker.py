"""Burned-in side markers, such as "R CC", from glyphs of 5 x 7 cells."""

import numpy as np
from jaxtyping import Bool, UInt16

_GLYPHS = {
    "R": "####. #...# #...# ####. #.#.. #..#. #...#",
    "L": "#.... #.... #.... #.... #.... #.... #####",
    "C": ".###. #...# #.... #.... #.... #...# .###.",
    "M": "#...# ##.## #.#.# #.#.# #...# #...# #...#",
    "O": ".###. #...# #...# #...# #...# #...# .###.",
    " ": "..... ..... ..... ..... ..... ..... .....",
}
CELL_MM = 1.1  # side of a glyph's cell


def text_bitmap(text: str, cell: int) -> Bool[np.ndarray, "row col"]:
    """The text as a bitmap, with a side of ``cell`` pixels for each cell of a glyph."""
    glyphs = [[[c == "#" for c in row] + [False] for row in _GLYPHS[t].split()] for t in text]
    return np.kron(np.concatenate(glyphs, axis=1), np.ones((cell, cell), bool))


def burn_marker(
    pixels: UInt16[np.ndarray, "row col"],
    text: str,
    px: float,
    *,
    mirrored: bool,
    value: int,
    box_value: int | None,
) -> bool:
    """Write a marker into the air at the nipple side, in place.

    The upper corner is tried first, then the lower one; where both touch the breast there is none.

    Args:
        pixels: Air is 0.
        text: Such as "R CC".
        px: Pixel size, mm.
        mirrored: Whether the nipple side is on the left.
        value: Stored value of the letters.
        box_value: Stored value of a box behind them; None for no box.

    Returns:
        Whether there was room for it.
    """
    cell = max(1, round(CELL_MM / px))
    bitmap = text_bitmap(text, cell)
    rows, cols = pixels.shape
    height, width = bitmap.shape
    col = round(6 / px) if mirrored else cols - width - round(6 / px)
    margin = 2 * cell
    for row in (int(rows * 0.06), int(rows * 0.94) - height):
        top, left = max(row - margin, 0), max(col - margin, 0)
        spot = pixels[top : row + height + margin, left : col + width + margin]
        if row < 0 or col < 0 or spot.any():
            continue
        if box_value is not None:
            spot[...] = box_value
        pixels[row : row + height, col : col + width][bitmap] = value
        return True
    return False
