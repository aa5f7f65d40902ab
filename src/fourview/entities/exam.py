"""From an image in its file to what a model says of an exam.

Frames:  ``pixels`` arrays are (row, col). Regions are in the **stored** frame (the file's own
         pixels) wherever they appear; heatmaps are in the processed frame and carry their geometry.
Unknown: None, never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Shaped

from fourview.entities.looks import ExamLook, ImageLook, PredictionLook
from fourview.entities.reasons import Reason
from fourview.geometry import Box, Geometry, Size

Side = Literal["R", "L"]
SIDES: tuple[Side, Side] = ("R", "L")  # written R before L, as they hang
SLOTS = ("R-CC", "L-CC", "R-MLO", "L-MLO")  # slot s is of side SIDES[s % 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Which breast from which direction.

    Attributes:
        side: R or L.
        position: CC, MLO, or another of the DICOM defined terms (ML, LM, LMO, XCCL, AT, ...).
        modifiers: Words such as spot, magnification, implant_displaced; sorted.
        source: Attribute that side and position were read from, for the report: "ViewCodeSequence".
    """

    side: Side
    position: str
    modifiers: tuple[str, ...] = ()
    source: str = ""

    @property
    def name(self) -> str:
        """Side and position: L-CC."""
        return f"{self.side}-{self.position}"

    @property
    def slot(self) -> int | None:
        """Index into SLOTS; None where the view is none of the four."""
        return SLOTS.index(self.name) if self.name in SLOTS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Voi:
    """How the file asks to be displayed: a window or a table (DICOM PS3.3 C.11.2).

    Attributes:
        function: LINEAR, LINEAR_EXACT, SIGMOID, or TABLE for a VOI LUT Sequence.
        center: Window Center in modality values; NaN for TABLE.
        width: Window Width in modality values; NaN for TABLE.
        table: The entries of the VOI LUT, with ``first`` the modality value of entry 0.
        table_bits: Bits of an entry: output runs from 0 to 2**bits - 1.
        explanation: The file's word for it, such as NORMAL.
        alternatives: How many others the file offers; the first is taken.
    """

    function: Literal["LINEAR", "LINEAR_EXACT", "SIGMOID", "TABLE"]
    center: float = float("nan")
    width: float = float("nan")
    table: Shaped[np.ndarray, " entry"] | None = None
    first: int = 0
    table_bits: int = 0
    explanation: str = ""
    alternatives: int = 0

    @property
    def falls(self) -> bool:
        """Whether a table makes large values dark, so that it turns the scale round."""
        if self.table is None or len(self.table) < 2:
            return False
        part = max(1, len(self.table) // 8)
        return bool(self.table[:part].mean() > self.table[-part:].mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How pixels must be turned to stand as a mammogram hangs; first the one, then the other.

    Attributes:
        exchanged: Whether rows and columns are to be exchanged.
        upside_down: Whether the first row is to become the last.
        chest_wall: Side of the image with the chest wall after that: left or right; None where
            nothing says so.
    """

    exchanged: bool = False
    upside_down: bool = False
    chest_wall: str | None = None

    @property
    def moves_pixels(self) -> bool:
        """Whether there is anything to turn."""
        return self.exchanged or self.upside_down


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Image(ImageLook):
    """One mammogram as it is in its file: full depth, after the modality LUT, not windowed.

    Attributes:
        image_id: SOP Instance UID, or the data set's own id; never used as a file name.
        view: Side, position and modifiers, with where they were read.
        pixels: Modality values; integers wherever slope, intercept and table allow it.
        stored_size: Rows and columns of the file. ``pixels`` is smaller than that, by a power of
            two, where JPEG 2000 was decoded at a lower resolution.
        bits: Bits that the file says its stored values have, 8 to 16 (the `bits` range of a spec).
        value_range: Lowest and highest modality value that those bits can hold.
        spacing_mm: Row and column distance at the detector; None where the file has none.
        bright_is_dense: False for MONOCHROME1: small values are dense tissue.
        voi: The file's own window or table; None where it has none.
        padding: True where the file says a pixel is padding; None where it says nothing.
        turn: How the pixels must be turned to stand as a mammogram hangs, as the file says; they
            are kept as they are in the file. None where the file does not say.
        metadata: Header facts for tables and subgroups (manufacturer, model, age, ...), by name.
        notes: What is odd about the file and was dealt with, one sentence each.
    """

    image_id: str
    patient_id: str
    exam_id: str
    view: View
    pixels: Shaped[np.ndarray, "row col"]
    stored_size: Size
    bits: int
    value_range: tuple[float, float]
    spacing_mm: tuple[float, float] | None
    bright_is_dense: bool
    voi: Voi | None = None
    padding: Bool[np.ndarray, "row col"] | None = None
    turn: Turn | None = None
    path: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that was not read, and why.

    Attributes:
        path: Relative to what the user named.
        reason: One word for tables.
        detail: One sentence for people.
        image_id: Id of its image; None where the header could not be read.
        file: Path at which it can be opened now; empty where that is not known. It is not compared
            and not written down.
    """

    path: str
    reason: Reason
    detail: str
    image_id: str | None = None
    file: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Exam(ExamLook):
    """One visit's images of both breasts; one DICOM study.

    ``exam["L-CC"]`` is an image, ``for image in exam`` goes through all; a notebook shows the four
    views. ``images`` are those that can be read; within a slot the preferred one comes first.
    """

    patient_id: str
    exam_id: str
    images: tuple[Image, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def in_slot(self, slot: str) -> tuple[Image, ...]:
        """The images of one of SLOTS; none, one or more."""
        return tuple(i for i in self.images if i.view.name == slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessedImage:
    """One mammogram as models see it.

    Attributes:
        pixels: Values in [0, 1], dense tissue bright; 0 outside the breast; chest wall at left.
        mask: True inside the breast.
        geometry: The way between the stored frame and this one.
        spec: Name of the PixelSpec that made it.
        fingerprint: Hash of that spec; two images may be compared only where it is equal.
        notes: What preprocessing saw and decided: which window, a side that the header has wrong.
    """

    image_id: str
    view: View
    pixels: Float[np.ndarray, "row col"]
    mask: Bool[np.ndarray, "row col"]
    geometry: Geometry
    spec: str
    fingerprint: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A box on one image, in the stored frame; ``polygon`` where the source drew one.

    Attributes:
        score: A model's suspicion of this region alone, where its finding joins two views.
        depth_mm: Depth of its centre behind the nipple, along the anterior-posterior axis; None
            where the axis is not known.
        nipple_mm: Distance from its centre to the nipple, on this image.
    """

    image_id: str
    box: Box
    polygon: tuple[tuple[float, float], ...] | None = None
    score: float | None = None
    depth_mm: float | None = None
    nipple_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A patch that a model scored a finding by; ``box`` is its place in the stored frame."""

    image_id: str
    box: Box
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One abnormality of one breast, with its regions on one or more images.

    Attributes:
        kind: mass, calcification, distortion, asymmetry, ..., or "region" where no table names it.
        score: A model's suspicion in [0, 1]; None for a finding from a table.
        malignant: What is known; None where unknown.
        source: "proposed" by a model, or the data set or file it comes from.
        patches: The patches that it was scored by, where a model looked at it alone.
        nipple_mm: Its distance from the nipple, the mean over its regions; None where not known.
        quadrant: Where in the breast: upper outer quadrant, inner half, subareolar, ...; empty
            where not known.
    """

    finding_id: str
    side: Side
    regions: tuple[Region, ...]
    kind: str = "region"
    score: float | None = None
    malignant: bool | None = None
    source: str = "proposed"
    patches: tuple[Patch, ...] = ()
    nipple_mm: float | None = None
    quadrant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heatmap:
    """Where a model looked, over one processed image.

    Attributes:
        values: Scores in [0, 1] on a coarse grid that covers the whole processed frame evenly.
        class_name: The class that the values are scores of, such as "malignant".
    """

    image_id: str
    class_name: str
    values: Float[np.ndarray, "row col"]
    geometry: Geometry


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePrediction:
    """What a model says of one image.

    Attributes:
        score: Suspicion in [0, 1]; None where the model has none for images.
        scores: Scores of every class, by name; empty where there are none.
    """

    image_id: str
    view: View
    score: float | None
    scores: Mapping[str, float] = field(default_factory=dict)
    heatmaps: tuple[Heatmap, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BreastPrediction:
    """What a model says of one breast.

    Attributes:
        score: Suspicion in [0, 1]; None where none of its images could be read, or the model judges
            something else (density).
        scores: Scores of every class, by name (cancer, benign, or A to D); empty where there are
            none.
    """

    side: Side
    score: float | None
    scores: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a model was asked: which of the scores belong together.

    Attributes:
        name: Name of the task: cancer, density, ...
        classes: Names of its scores, in their order.
        exclusive: Whether a breast is of exactly one of several classes, so that their scores sum
            to 1 (density); False where each class is a yes or no of its own.
    """

    name: str
    classes: tuple[str, ...]
    exclusive: bool = True

    @property
    def is_choice(self) -> bool:
        """Whether one class of several is chosen, as with density."""
        return self.exclusive and len(self.classes) > 1

    def best(self, scores: Mapping[str, float]) -> str | None:
        """The class with the highest score; None where no class has one."""
        known = [name for name in self.classes if name in scores]
        return max(known, key=scores.__getitem__, default=None)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExamPrediction(PredictionLook):
    """What a model says of an exam, with all that is needed to judge and repeat it.

    Attributes:
        model: Family and recipe, such as "mvccl:small".
        model_digest: SHA-256 of the weights.
        pixel_spec: Name and fingerprint of the pixels it read.
        terms: What the licence of the training data asks of whoever uses the weights.
        precision: How it was computed: "float32", "bfloat16, compiled".
        left_out: Files that were not read, with reasons.
        asked: The tasks that the scores answer; empty in results of older versions.
        caution: What whoever sees a score must know of the model, in one sentence.
        exam: The exam that was read, with its pixels, for ``overlay``; None where a prediction
            comes from a file. It is not compared and not written down.
    """

    patient_id: str
    exam_id: str
    breasts: tuple[BreastPrediction, ...]
    images: tuple[ImagePrediction, ...]
    model: str
    model_digest: str
    pixel_spec: str
    terms: str = ""
    precision: str = "float32"
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    caution: str = ""
    exam: Exam | None = field(default=None, compare=False)

    def breast(self, side: Side) -> BreastPrediction | None:
        """The prediction of one side; None where the exam has no image of it."""
        return next((b for b in self.breasts if b.side == side), None)
