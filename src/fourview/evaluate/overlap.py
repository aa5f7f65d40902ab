"""How far a mark and a finding cover each other: boxes, or a box and an outline.

Shapes:  continuous coordinates, x to the right, y down; an outline is its points (x, y) in order.
"""

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, "point 2"]
Corners = tuple[float, float, float, float]  # x0, y0, x1, y1


def outline_area(points: Points) -> float:
    """Area inside an outline that does not cross itself (the shoelace formula).

    >>> outline_area(np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]]))
    6.0
    """
    x, y = (points - points[0]).T  # near 0, so that differences lose nothing
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def outline_in_box(points: Points, box: Corners) -> float:
    """Area of the part of an outline that lies in a box.

    The outline is cut along the four edges of the box one after the other (Sutherland and Hodgman
    1974, "Reentrant polygon clipping", Communications of the ACM 17:32). An outline with hollows
    may leave the cut parts joined along an edge, which has no area.

    >>> triangle = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]])
    >>> outline_in_box(triangle, (2.0, 0.0, 10.0, 10.0))
    6.0
    """
    x0, y0, x1, y1 = box
    for axis, limit, sign in ((0, x0, 1), (0, x1, -1), (1, y0, 1), (1, y1, -1)):
        points = _half(points, axis, limit, sign)
        if len(points) == 0:
            return 0.0
    return outline_area(points)


def _half(points: Points, axis: int, limit: float, sign: int) -> Float[np.ndarray, "kept 2"]:
    """What of an outline lies where ``sign * (coordinate - limit)`` is 0 or more."""
    kept = []
    inside = sign * (points[:, axis] - limit) >= 0
    for number, point in enumerate(points):
        before = points[number - 1]
        if inside[number] != inside[number - 1]:
            share = (limit - before[axis]) / (point[axis] - before[axis])
            crossing = before + share * (point - before)
            crossing[axis] = limit
            kept.append(crossing)
        if inside[number]:
            kept.append(point)
    return np.array(kept).reshape(-1, 2)
