"""How the images of an exam hang: R on the left, L on the right, CC above MLO, walls together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fourview.entities import SLOTS, ExamPrediction, Image, ImagePrediction, View
from fourview.errors import ReportError


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One image on the wall.

    Attributes:
        key: Names it in the page and on disk: R-CC, R-CC-2; made of letters, digits and hyphens
            only, and never of an identifier from a header.
        image: The pixels; None where they were not given.
        prediction: What the model says of it; None where it was not scored.
    """

    key: str
    view: View
    image_id: str
    image: Image | None
    prediction: ImagePrediction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """All images of an exam.

    Attributes:
        slots: The four, in the order of SLOTS; None where the exam has no image of one.
        others: Second images of a slot, and views other than the four.
    """

    slots: tuple[Panel | None, ...]
    others: tuple[Panel, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Every panel that has an image, the four slots first."""
        return (*(p for p in self.slots if p is not None), *self.others)


def hang(prediction: ExamPrediction, images: Sequence[Image]) -> Wall:
    """Give every image its place.

    Of several images of a slot the first of ``prediction.images`` hangs there, the rest are among
    the others. Images that the prediction does not mention come last; they are not scored.

    Raises:
        ReportError: Two images have one id, or an image is of another exam.
    """
    by_id = {image.image_id: image for image in images}
    _check(prediction, images)
    scored = {p.image_id: p for p in prediction.images}
    views = {p.image_id: p.view for p in prediction.images}
    views.update({i.image_id: i.view for i in images if i.image_id not in views})
    taken: dict[str, int] = {}
    slots: list[Panel | None] = [None] * len(SLOTS)
    others: list[Panel] = []
    for image_id, view in views.items():
        panel = Panel(
            key=_key(view, taken),
            view=view,
            image_id=image_id,
            image=by_id.get(image_id),
            prediction=scored.get(image_id),
        )
        if view.slot is not None and slots[view.slot] is None:
            slots[view.slot] = panel
        else:
            others.append(panel)
    others.sort(key=lambda p: (p.view.side == "L", p.view.position))  # stable; R before L
    return Wall(slots=tuple(slots), others=tuple(others))


def _key(view: View, taken: dict[str, int]) -> str:
    position = re.sub(r"[^A-Za-z0-9]", "", view.position)[:16] or "other"
    stem = f"{view.side}-{position}"
    taken[stem] = taken.get(stem, 0) + 1
    return stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"


def _check(prediction: ExamPrediction, images: Sequence[Image]) -> None:
    for where, ids in (
        ("images", [i.image_id for i in images]),
        ("the prediction", [p.image_id for p in prediction.images]),
    ):
        twice = next((x for n, x in enumerate(ids) if x in ids[:n]), None)
        if twice is not None:
            raise ReportError(f"image {twice} is there twice in {where}; need one of each")
    stranger = next((i for i in images if i.exam_id != prediction.exam_id), None)
    if stranger is not None:
        raise ReportError(
            f"image {stranger.image_id} is of exam {stranger.exam_id}, the prediction of exam "
            f"{prediction.exam_id}; pass the images that were read for it"
        )
