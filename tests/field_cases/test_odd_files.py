"""Files whose preamble, meta information, coding or private elements are not as the standard asks.

Each is compared with the plain file: the same pixels, the same view, and a note.
"""

import struct
import zlib

import numpy as np
import pydicom
import pytest

from dicom_examples import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    J2K_LOSSLESS,
    LOSSLESS_SV1,
    TWELVE,
    dicom_bytes,
    encode,
    gradient,
    mammogram,
    set_pixels,
    with_view,
)
from fourview.dicom.header import read_header
from fourview.dicom.image import read_image
from fourview.errors import DicomError, NotDicomError

STORED = gradient((40, 34), TWELVE)


def whole(syntax=EXPLICIT, change=None):
    dataset = with_view(mammogram(), "399162004")
    set_pixels(dataset, STORED, TWELVE)
    if change is not None:
        change(dataset)
    return dicom_bytes(dataset, encode(STORED, TWELVE, syntax), syntax)


def data_start(data):
    return 144 + struct.unpack_from("<I", data, 140)[0]


def renamed(data, told):
    """The same file with another Transfer Syntax UID in its meta information."""
    at = data.index(struct.pack("<HH2s", 2, 0x10, b"UI"))
    (length,) = struct.unpack_from("<H", data, at + 6)
    uid = told.encode() + b"\0" * (len(told) % 2)
    new = data[: at + 6] + struct.pack("<H", len(uid)) + uid + data[at + 8 + length :]
    size = struct.unpack_from("<I", data, 140)[0] + len(uid) - length
    return new[:140] + struct.pack("<I", size) + new[144:]


def without_meta_element(data, element):
    at = data.index(struct.pack("<HH", 2, element), 132)
    (length,) = struct.unpack_from("<H", data, at + 6)
    new = data[:at] + data[at + 8 + length :]
    size = struct.unpack_from("<I", data, 140)[0] - 8 - length
    return new[:140] + struct.pack("<I", size) + new[144:]


def implicit_meta(data):
    """The file meta information coded as implicit VR."""
    out, pos, end = b"", 132, data_start(data)
    while pos < end:
        group, element, vr, length = struct.unpack_from("<HH2sH", data, pos)
        start = pos + 8
        if vr in (b"OB", b"UN"):
            (length,) = struct.unpack_from("<I", data, pos + 8)
            start = pos + 12
        out += struct.pack("<HHI", group, element, length) + data[start : start + length]
        pos = start + length
    return data[:132] + out + data[end:]


def explicit(tag, vr, value, length=None):
    head = struct.pack(
        "<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value) if length is None else length
    )
    return head + value


def with_private(blob, syntax=EXPLICIT):
    """The blob before Patient ID: behind group 8."""
    data = whole(syntax)
    at = data.index(struct.pack("<HH", 0x0010, 0x0020), data_start(data))
    return data[:at] + blob + data[at:]


BROKEN_SEQUENCE = (
    struct.pack("<HH2sHI", 0x0009, 0x1002, b"SQ", 0, 0xFFFFFFFF)
    + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    + struct.pack("<HHI", 0x0020, 0x000E, 6)
    + b"1.2.3\0"
    + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
)
NO_DELIMITER = BROKEN_SEQUENCE[:-16]
EXPLICIT_IN_IMPLICIT = struct.pack("<HH2sH", 0x0009, 0x1010, b"LO", 4) + b"ABCD"

CODINGS = [
    (coded, told)
    for coded in (EXPLICIT, IMPLICIT, BIG)
    for told in (EXPLICIT, IMPLICIT, BIG, DEFLATED, LOSSLESS_SV1)
    if coded != told
] + [(DEFLATED, EXPLICIT), (DEFLATED, IMPLICIT), (DEFLATED, BIG)]

FILES = {
    "no preamble": whole()[132:],
    "no preamble, implicit": whole(IMPLICIT)[132:],
    "DICM at byte 0": whole()[128:],
    "a shorter preamble": whole()[64:],
    "a longer preamble": b"\0" * 32 + whole(),
    "a preamble twice": bytes(128) + b"DICM" + whole(),
    "a mail header before it": b"Content-Type: application/dicom\r\n\r\n" + whole(),
    "no meta information": whole()[data_start(whole()) :],
    "no meta information, implicit": whole(IMPLICIT)[data_start(whole(IMPLICIT)) :],
    "no meta information, big endian": whole(BIG)[data_start(whole(BIG)) :],
    "preamble, no meta information": whole()[:132] + whole()[data_start(whole()) :],
    "no transfer syntax": without_meta_element(whole(), 0x10),
    "no transfer syntax, implicit": without_meta_element(whole(IMPLICIT), 0x10),
    "no transfer syntax, big endian": without_meta_element(whole(BIG), 0x10),
    "no transfer syntax, deflated": without_meta_element(whole(DEFLATED), 0x10),
    "no transfer syntax, JPEG": without_meta_element(whole(LOSSLESS_SV1), 0x10),
    "no transfer syntax, JPEG 2000": without_meta_element(whole(J2K_LOSSLESS), 0x10),
    "implicit meta information": implicit_meta(whole()),
    "deflated with a zlib header": whole(DEFLATED)[: data_start(whole(DEFLATED))]
    + zlib.compress(whole()[data_start(whole()) :]),
    "private sequence coded implicit": with_private(BROKEN_SEQUENCE),
    "private sequence without an end": with_private(NO_DELIMITER),
    "private element with a VR of zeros": with_private(explicit(0x00091010, b"\0\0", b"ABCD")),
    "private element with the VR ??": with_private(explicit(0x00091010, b"??", b"ABCD")),
    "private element that is too long": with_private(explicit(0x00091010, b"LO", b"ABCD", 60000)),
    "private element that is longer": with_private(explicit(0x00091010, b"LO", b"ABCD", 30)),
    "private element that is shorter": with_private(explicit(0x00091010, b"LO", b"ABCDEFGH", 2)),
    "private element with a VR in an implicit file": with_private(EXPLICIT_IN_IMPLICIT, IMPLICIT),
    "private text without a length": with_private(
        struct.pack("<HH2sHI", 0x0009, 0x1010, b"UT", 0, 0xFFFFFFFF) + b"ABCD"
    ),
} | {
    f"{pydicom.uid.UID(coded).name} called {pydicom.uid.UID(told).name}": renamed(
        whole(coded), told
    )
    for coded, told in CODINGS
}


@pytest.mark.parametrize("name", FILES)
def test_an_odd_file_is_read_as_the_plain_one(name, tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(FILES[name])
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, STORED)
    assert image.view.name == "L-CC"
    assert image.patient_id == "P1"
    assert image.image_id.startswith("1.2.826")
    assert image.notes
    assert not any("fetch the file again" in note for note in image.notes)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"patient,side\n1,R\n" * 100, "text file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(300), "PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(300), "JPEG picture"),
        (b"II*\0" + bytes(300), "TIFF picture"),
        (b"PK\3\4" + bytes(300), "ZIP archive"),
        (b"\x1f\x8b\x08" + bytes(300), "gzip"),
        (b"%PDF-1.4" + bytes(300), "PDF"),
        (bytes(4000), "zeros"),
        (b"", "empty"),
        (b"\x08\x00\x05\x00junk and nothing else" * 9, "no data set"),
        (b"The word DICM in a text " * 20, "text file"),
    ],
)
def test_what_is_no_dicom_is_called_by_its_name(data, said, tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(data)
    with pytest.raises(NotDicomError, match=said) as told:
        read_header(path)
    assert "DICM" not in str(told.value).replace("no 'DICM'", "") or said == "no data set"


def test_a_header_that_is_cut_off_stays_damaged(tmp_path):
    data = whole()
    for at in range(data_start(data) + 20, len(data) - STORED.size * 2 - 20, 37):
        path = tmp_path / "a.dcm"
        path.write_bytes(data[:at])
        with pytest.raises(DicomError):
            read_image(path)


IDS = [
    (("SOPInstanceUID",), "meta information"),
    (("StudyInstanceUID",), "StudyInstanceUID is missing"),
    (("SeriesInstanceUID",), ""),
    (("PatientID",), "PatientID is missing"),
    (("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID"), "missing"),
    (("SOPClassUID",), ""),
    (("PhotometricInterpretation",), "Photometric Interpretation is missing"),
]


@pytest.mark.parametrize(("keywords", "note"), IDS)
def test_missing_identifiers_are_made_up_for(keywords, note, tmp_path):
    def change(dataset):
        for keyword in keywords:
            setattr(dataset, keyword, "")

    dataset = with_view(mammogram(), "399162004")
    set_pixels(dataset, STORED, TWELVE)
    data = dicom_bytes(dataset, encode(STORED, TWELVE, EXPLICIT))
    header = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    change(header)
    path = tmp_path / "a.dcm"
    header.save_as(path)
    image = read_image(path)
    assert image.image_id
    assert image.exam_id
    assert any(note in n for n in image.notes) if note else True


def test_without_any_name_the_content_names_the_image(tmp_path):
    data = without_meta_element(whole(), 0x03)
    at = data.index(struct.pack("<HH", 8, 0x18), 300)
    (length,) = struct.unpack_from("<H", data, at + 6)
    data = data[:at] + data[at + 8 + length :]
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "c.dcm").write_bytes(data.replace(b"P1", b"P2"))
    a, b, c = (read_header(tmp_path / f"{n}.dcm").image_id for n in "abc")
    assert a == b != c
    assert a.startswith("no-uid-")


def test_two_days_of_one_patient_without_studies_are_two_exams(tmp_path):
    ids = []
    for day in ("20200102", "20210102"):
        dataset = mammogram(StudyInstanceUID=None, StudyDate=day)
        set_pixels(dataset, STORED, TWELVE)
        path = tmp_path / f"{day}.dcm"
        path.write_bytes(dicom_bytes(dataset, encode(STORED, TWELVE, EXPLICIT)))
        ids.append(read_header(path).exam_id)
    assert len(set(ids)) == 2
