"""Draw what lies on a film: labels, tape, a step wedge, dust and scratches.

Frame: the film as it hangs in this module, with the chest wall at the left; words are written so
       that they can be read once the film lies as its draws say. Grey levels as ``film_draws``.
"""

import math
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from fourview.phantom.film_draws import FilmDraws, Label

Plane = Float32[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
FONT = cv2.FONT_HERSHEY_DUPLEX
FINE = 4  # labels are drawn that much finer and reduced
STEPS = 11  # of a wedge


def draw_label(film: Plane, label: Label, skin: np.ndarray, *, px: float, readable: bool) -> Mask:
    """Put a label on the film, in place.

    Args:
        film: Grey levels, chest wall left.
        label: Label to draw, and where.
        skin: Points (x, y) of the skin line, pixels, and the outward normals: columns x y nx ny.
        px: Pixel size, mm.
        readable: False where the film is mirrored later: the words are mirrored now.

    Returns:
        Where it covers the film; empty where its place is beyond the film.
    """
    stamp, alpha = _stamp(label, px, readable=readable)
    height, width = alpha.shape
    x, y = _place(label, film.shape, skin, px)
    x0, y0 = round(x - width / 2), round(y - height / 2)
    covered = np.zeros(film.shape, bool)
    top, left = max(y0, 0), max(x0, 0)
    bottom, right = min(y0 + height, film.shape[0]), min(x0 + width, film.shape[1])
    if bottom <= top or right <= left:
        return covered
    part = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
    on_film = np.s_[top:bottom, left:right]
    share = alpha[part]
    film[on_film] = film[on_film] * (1 - share) + stamp[part] * share
    covered[on_film] = share > 0.5
    if label.shape in ("letters", "scrawl", "ring"):  # what its strokes enclose belongs to it
        kernel: Any = np.ones((2 * round(1.5 / px) + 1,) * 2, np.uint8)
        closed = cv2.morphologyEx(covered.view(np.uint8), cv2.MORPH_CLOSE, kernel)
        covered = np.asarray(closed > 0)
    return covered


def _stamp(label: Label, px: float, *, readable: bool) -> tuple[Plane, Plane]:
    """Grey levels and opacity of a label, turned and blurred."""
    fine_px = px / FINE
    height, width = (max(6, round(mm / fine_px)) for mm in (label.size[1], label.size[0]))
    alpha: Any = np.zeros((height, width), np.uint8)
    ink: Any = np.zeros((height, width), np.uint8)  # dark on the label
    _shape(label, alpha, ink)
    side = math.ceil(math.hypot(height, width)) + 4 * FINE
    side += -side % FINE
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), label.degrees, 1.0)
    matrix[:, 2] += np.array([(side - width) / 2, (side - height) / 2])
    turned = [cv2.warpAffine(a, matrix, (side, side)) for a in (alpha, ink)]
    small = [
        cv2.resize(a, (side // FINE,) * 2, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        for a in turned
    ]
    soft = [cv2.GaussianBlur(a, (0, 0), max(label.blur / px, 0.3)) for a in small]
    if not readable:
        soft = [a[:, ::-1] for a in soft]
    share, dark = soft
    return np.float32(label.level) * (1 - 0.9 * dark), np.asarray(share)


def _shape(label: Label, alpha: Any, ink: Any) -> None:
    """Draw the label's shape as opacity, and what is dark on it."""
    height, width = alpha.shape
    thick = max(1, round(0.08 * height))
    if label.shape == "letters":
        _write(alpha, label.text, 0.95)
    elif label.shape == "plate":
        alpha[:] = 255
        _write(ink, label.text, 0.7)
    elif label.shape == "block":  # a flashed identification: a frame, a grey ground, small words
        alpha[:] = 90
        cv2.rectangle(alpha, (0, 0), (width - 1, height - 1), 255, thick)
        for line in range(3):
            row = alpha[(line * height) // 3 : ((line + 1) * height) // 3]
            _write(row, f"{label.text} {line}21 7{line}", 0.8)
    elif label.shape in ("disc", "ring"):
        radius = min(height, width) // 2 - 1
        fill = -1 if label.shape == "disc" else 2 * thick
        cv2.circle(alpha, (width // 2, height // 2), radius - (fill > 0) * thick, 255, fill)
        if label.shape == "disc":
            _write(ink[height // 4 : -(height // 4) or None], label.text[:1], 0.8)
    elif label.shape == "flag":
        cv2.fillConvexPoly(
            alpha, np.array([[0, 0], [width - 1, height // 2], [0, height - 1]]), 255
        )
    elif label.shape == "strip":
        alpha[height // 3 : 2 * height // 3] = 255
    elif label.shape == "corner":
        alpha[: height // 3], alpha[:, : width // 4] = 255, 255
    else:  # scrawl: by hand
        t = np.linspace(0, 1, 60)
        x = (0.06 + 0.86 * t + 0.05 * np.sin(23 * t)) * width
        y = (0.5 + 0.36 * np.sin(31 * t + 6 * label.where)) * height
        path = np.stack([x, y], axis=1).astype(np.int32)
        cv2.polylines(alpha, [path], isClosed=False, color=255, thickness=2 * thick)


def _write(target: Any, text: str, share: float) -> None:
    """Words as large as fit into a part of the target, in its middle."""
    height, width = target.shape
    (wide, tall), _ = cv2.getTextSize(text, FONT, 1.0, 2)
    scale = share * min(width / wide, height / tall)
    thick = max(1, round(2.6 * scale))
    (wide, tall), _ = cv2.getTextSize(text, FONT, scale, thick)
    at = ((width - wide) // 2, (height + tall) // 2)
    picture = np.zeros((height, width), np.uint8)
    cv2.putText(picture, text, at, FONT, scale, 255, thick, cv2.LINE_AA)
    np.maximum(target, picture, out=target)


def _place(
    label: Label,
    shape: tuple[int, ...],
    skin: np.ndarray,
    px: float,
) -> tuple[float, float]:
    """The label's centre, (x, y)."""
    rows, cols = shape[:2]
    if label.place == "corner" or not len(skin):
        across = 0.78 + 0.16 * ((label.where * 7) % 1)
        down = (0.06 + 0.12 * ((label.where * 13) % 1)) if label.where < 0.75 else 0.9
        return across * cols, down * rows
    x, y, nx, ny = skin[int((0.08 + 0.84 * label.where) * (len(skin) - 1))]
    half_w, half_h = label.size[0] / px / 2, label.size[1] / px / 2
    if label.shape in ("disc", "ring"):
        half_w = half_h = min(half_w, half_h)
    turn = math.radians(label.degrees)
    along = abs(nx * math.cos(turn) - ny * math.sin(turn))
    down = abs(nx * math.sin(turn) + ny * math.cos(turn))
    reach = half_w * along + half_h * down  # of the turned rectangle, along the normal
    far = reach - label.overlap / px
    return x + nx * far, y + ny * far


def draw_tape(film: Plane, draws: FilmDraws, px: float, rng: np.random.Generator) -> Mask:
    """Tape along the film's edge with a torn border, in place; returns where."""
    rows, cols = film.shape
    covered = np.zeros(film.shape, bool)
    for width, start, stop, level, side in draws.tape:
        length = rows if side < 2 else cols
        reach = ragged_line(rng, length, min(width, 4.0) if side == 1 else width, 1.5, px)
        here = (np.arange(length) >= start * length) & (np.arange(length) < stop * length)
        strip = _from_side(film.shape, np.where(here, reach, 0.0), side)
        grain = rng.normal(0, 0.03, film.shape).astype(np.float32)
        film[strip] = np.clip(level + cv2.GaussianBlur(grain, (0, 0), 1.5), 0, 1)[strip]
        covered |= strip
    return covered


def ragged_line(
    rng: np.random.Generator, length: int, mean_mm: float, rough_mm: float, px: float
) -> np.ndarray:
    """A distance (pixels) from the film's edge for each of ``length`` pixels along it."""
    if mean_mm <= 0:
        return np.zeros(length)
    slow = cv2.GaussianBlur(rng.normal(size=(1, length)), (0, 0), 6 / px)[0]
    fast = rng.normal(size=length) * 0.15
    slow = slow / max(float(slow.std()), 1e-9)
    return np.asarray(np.maximum((mean_mm + rough_mm * (0.5 * slow + fast)) / px, 0))


def _from_side(shape: tuple[int, ...], reach: np.ndarray, side: int) -> Mask:
    """True within ``reach`` of a side: 0 air, 1 chest wall, 2 top, 3 bottom (chest wall left)."""
    rows, cols = shape
    if side < 2:
        far = np.arange(cols)[None, :]
        far = cols - 1 - far if side == 0 else far
        return np.asarray(far < reach[:, None])
    far = np.arange(rows)[:, None]
    far = rows - 1 - far if side == 3 else far
    return np.asarray(far < reach[None, :])


def margins_of(
    draws: FilmDraws, shape: tuple[int, ...], px: float, rng: np.random.Generator
) -> Mask:
    """Where light never fell: unexposed margins and the film's round corners are no image."""
    rows, cols = shape
    where = np.zeros((rows, cols), bool)
    for side, mean in enumerate(draws.edges.margins):
        reach = ragged_line(rng, rows if side < 2 else cols, mean, draws.edges.ragged, px)
        where |= _from_side(shape, reach, side)
    return where


def draw_wedge(film: Plane, draws: FilmDraws, px: float) -> Mask:
    """A step wedge near the air side, in place; returns where."""
    rows, cols = film.shape
    covered = np.zeros(film.shape, bool)
    if not draws.wedge:
        return covered
    right = cols - round(4 / px)
    left = right - round(draws.wedge / px)
    top, height = round(0.15 * rows), round(0.6 * rows / STEPS)
    for step in range(STEPS):
        bar = np.s_[top + step * height : top + (step + 1) * height, left:right]
        film[bar] = 0.08 + 0.9 * step / (STEPS - 1)
        covered[bar] = True
    return covered


def draw_dust(film: Any, draws: FilmDraws, px: float, rng: np.random.Generator) -> None:
    """Specks and scratches, bright or dark, in place."""
    rows, cols = film.shape
    for _ in range(draws.dust):
        at = (int(rng.integers(cols)), int(rng.integers(rows)))
        level = float(rng.uniform(0.5, 1.0)) if rng.random() < 0.7 else 0.0
        cv2.circle(film, at, round(float(rng.uniform(0, 0.5)) / px), level, -1)
    for _ in range(draws.scratches):
        start = rng.uniform(0, 1, 2) * (cols, rows)
        turn, length = rng.uniform(0, 2 * np.pi), rng.uniform(5, 90) / px
        end = start + length * np.array([np.cos(turn), np.sin(turn)])
        a, b = ((int(p[0]), int(p[1])) for p in (start, end))
        over = film.copy()
        cv2.line(over, a, b, float(rng.uniform(0.3, 0.9)), 1, cv2.LINE_AA)
        share = np.float32(0.5)
        film[:] = film * (1 - share) + over * share
