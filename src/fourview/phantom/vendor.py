"""Three fictional vendors: detector, processing, and how the file asks to be displayed.

No name, value or behaviour is a real manufacturer's. What a viewer shows is the same grey for all
three; what the files store is not. ``baked`` vendors store that grey; the others store the
logarithmic signal and leave the curve to the file's SIGMOID window or VOI LUT Sequence.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fourview.entities import Voi
from fourview.errors import PhantomError
from fourview.geometry import Size
from fourview.phantom.streams import stream
from fourview.suggest import no_such

FIELD_MM = 230.4  # height of the field where images are asked for by rows; half as wide
TOP_GREY = 0.97  # where the curve ends; markers are brighter
BELOW, ABOVE = 5.0, 4.0  # stored range of unbaked values: curve widths below and above its centre
MIN_TABLE_BITS = 10  # of a VOI LUT's entries (PS3.3 C.8.11.3.1.5)
Display = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID", "TABLE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One fictional vendor.

    Attributes:
        px: Pixel size of its detector, mm.
        shape: Matrix of its detector.
        peripheral: Peripheral equalisation: share of the missing thickness that is made up for.
        unsharp: Strength of the unsharp mask.
        centre: Middle of the tone curve, in units of the automatic window.
        width: Width of the tone curve, in the same unit.
        blur: Sigma of the detector's blur, mm.
        dose: Photons relative to vendor A.
        marker: Burned-in side marker: plain text, or text in a grey box.
        displays: How its software versions ask to be displayed; drawn once per exam.
    """

    name: str
    px: float
    shape: Size
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    bits: int = 12
    peripheral: float
    unsharp: float
    centre: float
    width: float
    blur: float
    dose: float
    marker: Literal["text", "box"]
    displays: tuple[Display, ...]

    @property
    def top(self) -> int:
        """The largest stored value."""
        return int(2**self.bits - 1)

    def display(self, seed: int) -> Display:
        """How the files of one exam ask to be displayed."""
        return self.displays[int(stream(seed, "display", self.name).integers(len(self.displays)))]

    def stored_of(self, grey: float, display: Display) -> int:
        """The stored value (before a MONOCHROME1 inversion) that is shown as ``grey`` in (0, 1)."""
        if is_baked(display):
            return round(grey * self.top)
        share = min(max(grey / TOP_GREY, 1e-3), 1 - 1e-3)
        widths = math.log(share / (1 - share))
        return round(min(max((widths + BELOW) / (BELOW + ABOVE), 0.0), 1.0) * self.top)


def is_baked(display: Display) -> bool:
    """Whether the tone curve is applied before storing."""
    return display in ("LINEAR", "LINEAR_EXACT")


def voi_of(vendor: Vendor, display: Display) -> Voi:
    """The window or table of the file, which makes the stored values the intended grey."""
    top = float(vendor.top)
    if display == "LINEAR":
        return Voi(function=display, center=(top + 1) / 2, width=top + 1, explanation="NORMAL")
    if display == "LINEAR_EXACT":
        return Voi(function=display, center=top / 2, width=top, explanation="NORMAL")
    if display == "SIGMOID":  # 1 / (1 + exp(-4 (x - center) / width)), PS3.3 C.11.2.1.3.1
        share = BELOW / (BELOW + ABOVE)
        center = top * (1 - share if vendor.photometric == "MONOCHROME1" else share)
        width = 4 * top / (BELOW + ABOVE)
        return Voi(function=display, center=center, width=width, explanation="NORMAL")
    widths = np.linspace(-BELOW, ABOVE, vendor.top + 1)
    bits = max(vendor.bits, MIN_TABLE_BITS)
    table = np.round(TOP_GREY * (2**bits - 1) / (1 + np.exp(-widths))).astype(np.uint16)
    table[0] = 0  # air
    return Voi(function="TABLE", table=table, table_bits=bits, explanation="NORMAL")


VENDORS: dict[str, Vendor] = {
    v.name: v
    for v in (
        Vendor(
            name="A",
            px=0.070,
            shape=(3328, 2560),
            photometric="MONOCHROME2",
            peripheral=0.93,
            unsharp=0.55,
            centre=0.67,
            width=0.30,
            blur=0.065,
            dose=1.0,
            marker="text",
            displays=("LINEAR", "LINEAR_EXACT"),
        ),
        Vendor(
            name="B",
            px=0.100,
            shape=(2294, 1914),
            photometric="MONOCHROME1",
            peripheral=0.80,
            unsharp=0.25,
            centre=0.72,
            width=0.38,
            blur=0.085,
            dose=1.3,
            marker="box",
            displays=("SIGMOID",),
        ),
        Vendor(
            name="C",
            px=0.085,
            shape=(3518, 2800),
            photometric="MONOCHROME2",
            peripheral=0.97,
            unsharp=0.90,
            centre=0.62,
            width=0.27,
            blur=0.060,
            dose=0.8,
            marker="text",
            displays=("TABLE",),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Detector:
    """The grid that an image is made on."""

    shape: Size
    px: float

    @property
    def field_mm(self) -> tuple[float, float]:
        """Height and width, mm."""
        return self.shape[0] * self.px, self.shape[1] * self.px


def detector_of(vendor: Vendor, rows: int | None) -> Detector:
    """The vendor's own matrix, or ``rows`` pixels on a field of 230 x 115 mm.

    Raises:
        PhantomError: ``rows`` is below 64.
    """
    if rows is None:
        return Detector(vendor.shape, vendor.px)
    if rows < 64:
        raise PhantomError(f"rows is {rows}, need at least 64 (pixels of 3.6 mm)")
    return Detector((rows, rows // 2), FIELD_MM / rows)


def vendor_of(name: str) -> Vendor:
    """The vendor of that name.

    Raises:
        PhantomError: There is none; the message lists those there are.
    """
    if name not in VENDORS:
        raise PhantomError(no_such("vendor", name, VENDORS))
    return VENDORS[name]
