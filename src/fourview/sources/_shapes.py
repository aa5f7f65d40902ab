"""Shapes that people drew, as boxes and polygons in continuous pixel coordinates.

Source: the VGG Image Annotator's CSV export: one row per shape, its numbers as JSON; x to the
right, y down.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from fourview.errors import ManifestError
from fourview.sources._tables import read_table

ALIASES = {"#filename": "filename"}
Points = Float[np.ndarray, "point 2"]  # x, y
CURVE_POINTS = 32  # a circle or ellipse as a polygon; its box is off by less than 0.5 % of a radius
SCHEMA: dict[str, Any] = {
    "image_id": pl.String,
    "shape": pl.String,
    **dict.fromkeys(("x0", "y0", "x1", "y1"), pl.Float64),
    "polygon": pl.List(pl.Float64),
}


def via_regions(path: Path) -> pl.DataFrame:
    """Every shape of a VIA table: image_id (the file name without its ending), shape, box, polygon.

    Raises:
        ManifestError: The table lacks a column, or a shape cannot be understood.
    """
    table = read_table(path, ("filename", "region_shape_attributes"), aliases=ALIASES)
    rows = []
    for row, name, text in table.iter_rows():
        try:
            drawn = json.loads(text or "{}")
            if drawn:
                rows.append({"image_id": _stem(name), **_region(drawn)})
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(f"{path}:{row}: cannot read the shape {text!r} ({error})") from None
    return pl.DataFrame(rows, SCHEMA)


def region_of(points: Points) -> dict[str, Any]:
    """Box and polygon around points (x, y); a single point, or a line, gets its pixels' box."""
    low, high = points.min(axis=0), points.max(axis=0)
    thin = low == high
    low, high = np.where(thin, np.floor(low), low), np.where(thin, np.floor(high) + 1, high)
    box = dict(zip(("x0", "y0", "x1", "y1"), map(float, (*low, *high)), strict=True))
    return {**box, "polygon": points.ravel().tolist() if len(points) > 2 else None}


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0].strip()


def _region(drawn: Mapping[str, Any]) -> dict[str, Any]:
    shape = drawn["name"]
    return {"shape": shape, **region_of(_points(shape, drawn))}


def _points(shape: str, drawn: Mapping[str, Any]) -> Points:
    if shape in ("polygon", "polyline"):
        xs, ys = drawn["all_points_x"], drawn["all_points_y"]
        if len(xs) != len(ys) or not xs:
            raise ValueError(f"{len(xs)} x for {len(ys)} y")
        return np.array([xs, ys], dtype=np.float64).T
    if shape == "rect":
        x, y, width, height = (float(drawn[k]) for k in ("x", "y", "width", "height"))
        return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])
    if shape not in ("point", "circle", "ellipse"):
        raise ValueError(f"unknown shape '{shape}'")
    center = np.array([drawn["cx"], drawn["cy"]], dtype=np.float64)
    if shape == "point":
        return center[None]
    radii = (drawn["r"], drawn["r"]) if shape == "circle" else (drawn["rx"], drawn["ry"])
    turn = float(drawn.get("theta", 0))
    curve: Points = center + _ellipse(float(radii[0]), float(radii[1]), turn)
    return curve


def _ellipse(rx: float, ry: float, theta: float) -> Points:
    """Points around the origin; ``theta`` turns clockwise as displayed, in radians."""
    angle = np.arange(CURVE_POINTS) * (2 * math.pi / CURVE_POINTS)
    x, y = rx * np.cos(angle), ry * np.sin(angle)
    cos, sin = math.cos(theta), math.sin(theta)
    turned: Points = np.stack([cos * x - sin * y, sin * x + cos * y], axis=1)
    return turned
