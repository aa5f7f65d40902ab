"""An open file -> its stored values, whatever its pixels really are.

The transfer syntax says how pixels are coded, and the frame shows it: where they differ the frame
is believed, and a note says so.
"""

from dataclasses import replace

import numpy as np

from fourview.dicom import tags
from fourview.dicom.codecs import (
    JPEG_2000,
    LOSSY,
    NATIVE,
    RLE,
    SUPPORTED,
    decode,
    true_syntax,
)
from fourview.dicom.codestream import (
    SOC,
    SOI,
    Codestream,
    read_codestream,
    unwrapped,
    whole_stream,
)
from fourview.dicom.elements import PixelElement
from fourview.dicom.frames import encapsulated_frame, native_frame
from fourview.dicom.modality import PixelFormat, Pixels, stored_values
from fourview.dicom.part10 import OpenFile
from fourview.errors import DamagedPixelsError, UnsupportedImageError
from fourview.geometry import Size
from fourview.text import shown

_ITEM = b"\xfe\xff\x00\xe0"


def read_stored(
    file: OpenFile, pixel_format: PixelFormat, at_least: Size | None, notes: list[str]
) -> tuple[Pixels, PixelFormat]:
    """The stored values, and their layout as it turned out to be.

    Args:
        file: An open file.
        pixel_format: What its header says of the pixels.
        at_least: Rows and columns that are enough; see ``codecs.decode``.
        notes: Gets a sentence for what is not as the header says.

    Raises:
        UnsupportedImageError: The pixels are floating-point or of a coding that is not read.
        DamagedPixelsError: They are cut off or garbled.
    """
    element, syntax = file.elements.pixels, file.transfer_syntax
    if element is None or element.tag != tags.PIXELS:
        raise UnsupportedImageError("the pixels are floating-point, need integers")
    if element.length is not None and syntax in NATIVE:
        if not _hides_a_frame(file, element, pixel_format):
            raw, pixel_format = _native(file, element, pixel_format, notes)
            return stored_values(raw, pixel_format, shifted=True), pixel_format
        data = _hidden_frame(file, element, notes)
    elif element.length is not None:
        if syntax not in SUPPORTED:
            raise _unknown(syntax)
        if _hides_a_frame(file, element, pixel_format):
            data = _hidden_frame(file, element, notes)
        elif element.length >= pixel_format.num_bytes:
            notes.append(
                f"transfer syntax {shown(syntax)} is compressed, the pixel data are plain; "
                "they were read as plain"
            )
            raw, pixel_format = _native(file, element, pixel_format, notes)
            return stored_values(raw, pixel_format, shifted=True), pixel_format
        else:
            raise DamagedPixelsError(
                f"the pixel data are {element.length:,} plain bytes, but transfer syntax "
                f"{shown(syntax)} is compressed; fetch the file again"
            )
    else:
        data = encapsulated_frame(file.source, file.elements, element, notes)
    return _decoded(data, syntax, pixel_format, at_least, notes)


def _decoded(
    data: bytes, told: str, pixel_format: PixelFormat, at_least: Size | None, notes: list[str]
) -> tuple[Pixels, PixelFormat]:
    """A compressed frame's values, by what it is."""
    size, width = pixel_format.size, pixel_format.allocated // 8
    if told != RLE:
        data = unwrapped(data, notes)
    syntax = true_syntax(data, told, size, bytes_per_sample=width)
    if syntax is None:
        if told not in SUPPORTED:
            raise _unknown(told)
        syntax = told
    if syntax != told:
        notes.append(
            f"transfer syntax is {shown(told) or 'missing'}, the frame is coded as {syntax}"
        )
    if data.startswith((SOI, SOC)):
        data = whole_stream(
            data, notes, lambda frame: decode(frame, syntax, size, bytes_per_sample=width)[0]
        )

    samples, stream = _samples(data, syntax, pixel_format, at_least)
    if stream is None:
        return stored_values(samples, pixel_format, shifted=True), pixel_format
    _compare(stream, syntax, pixel_format, notes)
    if 8 <= stream.precision < pixel_format.stored:  # bits that the stream cannot hold
        pixel_format = replace(pixel_format, stored=stream.precision)
    values = stored_values(samples, pixel_format, shifted=False, clipped=syntax in LOSSY)
    return values, pixel_format


def _compare(stream: Codestream, syntax: str, pixel_format: PixelFormat, notes: list[str]) -> None:
    """Note where the codestream has another depth or sign than the header says."""
    if stream.precision != pixel_format.stored:
        notes.append(
            f"the codestream has {stream.precision} bits, the header says {pixel_format.stored}"
        )
    if stream.signed != pixel_format.signed and syntax in JPEG_2000:
        signs = ("unsigned", "signed")
        notes.append(
            f"the codestream is {signs[stream.signed]}, the header says "
            f"{signs[pixel_format.signed]}"
        )


def _samples(
    data: bytes, syntax: str, pixel_format: PixelFormat, at_least: Size | None
) -> tuple[Pixels, Codestream | None]:
    """Samples of a frame, halved as often as ``at_least`` allows and the values stand.

    In a stream that is deeper than Bits Stored, or of another sign, bits above the value may hold
    anything, such as an overlay (PS3.5 8.1.1). Halving would mix them with the value before they
    are cut off: such a stream is decoded in full, and halved only if it has nothing there.
    """
    size, width = pixel_format.size, pixel_format.allocated // 8
    is_odd = False
    if at_least is not None and data.startswith(SOC):
        told = read_codestream(data)
        is_odd = told.precision > pixel_format.stored or told.signed != pixel_format.signed
    if is_odd:
        samples, stream = decode(data, syntax, size, bytes_per_sample=width)
        low, high = int(samples.min()), int(samples.max())
        # Values of a lossy stream overshoot, and are no bits of an overlay for that.
        room = 0 if stream is None or stream.reversible else pixel_format.highest // 2
        if low < pixel_format.lowest - room or high > pixel_format.highest + room:
            return samples, stream
    return decode(data, syntax, size, bytes_per_sample=width, at_least=at_least)


def _hides_a_frame(file: OpenFile, element: PixelElement, pixel_format: PixelFormat) -> bool:
    """Whether pixel data of a told length hold a compressed frame and not plain pixels."""
    if element.length is not None and element.length >= pixel_format.num_bytes:
        return False
    head = file.source.read(element.start, 8)
    return head.startswith((SOI + b"\xff", SOC, _ITEM)) or head[4:8] == b"jP  "


def _hidden_frame(file: OpenFile, element: PixelElement, notes: list[str]) -> bytes:
    """A compressed frame in pixel data of a told length: in items, or bare."""
    notes.append("the pixel data are a compressed frame, not plain pixels")
    if file.source.read(element.start, 4) == _ITEM:
        return encapsulated_frame(file.source, file.elements, element, notes)
    return file.source.read(element.start, element.length or 0)


def _unknown(syntax: str) -> UnsupportedImageError:
    return UnsupportedImageError(
        f"transfer syntax {shown(syntax)} is none that is read here; convert the file"
    )


def _native(
    file: OpenFile, element: PixelElement, pixel_format: PixelFormat, notes: list[str]
) -> tuple[Pixels, PixelFormat]:
    """Plain pixel data; big endian swaps the bytes of OW words, also where they hold two pixels."""
    big = not file.coding.little
    need = pixel_format.num_bytes
    swapped_bytes = big and pixel_format.allocated == 8 and element.vr == "OW"
    data = native_frame(file.source, element, need + (need & 1 if swapped_bytes else 0), notes)
    if pixel_format.allocated == 16:
        words = np.frombuffer(data, dtype=">u2" if big else "<u2")
        values = words.astype(np.uint16, copy=False).reshape(pixel_format.size)
        return values, _with_true_shift(values, pixel_format, notes)
    octets = np.frombuffer(data, dtype=np.uint8)
    if swapped_bytes:
        octets = octets.reshape(-1, 2)[:, ::-1].ravel()[:need]
    return octets.reshape(pixel_format.size), pixel_format


def _with_true_shift(values: Pixels, pixel_format: PixelFormat, notes: list[str]) -> PixelFormat:
    """High Bit believed only where the pixels are not plainly in the lower bits."""
    shift = pixel_format.shift
    if not shift or pixel_format.signed:
        return pixel_format
    below, above = (1 << shift) - 1, values >> np.uint16(pixel_format.stored)
    if not above.any() and (values & np.uint16(below)).any():
        notes.append(
            f"High Bit says that values begin at bit {shift}, the pixels begin at bit 0; "
            "taken as they are"
        )
        return replace(pixel_format, shift=0)
    return pixel_format
