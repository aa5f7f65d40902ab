"""One file -> Image: every pixel that the file has, as modality values, with what is needed later.

Order:   sizes checked -> frame -> stored values (bits cut, sign extended; colours and palettes that
         show grey become one channel) -> padding -> modality LUT. The window or table is read here
         and applied in ``preprocess``.
"""

from pathlib import Path

from fourview.dicom.header import Header, header_of
from fourview.dicom.modality import (
    Rescale,
    find_padding,
    read_format,
    read_rescale,
    to_modality,
)
from fourview.dicom.orientation import read_turn
from fourview.dicom.part10 import OpenFile, open_dicom
from fourview.dicom.polarity import is_bright_dense
from fourview.dicom.pseudonyms import Pseudonyms
from fourview.dicom.stored import read_stored
from fourview.dicom.voi import read_voi
from fourview.entities import Image, View
from fourview.entities.reasons import Reason
from fourview.errors import (
    DicomError,
    HostileFileError,
    UnsupportedImageError,
)
from fourview.geometry import Size
from fourview.text import MOST_VALUE, printable

# Reasons to leave a file out that concern its view; naming the view from outside lifts them.
_VIEW_REASONS = frozenset((Reason.VIEW, Reason.MODALITY))


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
            that is not read here; ColourError where they are in colour.
        DamagedPixelsError: Its pixel data are cut off or garbled.
    """
    try:
        with open_dicom(path) as file:
            header = header_of(file, str(path), for_processing=for_processing, looks=False)
            if pseudonyms is None:
                return _image(file, header, view, at_least)
            return pseudonyms.image(_image(file, pseudonyms.header(header), view, at_least))
    except MemoryError as error:
        raise HostileFileError(f"{path}: reading it needs more memory than there is") from error
    except DicomError as error:
        raise type(error)(f"{path}: {error}") from error


def _image(file: OpenFile, header: Header, table_view: View | None, at_least: Size | None) -> Image:
    notes = list(header.notes)
    view = _view(header, table_view, notes)
    pixel_format = read_format(file.elements, notes)
    stated_format = pixel_format
    stored, pixel_format = read_stored(file, pixel_format, at_least, notes)
    rescale, padding, voi = Rescale(), None, None
    if not pixel_format.for_screen:
        rescale = read_rescale(file.elements, stated_format, notes)
        padding = find_padding(stored, file.elements, pixel_format, notes)
    pixels, value_range = to_modality(stored, rescale, pixel_format)
    if not pixel_format.for_screen:
        voi = read_voi(file.elements, ends=value_range, notes=notes)
    bright_is_dense = is_bright_dense(
        file.elements,
        pixels,
        padding,
        voi=voi,
        is_film=header.kind == "film",
        notes=notes,
    )
    turn = read_turn(file.elements, view, notes)
    notes += [oddity for oddity in file.elements.oddities if oddity not in notes]
    facts = {"kind": header.kind, "transfer_syntax": header.transfer_syntax}
    facts["acquired"] = header.acquired
    return Image(
        image_id=header.image_id,
        patient_id=header.patient_id,
        exam_id=header.exam_id,
        view=view,
        pixels=pixels,
        stored_size=pixel_format.size,
        bits=pixel_format.stored,
        value_range=value_range,
        spacing_mm=header.spacing_mm,
        bright_is_dense=bright_is_dense,
        voi=voi,
        padding=padding,
        turn=turn,
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
