"""An open file -> its stored values, whatever its pixels really are.

The transfer syntax says how pixels are coded, and the frame shows it: where they differ the frame
is believed, and a note says so.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Shaped

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
from fourview.dicom.colours import (
    COLOURS,
    channels_apart,
    one_grey,
    photometric,
    shows_grey,
)
from fourview.dicom.elements import PixelElement
from fourview.dicom.frames import encapsulated_frame, native_frame
from fourview.dicom.modality import PixelFormat, Pixels, Values, stored_values
from fourview.dicom.part10 import OpenFile
from fourview.errors import DamagedPixelsError, UnsupportedImageError
from fourview.geometry import Size
from fourview.text import shown

_ITEM = b"\xfe\xff\x00\xe0"


def read_stored(
    file: OpenFile, pixel_format: PixelFormat, at_least: Size | None, notes: list[str]
) -> tuple[Pixels, PixelFormat]:
    """The stored values, and their layout as it turned out to be.

    Pixels of three channels or of a palette become the one grey channel that they show.

    Args:
        file: An open file.
        pixel_format: What its header says of the pixels.
        at_least: Rows and columns that are enough; see ``codecs.decode``. Colours and palettes are
            decoded in full, since all pixels must be grey and numbers of a palette do not mix.
        notes: Gets a sentence for what is not as the header says.

    Raises:
        ColourError: They are in colour.
        PageError: They are a page of text in place of a picture.
        UnsupportedImageError: The pixels are floating-point or of a coding that is not read.
        DamagedPixelsError: They are cut off or garbled.
    """
    if pixel_format.channels != 1 or photometric(file.elements) in COLOURS:
        at_least = None
    values, pixel_format = _as_stored(file, pixel_format, at_least, notes)
    return one_grey(values, pixel_format, file.elements, notes)


def _as_stored(
    file: OpenFile, pixel_format: PixelFormat, at_least: Size | None, notes: list[str]
) -> tuple[Values, PixelFormat]:
    """Values of one channel or three, as they are."""
    element, syntax = file.elements.pixels, file.transfer_syntax
    if element is None or element.tag != tags.PIXELS:
        raise UnsupportedImageError("the pixels are floating-point, need integers")
    if element.length is not None and syntax in NATIVE:
        if not _hides_a_frame(file, element, pixel_format):
            return _native(file, element, pixel_format, notes)
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
            return _native(file, element, pixel_format, notes)
        else:
            raise DamagedPixelsError(
                f"the pixel data are {element.length:,} plain bytes, but transfer syntax "
                f"{shown(syntax)} is compressed; fetch the file again"
            )
    else:
        data = encapsulated_frame(file.source, file.elements, element, notes)
    return _decoded(data, syntax, pixel_format, at_least, notes)


def _decoded(
    data: bytes, stated_uid: str, pixel_format: PixelFormat, at_least: Size | None, notes: list[str]
) -> tuple[Values, PixelFormat]:
    """A compressed frame's values, by what it is."""
    size, width = pixel_format.size, pixel_format.allocated // 8
    if stated_uid != RLE:
        data = unwrapped(data, notes)
    syntax = true_syntax(data, stated_uid, size, bytes_per_sample=width)
    if syntax is None:
        if stated_uid not in SUPPORTED:
            raise _unknown(stated_uid)
        syntax = stated_uid
    if syntax != stated_uid:
        notes.append(
            f"transfer syntax is {shown(stated_uid) or 'missing'}, the frame is coded as {syntax}"
        )
    if data.startswith((SOI, SOC)):
        data = whole_stream(
            data, notes, lambda frame: decode(frame, syntax, size, bytes_per_sample=width)[0]
        )

    samples, stream = _samples(data, syntax, pixel_format, at_least)
    if samples.ndim == 3:
        pixel_format = replace(pixel_format, signed=False)
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
) -> tuple[Values, Codestream | None]:
    """Samples of a frame, halved as often as ``at_least`` allows and the values stand.

    In a stream that is deeper than Bits Stored, or of another sign, bits above the value may hold
    anything, such as an overlay (PS3.5 8.1.1). Halving would mix them with the value before they
    are cut off: such a stream is decoded in full, and halved only if it has nothing there.
    """
    size, width = pixel_format.size, pixel_format.allocated // 8
    is_odd = False
    if at_least is not None and data.startswith(SOC):
        codestream = read_codestream(data)
        is_odd = (
            codestream.precision > pixel_format.stored or codestream.signed != pixel_format.signed
        )
    if is_odd:
        samples, stream = decode(data, syntax, size, bytes_per_sample=width)
        low, high = int(samples.min()), int(samples.max())
        # Values of a lossy stream overshoot, and are no bits of an overlay for that.
        room = 0 if stream is None or stream.reversible else pixel_format.highest // 2
        if low < pixel_format.lowest - room or high > pixel_format.highest + room:
            return samples, stream
    return decode(data, syntax, size, bytes_per_sample=width, at_least=at_least)


def _hides_a_frame(file: OpenFile, element: PixelElement, pixel_format: PixelFormat) -> bool:
    """Whether pixel data of explicit length hold a compressed frame and not plain pixels."""
    if element.length is not None and element.length >= pixel_format.num_bytes:
        return False
    head = file.source.read(element.start, 8)
    return head.startswith((SOI + b"\xff", SOC, _ITEM)) or head[4:8] == b"jP  "


def _hidden_frame(file: OpenFile, element: PixelElement, notes: list[str]) -> bytes:
    """A compressed frame in pixel data of explicit length: in items, or bare."""
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
) -> tuple[Values, PixelFormat]:
    """Plain pixel data, of as many channels as there are bytes for."""
    rows, cols = pixel_format.size
    interpretation = photometric(file.elements)
    channel_bytes = rows * cols * pixel_format.allocated // 8
    length, is_colour = element.length or 0, pixel_format.channels == 3 or interpretation in COLOURS

    def plain(channels: int) -> Any:
        return _plain(file, element, pixel_format, channels * rows * cols, notes)

    if pixel_format.channels == 3 and channel_bytes <= length < 2 * channel_bytes:
        return _whole(plain(1).reshape(rows, cols), pixel_format, notes)
    if (
        is_colour
        and interpretation.endswith("_422")
        and 2 * channel_bytes <= length < 3 * channel_bytes
        and cols % 2 == 0
    ):
        return _whole(_from_422(plain(2).reshape(rows, -1, 4)), pixel_format, notes)
    if pixel_format.channels == 3 or (is_colour and length >= 3 * channel_bytes):
        channels = _arranged(plain(3), file, pixel_format, notes)
        return _whole(channels, pixel_format, notes)
    if length in (3 * channel_bytes, 3 * channel_bytes + 1):
        channels = plain(3).reshape(rows, cols, 3)
        if channels.any() and not channels_apart(channels):
            return _whole(channels, pixel_format, notes)
    return _whole(plain(1).reshape(rows, cols), pixel_format, notes)


def _whole(raw: Values, pixel_format: PixelFormat, notes: list[str]) -> tuple[Values, PixelFormat]:
    """Stored values of plain pixels; those of three channels have no sign."""
    if raw.ndim == 3:
        pixel_format = replace(pixel_format, signed=False)
    if pixel_format.allocated == 16:
        pixel_format = _with_true_shift(raw, pixel_format, notes)
    return stored_values(raw, pixel_format, shifted=True), pixel_format


def _from_422(quads: Shaped[np.ndarray, "row pair 4"]) -> Shaped[np.ndarray, "row col 3"]:
    """YBR_FULL_422, two luminances and then their common colours, as three channels."""
    rows, pairs, _ = quads.shape
    channels = np.empty((rows, 2 * pairs, 3), quads.dtype)
    channels[..., 0] = quads[..., :2].reshape(rows, -1)
    channels[..., 1:] = np.repeat(quads[..., 2:], 2, axis=1)
    return channels


def _arranged(
    flat: Any, file: OpenFile, pixel_format: PixelFormat, notes: list[str]
) -> Shaped[np.ndarray, "row col 3"]:
    """Three channels from pixel by pixel or plane by plane, whichever shows grey."""
    rows, cols = pixel_format.size
    by_pixel: Values = flat.reshape(rows, cols, 3)
    by_plane: Values = flat.reshape(3, rows, cols).transpose(1, 2, 0)
    is_by_plane = file.elements.integer(tags.PLANAR) == 1
    first, other = (by_plane, by_pixel) if is_by_plane else (by_pixel, by_plane)
    if not shows_grey(first, pixel_format) and shows_grey(other, pixel_format):
        order = ("pixel by pixel", "plane by plane")
        notes.append(
            f"Planar Configuration says {order[is_by_plane]}, "
            f"the pixels are {order[not is_by_plane]}"
        )
        return other
    return first


def _plain(
    file: OpenFile, element: PixelElement, pixel_format: PixelFormat, count: int, notes: list[str]
) -> Any:
    """So many samples; big endian swaps the bytes of OW words, also where they hold two pixels."""
    big, need = not file.coding.little, count * pixel_format.allocated // 8
    swapped_bytes = big and pixel_format.allocated == 8 and element.vr == "OW"
    data = native_frame(file.source, element, need + (need & 1 if swapped_bytes else 0), notes)
    if pixel_format.allocated == 16:
        words = np.frombuffer(data, dtype=">u2" if big else "<u2")
        return words.astype(np.uint16, copy=False)
    octets = np.frombuffer(data, dtype=np.uint8)
    if swapped_bytes:
        octets = octets.reshape(-1, 2)[:, ::-1].ravel()[:count]
    return octets


def _with_true_shift(values: Values, pixel_format: PixelFormat, notes: list[str]) -> PixelFormat:
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
