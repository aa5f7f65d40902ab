"""What a scanned film is like: tone, light, edges and what lies on it, drawn from a seed.

Two kinds. ``usual``: what archives of screen-film mammograms (DDSM, CBIS-DDSM, MIAS) show. ``odd``:
other laws and shapes for all of it, so that a method that was tuned on the first can be tried on
films that nobody tuned it on. Lengths are mm, grey levels parts of the scanner's range, 1 the
brightest.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fourview.entities import Side
from fourview.errors import PhantomError
from fourview.geometry import Size
from fourview.phantom.streams import stream
from fourview.phantom.truth import HeaderSide, Position, Wall

FilmKind = Literal["usual", "odd"]
FILM_KINDS: tuple[FilmKind, ...] = ("usual", "odd")
FILM_MM = ((240.0, 180.0), (300.0, 240.0))  # 18 x 24 and 24 x 30 cm
SCAN_PX = 0.1  # mm, where nothing else is asked for
HEADER_SHARES: tuple[tuple[HeaderSide, float], ...] = (  # how often a header's side is right
    ("right", 0.7),
    ("wrong", 0.15),
    ("absent", 0.15),
)
Shape = Literal["letters", "plate", "block", "disc", "ring", "flag", "scrawl", "strip", "corner"]
# A shape or place that stands twice in a list is drawn twice as often.
USUAL_SHAPES: tuple[Shape, ...] = ("letters", "letters", "plate", "block", "disc", "ring")
ODD_SHAPES: tuple[Shape, ...] = ("flag", "scrawl", "strip", "corner", "letters")
Place = Literal["corner", "near", "at", "over"]
PLACES: tuple[Place, ...] = ("corner", "corner", "near", "at", "over")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """How exposure becomes density, and density a stored value.

    Attributes:
        latitude: Share of the missing thickness that does not darken the film's edge of the breast.
        gradient: Slope of the film's characteristic curve, density per decade of exposure.
        mid_density: Density of the median tissue.
        max_density: Greatest density of the film.
        scanner_density: Greatest density that the scanner can tell from black.
        power: Power of the stored value over what is linear in density.
        bits: Bits of a stored value.
        bright_is_dense: False stores MONOCHROME1.
        noise: Standard deviation of bright grey, and what is added to it in black.
    """

    latitude: float
    gradient: float
    mid_density: float
    max_density: float
    scanner_density: float
    power: float
    bits: int
    bright_is_dense: bool
    noise: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """Light that is no mammogram.

    Attributes:
        level: Light everywhere.
        slope: How much more there is at one end than at the other; ``slope_angle`` (radians) is the
            direction.
        rim: How much more there is at the film's edge, falling by ``rim_mm``.
        glow: A wide spot, centre as parts of the film; 0 for none.
        strip: Light along one side, the whole height or a part of it; width mm, level, and where
            from and to as parts of the height.
        strip_at_wall: Whether that side is the chest wall's.
        ripple: Amplitude of the scanner's vertical stripes.
    """

    level: float
    slope: float
    slope_angle: float
    rim: float
    rim_mm: float
    glow: float
    glow_at: tuple[float, float]
    strip: tuple[float, float, float, float]
    strip_at_wall: bool
    ripple: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Where the film ends.

    Attributes:
        margins: Unexposed, bright: air side, chest wall, top, bottom.
        margin_level: Their grey level.
        ragged: How uneven they are.
        bed: Scanner bed around the film: air side, chest wall, top, bottom.
        bed_level: Grey level of the bed.
        turned: Degrees by which the film lay askew.
        round_corner: Radius of the film's corners.
    """

    margins: tuple[float, float, float, float]
    margin_level: float
    ragged: float
    bed: tuple[float, float, float, float]
    bed_level: float
    turned: float
    round_corner: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One thing on the film.

    Attributes:
        size: Width and height.
        where: A draw in (0, 1) that picks the place along the skin or among the corners.
        overlap: How far it reaches over the skin, or stays away below 0.
    """

    shape: Shape
    place: Place
    size: tuple[float, float]
    degrees: float
    level: float
    where: float
    overlap: float
    text: str
    blur: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmDraws:
    """Everything that makes one film of one view.

    Attributes:
        film_mm: Height and width.
        wall: Side of the scan on which the chest wall is: a film can be laid either way round.
        header: Whether the header's side is right.
        wedge: A step wedge along the air side: width, or 0 for none.
        tape: Strips of tape along the film's edge: width, from, to (parts of the side), grey, side
            (0 to 3 as in ``Edges.margins``).
        dust: Specks.
        scratches: Thin lines.
    """

    kind: FilmKind
    film_mm: tuple[float, float]
    wall: Wall
    header: HeaderSide
    tone: Tone
    light: Light
    edges: Edges
    labels: tuple[Label, ...]
    wedge: float
    tape: tuple[tuple[float, float, float, float, int], ...]
    dust: int
    scratches: int

    def size(self, px: float) -> Size:
        """Rows and columns of the film without its bed."""
        return round(self.film_mm[0] / px), round(self.film_mm[1] / px)


def film_kind(kind: str) -> FilmKind:
    """The kind of that name.

    Raises:
        PhantomError: There is none; the message lists those there are.
    """
    for known in FILM_KINDS:
        if kind == known:
            return known
    raise PhantomError(f"no kind of film '{kind}'; there are: {', '.join(FILM_KINDS)}")


def draw_film(seed: int, side: Side, position: Position, kind: FilmKind = "usual") -> FilmDraws:
    """The film of one view of a patient; the same for every size."""

    def rng(purpose: str) -> np.random.Generator:
        return stream(seed, "film", kind, side, position, purpose)

    odd = kind == "odd"
    whole = rng("film")
    draw = float(whole.random())
    shares = np.cumsum([share for _, share in HEADER_SHARES])
    header = HEADER_SHARES[int(np.searchsorted(shares, draw, side="right"))][0]
    more = rng("things")
    return FilmDraws(
        kind=kind,
        film_mm=_film_mm(rng("size")),
        wall="left" if whole.random() < 0.5 else "right",
        header=header,
        tone=_tone(rng("tone"), odd=odd),
        light=_light(rng("light"), odd=odd),
        edges=_edges(rng("edges"), odd=odd),
        labels=_labels(rng("labels"), f"{side} {position}", odd=odd),
        wedge=float(more.uniform(6, 14)) if more.random() < 0.15 else 0.0,
        tape=_tape(more, odd=odd),
        dust=int(more.integers(0, 60)),
        scratches=int(more.integers(0, 4)),
    )


def _film_mm(rng: np.random.Generator) -> tuple[float, float]:
    """A film's height and width; some scans are cut on the air side."""
    height, width = FILM_MM[int(rng.random() < 0.4)]
    return height, float(rng.uniform(118, width)) if rng.random() < 0.3 else width


def _tone(rng: np.random.Generator, *, odd: bool) -> Tone:
    return Tone(
        latitude=rng.uniform(0.35, 0.9) if odd else rng.uniform(0.3, 0.75),
        gradient=rng.uniform(2.0, 2.8) if odd else rng.uniform(2.6, 3.6),
        mid_density=rng.uniform(1.0, 2.2) if odd else rng.uniform(1.3, 1.9),
        max_density=rng.uniform(3.2, 4.4) if odd else rng.uniform(3.6, 4.2),
        scanner_density=rng.uniform(3.0, 4.4) if odd else rng.uniform(3.3, 4.1),
        power=rng.uniform(0.6, 1.8) if odd else rng.uniform(0.8, 1.4),
        bits=int(rng.choice([8, 8, 10, 12, 16])),
        bright_is_dense=bool(rng.random() > 0.15),
        noise=(rng.uniform(0.001, 0.004), rng.uniform(0.0, 0.012 if odd else 0.008)),
    )


def _light(rng: np.random.Generator, *, odd: bool) -> Light:
    def sometimes(share: float, low: float, high: float) -> float:
        value = rng.uniform(low, high)
        return float(value) if rng.random() < share else 0.0

    whole_height = rng.random() < 0.6
    start = 0.0 if whole_height else float(rng.uniform(0, 0.6))
    stop = 1.0 if whole_height else float(start + rng.uniform(0.2, 0.4))
    strip = sometimes(0.35, 0.08, 0.5)
    return Light(
        level=sometimes(0.7, 0.0, 0.10),
        slope=sometimes(0.5, 0.0, 0.12 if odd else 0.08),
        slope_angle=float(rng.uniform(0, 2 * np.pi)),
        rim=sometimes(0.5, 0.0, 0.15),
        rim_mm=float(rng.uniform(3, 18)),
        glow=sometimes(0.4 if odd else 0.0, 0.02, 0.10),
        glow_at=(float(rng.random()), float(rng.random())),
        strip=(float(rng.uniform(1, 10 if odd else 8)), strip, start, stop),
        strip_at_wall=bool(rng.random() < 0.4),
        ripple=sometimes(0.4, 0.0, 0.004),
    )


def _edges(rng: np.random.Generator, *, odd: bool) -> Edges:
    def four(share: float, low: float, high: float) -> tuple[float, float, float, float]:
        a, b, c, d = (
            float(rng.uniform(low, high)) if rng.random() < share else 0.0 for _ in range(4)
        )
        return a, b, c, d

    turned = rng.uniform(-6, 6) if odd else rng.normal(0, 1.2)
    return Edges(
        margins=four(0.3, 0.5, 9 if odd else 6),
        margin_level=float(rng.uniform(0.9, 1.0)),  # no film is clearer than where no light fell
        ragged=float(rng.uniform(0, 2)) if rng.random() < 0.4 else 0.0,
        bed=four(0.35, 1, 30 if odd else 20),
        bed_level=float(rng.choice([0.0, 0.0, 0.0, 1.0, rng.uniform(0, 0.15)])),
        turned=float(turned) if rng.random() < 0.5 else 0.0,
        round_corner=float(rng.uniform(2, 12)) if rng.random() < 0.4 else 0.0,
    )


def _labels(rng: np.random.Generator, text: str, *, odd: bool) -> tuple[Label, ...]:
    shapes = ODD_SHAPES if odd else USUAL_SHAPES
    labels = []
    for _ in range(int(rng.integers(0, 4))):
        shape = shapes[int(rng.integers(len(shapes)))]
        place = PLACES[int(rng.integers(len(PLACES)))]
        overlap = {
            "corner": 0.0,
            "near": -rng.uniform(1, 8),
            "at": rng.uniform(-0.5, 0.5),
            "over": rng.uniform(1, 8),
        }[place]
        labels.append(
            Label(
                shape=shape,
                place=place,
                size=(float(rng.uniform(14, 45)), float(rng.uniform(8, 22))),
                degrees=float(rng.choice([0, 0, 90, -90, rng.uniform(-60, 60)])),
                level=float(rng.uniform(0.35 if odd else 0.6, 1.0)),
                where=float(rng.random()),
                overlap=float(overlap),
                text=text if rng.random() < 0.6 else f"{text} {rng.integers(1, 99)}",
                blur=float(rng.uniform(0.1, 1.2 if odd else 0.4)),
            )
        )
    return tuple(labels)


def _tape(
    rng: np.random.Generator, *, odd: bool
) -> tuple[tuple[float, float, float, float, int], ...]:
    strips = []
    for _ in range(int(rng.integers(1, 3)) if rng.random() < 0.25 else 0):
        start = float(rng.uniform(-0.1, 0.8))
        length = float(rng.uniform(0.08, 0.5 if odd else 0.35))
        side = int(rng.choice([0, 0, 1, 2, 3]))
        width = float(rng.uniform(2, 14))
        strips.append((width, start, start + length, float(rng.uniform(0.25, 0.95)), side))
    return tuple(strips)
