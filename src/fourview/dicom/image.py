"""One file -> Image: every pixel that the file has, as modality values, with what is needed later.

Order:   sizes checked -> frame -> stored values (bits cut, sign extended) -> padding -> modality
         LUT. The window or table is read here and applied in ``preprocess``.
"""

from pathlib import Path

import numpy as np

from fourview.dicom import tags
from fourview.dicom.codecs import LOSSY, NATIVE, SUPPORTED, decode
from fourview.dicom.elements import PixelElement
from fourview.dicom.frames import encapsulated_frame, native_frame
from fourview.dicom.header import Header, header_of
from fourview.dicom.modality import (
    PixelFormat,
    Pixels,
    find_padding,
    read_format,
    read_rescale,
    stored_values,
    to_modality,
)
from fourview.dicom.part10 import EXPLICIT_BIG, OpenFile, open_dicom
from fourview.dicom.pseudonyms import Pseudonyms
from fourview.dicom.voi import read_voi
from fourview.entities import Image, View
from fourview.errors import (
    DamagedPixelsError,
    DicomError,
    HostileFileError,
    UnsupportedImageError,
)
from fourview.geometry import Size
from fourview.text import MOST_VALUE, printable

# Reasons to leave a file out that concern its view; naming the view from outside lifts them.
_VIEW_REASONS = frozenset(("view", "modality"))


def read_image(
    path: Path | str,
    *,
    at_least: Size | None = None,
    for_processing: bool = False,
    view: View | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> Image:
    """Read one mammogram at full depth.

    Args:
        path: The file.
        at_least: Rows and columns that are enough. JPEG 2000 and HTJ2K then decode at the lowest
            resolution that still has them, which takes a fraction of the time; other syntaxes
            decode in full. At a lower resolution pixels next to padding are mixed with it.
        for_processing: Whether to read raw detector values (For Processing).
        view: Side and view from a data set's table, for files that do not tell; a header that
            says otherwise becomes a note.
        pseudonyms: Replaces what tells whose the image is; None keeps it.

    Returns:
        The image; ``stored_size`` and ``spacing_mm`` are the file's own at any resolution.

    Raises:
        NotDicomError: The file is not DICOM, or its header is damaged.
        HostileFileError: It claims sizes that no mammogram has.
        UnsupportedImageError: It is no mammogram to read, or its pixels have a layout or coding
            that is not read here.
        DamagedPixelsError: Its pixel data are cut off or garbled.
    """
    try:
        with open_dicom(path) as file:
            header = header_of(file, str(path), for_processing=for_processing)
            if pseudonyms is None:
                return _image(file, header, view, at_least)
            return pseudonyms.image(_image(file, pseudonyms.header(header), view, at_least))
    except MemoryError as error:
        raise HostileFileError(f"{path}: reading it needs more memory than there is") from error
    except DicomError as error:
        raise type(error)(f"{path}: {error}") from error


def _image(file: OpenFile, header: Header, view: View | None, at_least: Size | None) -> Image:
    notes = list(header.notes)
    told = _view(header, view, notes)
    pixel_format = read_format(file.elements, notes)
    rescale = read_rescale(file.elements, pixel_format, notes)
    stored = _stored(file, pixel_format, at_least, notes)
    padding = find_padding(stored, file.elements, pixel_format, notes)
    pixels, value_range = to_modality(stored, rescale, pixel_format)
    photometric = file.elements.text(tags.PHOTOMETRIC) or ""
    facts = {"kind": header.kind, "transfer_syntax": header.transfer_syntax}
    facts["acquired"] = header.acquired
    return Image(
        image_id=header.image_id,
        patient_id=header.patient_id,
        exam_id=header.exam_id,
        view=told,
        pixels=pixels,
        stored_size=pixel_format.size,
        bits=pixel_format.stored,
        value_range=value_range,
        spacing_mm=header.spacing_mm,
        bright_is_dense=photometric.upper() != "MONOCHROME1",
        voi=read_voi(file.elements, ends=value_range, notes=notes),
        padding=padding,
        path=header.path,
        metadata={**header.metadata, **{word: text for word, text in facts.items() if text}},
        notes=tuple(printable(note, MOST_VALUE) for note in notes),
    )


def _view(header: Header, view: View | None, notes: list[str]) -> View:
    """The view to use; refuses files that are no mammograms to read."""
    if header.left_out is not None and not (view and header.left_out in _VIEW_REASONS):
        raise UnsupportedImageError(f"no mammogram to read: {header.detail}")
    if view is None:
        assert header.view is not None, "a file without a view has a reason to be left out"
        return header.view
    if header.view is not None and header.view.name != view.name:
        notes.append(
            f"the header says {header.view.name}, {view.source or 'the table'} {view.name}"
        )
    return view


def _stored(
    file: OpenFile, pixel_format: PixelFormat, at_least: Size | None, notes: list[str]
) -> Pixels:
    """The stored values, whatever the transfer syntax."""
    element, syntax = file.elements.pixels, file.transfer_syntax
    if syntax not in SUPPORTED:
        raise UnsupportedImageError(
            f"transfer syntax {syntax} is none that is read here; convert the file"
        )
    if element is None or element.tag != tags.PIXELS:
        raise UnsupportedImageError("the pixels are floating-point, need integers")
    if syntax in NATIVE:
        raw = _native(file, element, pixel_format, notes)
        return stored_values(raw, pixel_format, shifted=True)
    if element.length is not None:
        raise DamagedPixelsError(
            f"the pixel data are {element.length:,} plain bytes, but transfer syntax {syntax} is "
            "compressed; fetch the file again"
        )
    data = encapsulated_frame(file.source, file.elements, element, notes)
    samples, stream = decode(
        data,
        syntax,
        pixel_format.size,
        bytes_per_sample=pixel_format.allocated // 8,
        at_least=at_least,
    )
    if stream is None:
        return stored_values(samples, pixel_format, shifted=True)
    if stream.precision != pixel_format.stored:
        notes.append(
            f"the codestream has {stream.precision} bits, the header says {pixel_format.stored}"
        )
    return stored_values(samples, pixel_format, shifted=False, clipped=syntax in LOSSY)


def _native(
    file: OpenFile, element: PixelElement, pixel_format: PixelFormat, notes: list[str]
) -> Pixels:
    """Plain pixel data; big endian swaps the bytes of OW words, also where they hold two pixels."""
    big = file.transfer_syntax == EXPLICIT_BIG
    need = pixel_format.num_bytes
    swapped_bytes = big and pixel_format.allocated == 8 and element.vr == "OW"
    data = native_frame(file.source, element, need + (need & 1 if swapped_bytes else 0), notes)
    if pixel_format.allocated == 16:
        words = np.frombuffer(data, dtype=">u2" if big else "<u2")
        return words.astype(np.uint16, copy=False).reshape(pixel_format.size)
    octets = np.frombuffer(data, dtype=np.uint8)
    if swapped_bytes:
        octets = octets.reshape(-1, 2)[:, ::-1].ravel()[:need]
    return octets.reshape(pixel_format.size)
