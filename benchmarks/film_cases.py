"""Scanned films of phantoms in memory, for the benchmark of the breast mask."""

from collections.abc import Iterator
from dataclasses import dataclass

from fourview.entities import SIDES, Image, View
from fourview.phantom.anatomy import draw_breast, draw_patient
from fourview.phantom.exam import film_image
from fourview.phantom.film_draws import FilmKind, draw_film
from fourview.phantom.lesions import Contents
from fourview.phantom.truth import DENSITIES, POSITIONS, PhantomImage

ROWS = 448  # of a film: as many as the mask is found on


@dataclass(frozen=True)
class Case:
    """One film."""

    seed: int
    density: str
    phantom: PhantomImage
    image: Image


def film_case(seed: int, kind: FilmKind, rows: int = ROWS) -> Case:
    """The film of one seed: sides, views and densities take turns."""
    side, position = SIDES[seed % 2], POSITIONS[seed // 2 % 2]
    density = DENSITIES[seed // 4 % 4]
    breast = draw_breast(draw_patient(seed, density), side)
    draws = draw_film(seed, side, position, kind)
    phantom = film_image(
        breast, position, draws, contents=Contents((), ()), rows=rows, image_id=f"film-{seed}"
    )
    return Case(seed, density, phantom, entity(phantom))


def entity(phantom: PhantomImage) -> Image:
    """The image that a reader would make of it."""
    return Image(
        image_id=phantom.image_id,
        patient_id=phantom.image_id,
        exam_id=phantom.image_id,
        view=View(side=phantom.header_side or phantom.side, position=phantom.position),
        pixels=phantom.pixels,
        stored_size=(phantom.pixels.shape[0], phantom.pixels.shape[1]),
        bits=phantom.bits,
        value_range=(0.0, float(2**phantom.bits - 1)),
        spacing_mm=None,
        bright_is_dense=phantom.photometric == "MONOCHROME2",
        voi=phantom.voi,
    )


def film_cases(first: int, num: int, kind: FilmKind, rows: int = ROWS) -> Iterator[Case]:
    """Films of consecutive seeds."""
    return (film_case(seed, kind, rows) for seed in range(first, first + num))
