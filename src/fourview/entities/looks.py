"""How images, exams and predictions show themselves: in a line, in a notebook, as a picture.

Pictures are made by ``fourview.report.pictures``, which is looked up by name when one is asked for:
the nouns import nothing that draws.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from fourview.entities.exam import BreastPrediction, Image, ImagePrediction


class ImageLook:
    """What an ``Image`` shows of itself."""

    __slots__ = ()

    def show(self: Any, *, rows: int = 1200) -> "Picture":
        """The image as it hangs, windowed as its file asks, 8 bits; for a person, not for a model.

        Args:
            rows: Larger images are shrunk to so many rows.

        Returns:
            A Pillow image: the last line of a notebook's cell displays it, ``.show()`` opens it in
            a window and ``.save(path)`` writes it.
        """
        picture: Picture = _draw("image_picture")(self, rows=rows)
        return picture

    def _repr_html_(self: Any) -> str:
        html: str = _draw("image_html")(self)
        return html

    def __repr__(self: Any) -> str:
        rows, cols = self.stored_size
        spacing = "" if self.spacing_mm is None else f", {self.spacing_mm[0]:.4g} mm"
        return f"<Image {self.view.name}, {rows} x {cols} of {self.bits} bits{spacing}>"


class ExamLook:
    """How an ``Exam`` is looked into, and what it shows of itself."""

    __slots__ = ()

    def __getitem__(self: Any, view: str) -> "Image":
        """The preferred image of a view, such as ``exam["L-CC"]``, or the image of an id.

        Raises:
            KeyError: There is none; the message says which views there are.
        """
        image: Image | None = self.get(view)
        if image is None:
            raise KeyError(f"no {view} in exam {self.exam_id}; it has {_views(self.images)}")
        return image

    def get(self: Any, view: str) -> "Image | None":
        """The preferred image of a view, or of an id; None where there is none."""
        return next((i for i in self.images if view in (i.view.name, i.image_id)), None)

    def __contains__(self: Any, view: object) -> bool:
        return any(view in (i.view.name, i.image_id) for i in self.images)

    def __iter__(self: Any) -> "Iterator[Image]":
        return iter(self.images)

    def __len__(self: Any) -> int:
        return len(self.images)

    def __bool__(self) -> bool:
        return True  # an exam without readable images is one all the same

    def _repr_html_(self: Any) -> str:
        html: str = _draw("exam_html")(self)
        return html

    def __repr__(self: Any) -> str:
        out = f", {len(self.left_out)} left out" if self.left_out else ""
        return f"<Exam {self.exam_id} of patient {self.patient_id}: {_views(self.images)}{out}>"


class PredictionLook:
    """How an ``ExamPrediction`` is looked into, and what it shows of itself."""

    __slots__ = ()

    def __getitem__(self: Any, view: str) -> "ImagePrediction | BreastPrediction":
        """What is said of a view, ``prediction["L-CC"]``, or of a breast, ``prediction["L"]``.

        Raises:
            KeyError: There is none; the message says what there is.
        """
        prediction: Any = self.breast(view) if view in ("R", "L") else None
        named = (i for i in self.images if view in (i.view.name, i.image_id))
        prediction = prediction or next(named, None)
        if prediction is None:
            raise KeyError(
                f"nothing is said of {view} in exam {self.exam_id}; there are "
                f"{_views(self.images)} and R, L"
            )
        return prediction  # type: ignore[no-any-return]

    def heatmap(
        self: Any, view: str, class_name: str | None = None
    ) -> Float[np.ndarray, "row col"]:
        """A view's heatmap on the file's own pixels.

        Args:
            view: Such as L-CC; or an image id.
            class_name: The class; the first one where None.

        Returns:
            Values in [0, 1], an array of the stored size; NaN where the model did not look.

        Raises:
            ReportError: The view has no heatmap of that class.
        """
        values: np.ndarray = _draw("stored_heatmap")(self, view, class_name)
        return values

    def overlay(
        self: Any,
        view: str,
        *,
        image: "Image | None" = None,
        class_name: str | None = None,
        rows: int = 1200,
        stored: bool = False,
    ) -> "Picture":
        """A view with its heatmap and regions drawn on it.

        Args:
            view: Such as L-CC; or an image id.
            image: The image with its pixels; None takes that of the exam that was read.
            class_name: The class whose heatmap is drawn; the first one where None.
            rows: Larger images are shrunk to so many rows.
            stored: Keep the file's own orientation and its own pixels: pixel (row, col) of the
                picture is that of ``image.pixels``. Without it the view hangs as in a report.

        Returns:
            A Pillow image, which a notebook displays.

        Raises:
            ReportError: The pixels are not at hand.
        """
        options = {"class_name": class_name, "rows": rows, "stored": stored}
        picture: Picture = _draw("overlay_picture")(self, view, image, **options)
        return picture

    def _repr_html_(self: Any) -> str:
        html: str = _draw("prediction_html")(self)
        return html

    def __repr__(self: Any) -> str:
        scores = ", ".join(f"{b.side} {_score(b)}" for b in self.breasts) or "nothing scored"
        return f"<ExamPrediction of exam {self.exam_id} by {self.model}: {scores}>"


def _score(breast: "BreastPrediction") -> str:
    if breast.score is not None:
        return f"{breast.score:.3f}"
    best = max(breast.scores, key=breast.scores.__getitem__, default=None)
    return "not scored" if best is None else f"{best} {breast.scores[best]:.3f}"


def _views(images: Any) -> str:
    return ", ".join(i.view.name for i in images) or "no image"


def _draw(name: str) -> Any:
    """A function of the module that draws."""
    return getattr(import_module("fourview.report.pictures"), name)
