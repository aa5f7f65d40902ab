"""From stored bits to modality values: sign, padding, and the modality LUT.

References:
    DICOM PS3.3 C.7.6.3.1 (pixel description), C.7.5.1.1.2 (padding), C.11.1 (modality LUT).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

from fourview.dicom import tags
from fourview.dicom.elements import Elements
from fourview.dicom.views import functional_groups
from fourview.errors import HostileFileError, UnsupportedImageError
from fourview.geometry import Size

MAX_SIDE = 30_000  # rows or columns: a film of 30 x 40 cm at 13 micrometres
MOST_PADDING = 0.985  # of an image: the smallest breast is 1 % of it, and has a surrounding
MAX_PIXELS = 128_000_000  # of an image; as 32-bit numbers that is half a gigabyte

MAX_SLOPE, MAX_INTERCEPT = 1e9, 1e12  # mammograms have 1 and 0; more is lost in 32-bit numbers

Pixels = Shaped[np.ndarray, "row col"]
Values = Shaped[np.ndarray, "row col *channel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How stored values are laid out.

    Attributes:
        size: Rows and columns.
        allocated: 8 or 16, bits from one value to the next.
        stored: 8 to 16, bits that carry the value.
        shift: Position of the lowest bit that carries it; 0 unless High Bit says otherwise.
        signed: Two's complement.
        channels: 1, or 3 for colours, from one pixel to the next.
        for_screen: Whether the values are levels of a screen, as pixels of colours or of a palette
            are: no modality LUT, padding or window applies to them.
    """

    size: Size
    allocated: int
    stored: int
    shift: int
    signed: bool
    channels: int = 1
    for_screen: bool = False

    @property
    def num_bytes(self) -> int:
        """Bytes of one frame that is not compressed."""
        return self.size[0] * self.size[1] * self.channels * self.allocated // 8

    @property
    def lowest(self) -> int:
        """Smallest value that can be stored."""
        return -(1 << self.stored - 1) if self.signed else 0

    @property
    def highest(self) -> int:
        """Largest value that can be stored."""
        return (1 << self.stored - self.signed) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescale:
    """The modality LUT: a line, or a table.

    Attributes:
        slope: Rescale Slope.
        intercept: Rescale Intercept.
        table: Modality values by stored value from ``first`` on; None for a line.
        first: Stored value of entry 0.
    """

    slope: float = 1.0
    intercept: float = 0.0
    table: Shaped[np.ndarray, " entry"] | None = None
    first: int = 0

    def apply(self, values: Any) -> Any:
        """Modality values; integers stay integers wherever slope, intercept and table allow."""
        if self.table is not None:
            index = np.clip(np.asarray(values, dtype=np.int64) - self.first, 0, len(self.table) - 1)
            return self.table[index]
        if self.slope == 1 and self.intercept == 0:
            return values
        if self.slope.is_integer() and self.intercept.is_integer():
            return np.asarray(values, dtype=np.int64) * int(self.slope) + int(self.intercept)
        return np.asarray(values, dtype=np.float64) * self.slope + self.intercept


def read_format(elements: Elements, notes: list[str]) -> PixelFormat:
    """Read and check the pixel description.

    Raises:
        UnsupportedImageError: An element is missing, or a layout that no mammogram has.
        HostileFileError: The image is larger than any mammogram.
    """
    rows, cols = (
        _required(elements, tags.ROWS, "Rows"),
        _required(elements, tags.COLUMNS, "Columns"),
    )
    if not (0 < rows <= MAX_SIDE and 0 < cols <= MAX_SIDE) or rows * cols > MAX_PIXELS:
        kind = UnsupportedImageError if rows < 1 or cols < 1 else HostileFileError
        raise kind(
            f"the image has {rows} rows and {cols} columns, need 1 to {MAX_SIDE:,} each and at "
            f"most {MAX_PIXELS:,} pixels; refused"
        )
    allocated = _required(elements, tags.BITS_ALLOCATED, "Bits Allocated")
    stored = elements.integer(tags.BITS_STORED)
    if stored is None:
        stored = allocated
        notes.append("Bits Stored is missing; taken to be Bits Allocated")
    high = elements.integer(tags.HIGH_BIT)
    high = stored - 1 if high is None else high
    if allocated not in (8, 16) or not 8 <= stored <= allocated:
        raise UnsupportedImageError(
            f"the pixels have {stored} bits stored in {allocated}, need 8 to 16 in 8 or 16"
        )
    if not stored - 1 <= high < allocated:
        notes.append(
            f"High Bit (0028,0102) is {high}, need {stored - 1} to {allocated - 1} for {stored} "
            f"bits stored; taken as {stored - 1}"
        )
        high = stored - 1
    sign = elements.integer(tags.PIXEL_REPRESENTATION)
    if sign not in (0, 1):
        notes.append(f"Pixel Representation is {sign}, need 0 or 1; taken as unsigned")
    return PixelFormat(
        size=(rows, cols),
        allocated=allocated,
        stored=stored,
        shift=high - stored + 1,
        signed=sign == 1,
        channels=_channels(elements),
    )


def _channels(elements: Elements) -> int:
    """Samples per Pixel; where it is missing, as many as the Photometric Interpretation has."""
    samples = elements.integer(tags.SAMPLES)
    if samples is None:
        return (
            3 if (elements.text(tags.PHOTOMETRIC) or "").upper().startswith(("RGB", "YBR")) else 1
        )
    if samples not in (1, 3):
        raise UnsupportedImageError(f"the pixels have {samples} samples each, need 1 or 3")
    return samples


def _required(elements: Elements, tag: int, word: str) -> int:
    value = elements.integer(tag)
    if value is None:
        raise UnsupportedImageError(f"{word} is missing or no number; correct the header")
    return value


def stored_values(
    raw: Values, pixel_format: PixelFormat, *, shifted: bool, clipped: bool = False
) -> Values:
    """Cut off the bits above the value and extend its sign.

    Args:
        raw: Values as they were coded, of any sign.
        pixel_format: What the header says of them.
        shifted: Whether the value may start above bit 0; False for what a codec gave.
        clipped: Whether values above the highest become the highest, as lossy coding overshoots;
            else the bits above are something else, such as an overlay, and are cut off.

    Returns:
        uint8, uint16, int8 or int16, the type that Bits Allocated and the sign ask for.
    """
    width = 8 if pixel_format.allocated == 8 else 16
    unsigned = np.dtype(f"u{width // 8}")
    values = np.ascontiguousarray(raw)
    if values.dtype.itemsize == unsigned.itemsize:
        values = values.view(unsigned)
    else:
        values = values.astype(unsigned)
    left = width - pixel_format.stored
    up = left - pixel_format.shift if shifted else left
    if pixel_format.signed:  # up to the top bit, and back down with the sign
        values = values if up == 0 else values << np.array(up, dtype=unsigned)
        signed = values.view(f"i{width // 8}")
        return signed if left == 0 else np.asarray(signed >> np.array(left, dtype=signed.dtype))
    if left == 0:
        return values
    if up != left:
        values = values >> np.array(pixel_format.shift, dtype=unsigned)
    highest = np.array(pixel_format.highest, dtype=unsigned)
    if int(values.max()) <= int(highest):
        return values
    return np.asarray(np.minimum(values, highest) if clipped else values & highest)


def find_padding(
    stored: Pixels, elements: Elements, pixel_format: PixelFormat, notes: list[str]
) -> Bool[np.ndarray, "row col"] | None:
    """Where the file says that a pixel is padding; None where it says nothing.

    Padding is given in stored values, before the modality LUT (PS3.3 C.7.5.1.1.2), as one value or,
    with Pixel Padding Range Limit, as a range in either order.
    """
    value = elements.integer(tags.PADDING_VALUE, signed=pixel_format.signed)
    if value is None:
        return None
    limit = elements.integer(tags.PADDING_LIMIT, signed=pixel_format.signed)
    low, high = (value, value) if limit is None else (min(value, limit), max(value, limit))
    if high < pixel_format.lowest or low > pixel_format.highest:
        notes.append(
            f"Pixel Padding Value is {low}, which {pixel_format.stored} bits cannot hold; ignored"
        )
        return None
    padding = stored == low if low == high else (stored >= low) & (stored <= high)
    if padding.mean() > MOST_PADDING:
        notes.append(
            f"Pixel Padding Value says that {padding.mean():.1%} of the image are padding; ignored"
        )
        return None
    return np.asarray(padding)


def read_rescale(elements: Elements, pixel_format: PixelFormat, notes: list[str]) -> Rescale:
    """Read the modality LUT; a table goes before a line.

    Raises:
        UnsupportedImageError: The slope is 0 or no number, or the table is incomplete.
    """
    tables = elements.items.get(tags.MODALITY_LUTS, [])
    if tables:
        if len(tables) > 1:
            notes.append(f"there are {len(tables)} modality LUTs; the first was taken")
        table, first, _ = read_table(tables[0], ends=(pixel_format.lowest, pixel_format.highest))
        return Rescale(table=table, first=first)
    slope, intercept = _line(elements)
    for item in functional_groups(elements, tags.FRAME_TRANSFORMATION):
        if slope is None and intercept is None:
            slope, intercept = _line(item)
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if not (1 / MAX_SLOPE <= abs(slope) <= MAX_SLOPE and abs(intercept) <= MAX_INTERCEPT):
        raise UnsupportedImageError(
            f"Rescale Slope is {slope:g} and Rescale Intercept {intercept:g}, need numbers up to "
            f"{MAX_SLOPE:g} and {MAX_INTERCEPT:g}, and a slope other than 0; correct the header"
        )
    return Rescale(slope=slope, intercept=intercept)


def _line(elements: Elements) -> tuple[float | None, float | None]:
    return elements.number(tags.RESCALE_SLOPE), elements.number(tags.RESCALE_INTERCEPT)


def read_table(
    item: Elements, *, ends: tuple[float, float]
) -> tuple[Shaped[np.ndarray, " entry"], int, int]:
    """Entries of a LUT, the input value of the first, and bits of an entry as stated.

    Where the descriptor says another number of entries than there are, all of them are taken.

    Args:
        item: One item of a Modality or VOI LUT Sequence.
        ends: Lowest and highest value that can be looked up. Where they can be negative, a first
            value above the highest was meant as a negative one, whatever its VR.

    Raises:
        UnsupportedImageError: Descriptor or data are missing.
    """
    descriptor = item.integers(tags.LUT_DESCRIPTOR, signed=False)
    _, raw = item.values.get(tags.LUT_DATA, ("", b""))
    if len(descriptor) < 2 or len(raw) < 2:
        raise UnsupportedImageError(
            f"LUT Descriptor (0028,3002) has {len(descriptor)} values and the table {len(raw)} "
            "bytes, need 3 and a table; correct the header"
        )
    count, first, bits = (*descriptor, 0)[:3]
    count = count or 65536  # 0 stands for it (PS3.3 C.11.1.1)
    is_signed = item.values[tags.LUT_DESCRIPTOR][0] == "SS"
    if first > 32767 and (is_signed or (ends[0] < 0 and first > ends[1])):
        first -= 65536
    if bits == 8 and count <= len(raw) < 2 * count:
        entries = np.frombuffer(raw, dtype="u1", count=count)  # packed, one byte per entry
    else:
        entries = np.frombuffer(raw, dtype=">u2" if not item.little else "<u2", count=len(raw) // 2)
        if len(entries) > count + 1 or len(entries) < count:
            item.oddities.append(
                f"LUT Descriptor (0028,3002) says {count:,} entries, the table has "
                f"{len(entries):,}; all of them were taken"
            )
        else:
            entries = entries[:count]
    return entries.astype(np.uint16), first, bits


def true_bits(item: Elements, entries: Shaped[np.ndarray, " entry"], stated_bits: int) -> int:
    """Bits of an entry of a VOI LUT: as stated, unless the entries show another number.

    No table uses a quarter of its range or less on purpose: such a writer stated how many bits an
    entry is kept in. Entries that reach far beyond the range have more bits than stated; those that
    are an eighth beyond it at most overshoot.
    """
    reach = int(entries.max()) + 1
    if 1 <= stated_bits <= 16 and (
        reach == 1 or (1 << stated_bits < 4 * reach and 8 * reach <= 9 << stated_bits)
    ):
        return stated_bits
    needed = max(1, (reach - 1).bit_length())
    item.oddities.append(
        f"LUT Descriptor (0028,3002) says {stated_bits} bits an entry, the entries reach "
        f"{reach - 1:,}: taken as {needed} bits"
    )
    return needed


def to_modality(
    stored: Pixels, rescale: Rescale, pixel_format: PixelFormat
) -> tuple[Pixels, tuple[float, float]]:
    """Apply the modality LUT, and say which values could come out of it.

    Returns:
        Modality values in the smallest of the stored type, uint16, int16, int32 and float32 that
        holds every value possible; lowest and highest of these.
    """
    ends = np.array([pixel_format.lowest, pixel_format.highest], dtype=np.int64)
    if rescale.table is not None:
        low, high = float(rescale.table.min()), float(rescale.table.max())
    else:
        low, high = (float(v) for v in np.sort(rescale.apply(ends)))
    if rescale.table is None and rescale.slope == 1 and rescale.intercept == 0:
        return stored, (low, high)
    every = np.arange(pixel_format.lowest, pixel_format.highest + 1, dtype=np.int64)
    table = np.asarray(rescale.apply(every)).astype(_smallest_type(rescale, low, high))
    unsigned = np.dtype(f"u{stored.dtype.itemsize}")
    by_pattern = np.zeros(1 << 8 * unsigned.itemsize, dtype=table.dtype)
    by_pattern[every.astype(stored.dtype).view(unsigned)] = table
    return by_pattern[stored.view(unsigned)], (low, high)


def _smallest_type(rescale: Rescale, low: float, high: float) -> np.dtype[Any]:
    exact = rescale.table is not None or (
        rescale.slope.is_integer() and rescale.intercept.is_integer()
    )
    if exact:
        for kind in (np.uint16, np.int16, np.int32):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return np.dtype(kind)
    return np.dtype(np.float32)
