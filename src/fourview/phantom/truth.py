"""What is known of a phantom: truth of findings, views, breasts and exams.

Frame: stored pixels in the convention of ``fourview.geometry``: points are (x, y), the centre of
       pixel (row, col) is (col + 0.5, row + 0.5), boxes are half-open. Right breasts are stored
       with the chest wall at the right, and so is their truth.
AP:    ``x_ap_mm`` is the depth of a finding in front of the chest plane, along the
       anterior-posterior axis; the same number in both views of a breast.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt16

from fourview.entities import Image, Side, View, Voi
from fourview.geometry import Box

Position = Literal["CC", "MLO"]
POSITIONS: tuple[Position, Position] = ("CC", "MLO")
Density = Literal["a", "b", "c", "d"]
DENSITIES: tuple[Density, ...] = ("a", "b", "c", "d")
Mode = Literal["both", "cc_only", "mlo_only"]
Kind = Literal[
    "mass_benign",
    "mass_malignant",
    "calc_benign",
    "calc_malignant",
    "distortion",
    "summation",
    "satellite",
]
Wall = Literal["left", "right"]
HeaderSide = Literal["right", "wrong", "absent"]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingTruth:
    """One finding as it is in one view.

    Attributes:
        name: The finding's name within its breast, the same in both views: cancer, mass, ...
        mode: Where it can be seen: in both views, or hidden by other tissue in one.
        x_ap_mm: Depth in front of the chest plane along the AP axis.
        t_mm: Position across the AP axis, up (lateral or superior) is positive.
        center: (x, y) in stored pixels; may lie outside the image.
        box: Box around ``mask``; None where nothing of it is on the image.
        mask: True where a pixel of ``box`` is the finding's.
        contrast_mm: Mean added thickness over the mask, as millimetres of glandular tissue.
        local_sd_mm: Spread of the tissue in a ring of 3 mm around the mask, in the same unit.
        visible: Whether a reader could see it here: on the image, and not hidden on purpose.
    """

    name: str
    kind: Kind
    malignant: bool
    mode: Mode
    x_ap_mm: float
    t_mm: float
    center: Point
    box: Box | None
    mask: Bool[np.ndarray, "row col"] | None
    contrast_mm: float
    local_sd_mm: float
    visible: bool

    @property
    def cnr(self) -> float:
        """Contrast over (local spread + 0.5 mm); NaN where nothing of it is on the image."""
        return self.contrast_mm / (self.local_sd_mm + 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewTruth:
    """Where things are in one image, in stored pixels unless the name says otherwise.

    Attributes:
        nipple: The point x = length, t = 0 (the base of the nipple, on the AP axis).
        chest_point: Where the AP axis meets the chest plane; often outside the image.
        ap_axis: Unit vector (x, y) from the chest plane to the nipple.
        inclination_rad: Angle of the AP axis to the rows; 8 to 34 degrees for MLO.
        gantry_rad: Rotation of the gantry: 0 for CC, about 45 degrees for MLO.
        length_mm: Chest plane to nipple.
        thickness_mm: Thickness of the compressed breast, mm.
        pectoral: The chest plane x = 0 inside an MLO image, points (x, y) from the top down.
        skin: The skin line inside the image, points (x, y).
    """

    nipple: Point
    chest_point: Point
    ap_axis: Point
    inclination_rad: float
    gantry_rad: float
    length_mm: float
    thickness_mm: float
    pectoral: Float[np.ndarray, "muscle 2"]
    skin: Float[np.ndarray, "skin 2"]
    findings: tuple[FindingTruth, ...]

    @property
    def inclination_deg(self) -> float:
        """``inclination_rad`` in degrees."""
        return math.degrees(self.inclination_rad)

    @property
    def gantry_deg(self) -> float:
        """``gantry_rad`` in degrees."""
        return math.degrees(self.gantry_rad)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmTruth:
    """What is known of a scanned film, in stored pixels.

    Attributes:
        mask: The breast as far as it is on the film and not under an unexposed margin.
        wall: Side of the scan on which the chest wall is.
        header: Whether the header names the breast's true side.
        labels: Where each label, wedge and strip of tape is.
        kind: Kind of film; see ``film_draws``.
    """

    mask: Bool[np.ndarray, "row col"]
    wall: Wall
    header: HeaderSide
    labels: tuple[Bool[np.ndarray, "row col"], ...]
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomImage:
    """One mammogram of a phantom, as a file would hold it.

    Attributes:
        image_id: SOP Instance UID.
        pixels: Stored values of ``bits`` bits; chest wall at the right for right breasts.
        spacing_mm: Distance of pixels at the detector, the same for rows and columns.
        photometric: MONOCHROME1 or MONOCHROME2.
        voi: The window or table that the fictional vendor writes.
        film: What is known of the film, where the image is a scanned film.
    """

    image_id: str
    side: Side
    position: Position
    pixels: UInt16[np.ndarray, "row col"]
    bits: int
    spacing_mm: float
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    vendor: str
    voi: Voi
    truth: ViewTruth
    film: FilmTruth | None = None

    @property
    def name(self) -> str:
        """Side and position: L-CC."""
        return f"{self.side}-{self.position}"

    @property
    def header_side(self) -> Side | None:
        """The side that the file's header names: on films it may be wrong, or None."""
        if self.film is None or self.film.header == "right":
            return self.side
        return ("L" if self.side == "R" else "R") if self.film.header == "wrong" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomBreast:
    """What is known of one breast.

    Attributes:
        cancer: Whether a malignant finding was put into it.
        pathology: cancer, benign or normal; a summation shadow alone is normal.
        volumetric_density: Glandular fraction of its volume that was aimed at, in [0, 1].
    """

    side: Side
    cancer: bool
    pathology: Literal["cancer", "benign", "normal"]
    density: Density
    volumetric_density: float
    length_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomExam:
    """Four views of two breasts with all that is known of them.

    Attributes:
        images: R-CC, L-CC, R-MLO, L-MLO.
        breasts: Right, left.
        age: Years; independent of everything but the density.
        vendor: Name of the fictional vendor: A, B or C.
    """

    patient_id: str
    exam_id: str
    seed: int
    age: int
    density: Density
    vendor: str
    images: tuple[PhantomImage, ...]
    breasts: tuple[PhantomBreast, ...]

    def image(self, name: str) -> PhantomImage:
        """The image of that name, such as R-MLO."""
        return next(image for image in self.images if image.name == name)

    def entity(self, image: PhantomImage) -> Image:
        """The noun that the DICOM reader would make of the image's file, without the file."""
        return Image(
            image_id=image.image_id,
            patient_id=self.patient_id,
            exam_id=self.exam_id,
            view=View(
                side=image.header_side or image.side, position=image.position, source="phantom"
            ),
            pixels=image.pixels,
            stored_size=(image.pixels.shape[0], image.pixels.shape[1]),
            bits=image.bits,
            value_range=(0.0, float(2**image.bits - 1)),
            spacing_mm=(image.spacing_mm, image.spacing_mm),
            bright_is_dense=image.photometric == "MONOCHROME2",
            voi=image.voi,
            metadata={"manufacturer": f"Fictional {image.vendor}", "age": str(self.age)},
        )
