"""A place that a person names on one view of an exam, as ``--at L-CC:1200,800`` says it.

Numbers are x, y (or x0, y0, x1, y1 of a box) in pixels of the file, from its upper left corner.
"""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from fourview.entities import SLOTS, ProcessedImage
from fourview.errors import ReportError
from fourview.geometry import Box

NUMBER = r"(\d+(?:\.\d+)?)"
WRITTEN = re.compile(rf"(\w-\w+):{NUMBER},{NUMBER}(?:,{NUMBER},{NUMBER})?")


@dataclass(frozen=True, slots=True)
class QueryPlace:
    """A point or a box on a view.

    Attributes:
        slot: R-CC, L-CC, R-MLO or L-MLO.
        numbers: x, y; or x0, y0, x1, y1.
    """

    slot: str
    numbers: tuple[float, ...]

    def __str__(self) -> str:
        """The place as it is written on the command line."""
        return f"{self.slot}:{','.join(f'{n:g}' for n in self.numbers)}"

    def cells(
        self, image: ProcessedImage, grid: tuple[int, int]
    ) -> Bool[np.ndarray, "row col"] | None:
        """The cells of a grid over the processed image that it names; None if it lies beyond.

        A box has the cells whose centre is in it, and always the one in which its own centre is.
        """
        height, width = image.geometry.processed_size
        if len(self.numbers) == 2:
            x, y = (float(v) for v in image.geometry.to_processed(np.array(self.numbers)))
            box = None
        else:
            box = image.geometry.box_to_processed(Box(*self.numbers))
            x, y = box.center
        row, col = int(np.floor(y * grid[0] / height)), int(np.floor(x * grid[1] / width))
        if not (0 <= row < grid[0] and 0 <= col < grid[1]):
            return None
        chosen = np.zeros(grid, dtype=bool)
        if box is not None:
            rows = (np.arange(grid[0]) + 0.5) * height / grid[0]
            cols = (np.arange(grid[1]) + 0.5) * width / grid[1]
            in_rows, in_cols = (
                (rows >= box.y0) & (rows < box.y1),
                (cols >= box.x0) & (cols < box.x1),
            )
            chosen |= in_rows[:, None] & in_cols[None, :]
        chosen[row, col] = True
        return chosen


def parse_place(text: str) -> QueryPlace:
    """The place that a text names.

    Raises:
        ReportError: The text names no place.

    >>> parse_place("L-CC:1200,800").numbers
    (1200.0, 800.0)
    """
    match = WRITTEN.fullmatch(text.strip())
    if match is None or match[1].upper() not in SLOTS:
        raise ReportError(
            f"--at {text}: need a view ({', '.join(SLOTS)}), a colon and x,y or x0,y0,x1,y1 in "
            "pixels of the file, such as L-CC:1200,800"
        )
    place = QueryPlace(
        match[1].upper(), tuple(float(n) for n in match.groups()[1:] if n is not None)
    )
    if len(place.numbers) == 4:
        try:
            Box(*place.numbers)
        except ValueError as error:
            raise ReportError(f"--at {text}: {error}") from error
    return place
