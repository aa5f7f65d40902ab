"""Damaged and hostile files: each is read or listed with a reason, in bounded time and memory."""

import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from dicom_examples import (
    BIG,
    DEFLATED,
    EXPLICIT,
    HT_LOSSLESS,
    IMPLICIT,
    J2K,
    J2K_LOSSLESS,
    JLS,
    LOSSLESS,
    RLE,
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
from fourview.errors import (
    DamagedHeaderError,
    DamagedPixelsError,
    DicomError,
    HostileFileError,
    NotDicomError,
    UnsupportedImageError,
)

SYNTAXES = (EXPLICIT, IMPLICIT, BIG, DEFLATED, RLE, LOSSLESS, JLS, J2K_LOSSLESS, J2K, HT_LOSSLESS)
SECONDS, GIGABYTE = 5.0, 1 << 30  # of processor time; decoders apart have their own limit


def whole(syntax=EXPLICIT, dataset=None, stored=None):
    dataset = with_view(mammogram() if dataset is None else dataset, "399162004")
    stored = gradient((40, 34), TWELVE) if stored is None else stored
    set_pixels(dataset, stored, TWELVE)
    return dicom_bytes(dataset, encode(stored, TWELVE, syntax), syntax)


def element(tag, vr, value=b"", length=None):
    """One explicit little endian element; ``length`` lies where it is given."""
    length = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    if vr in (b"SQ", b"OB", b"OW", b"UN", b"UT"):
        return head + b"\0\0" + struct.pack("<I", length) + value
    return head + struct.pack("<H", length) + value


def start_of_data(data):
    """Where the data set begins: after group 2, whose length stands in its first element."""
    return 144 + struct.unpack_from("<I", data, 140)[0]


def with_elements(extra, syntax=EXPLICIT):
    """A good file with bytes put before its data set."""
    data = whole(syntax)
    at = start_of_data(data)
    return data[:at] + extra + data[at:]


def deflated(inner, syntax=DEFLATED):
    meta = whole(syntax)[: start_of_data(whole(syntax))]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return meta + b"".join([packer.compress(part) for part in inner]) + packer.flush()


def nested(depth):
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return (element(0x00081140, b"SQ", length=0xFFFFFFFF) + item) * depth


def lying_size(rows, cols, syntax=EXPLICIT):
    data = whole(syntax)
    for tag, value in ((0x0010, rows), (0x0011, cols)):
        head = struct.pack("<HH", 0x0028, tag) + b"US\x02\0"
        at = data.index(head)
        data = data[: at + 8] + struct.pack("<H", value) + data[at + 10 :]
    return data


CRAFTED = {  # name: bytes, error of read_image
    "empty": (b"", NotDicomError),
    "text": (b"patient,side\n1,R\n" * 100, NotDicomError),
    "preamble_only": (b"\0" * 128 + b"DICM", DamagedHeaderError),
    "no_syntax": (b"\0" * 128 + b"DICM" + element(0x00080060, b"CS", b"MG"), DamagedHeaderError),
    "meta_bomb": (
        b"\0" * 128 + b"DICM" + element(0x00020001, b"OB", length=0xFFFFFFF0),
        HostileFileError,
    ),
    "length_4_gb": (with_elements(element(0x00080005, b"OB", length=0xFFFFFFF0)), HostileFileError),
    "length_beyond": (with_elements(element(0x00080005, b"CS", length=60000)), DamagedHeaderError),
    "long_value": (with_elements(element(0x00081030, b"LO") * 3), None),
    "nested_10000": (with_elements(nested(10_000)), HostileFileError),
    "nested_20": (with_elements(nested(20)), DamagedHeaderError),
    "a_million_elements": (
        with_elements(element(0x00091001, b"LO") * 300_000),
        HostileFileError,
    ),
    "vr_none": (with_elements(element(0x00080005, b"\x01\x02", b"ab")), DamagedHeaderError),
    "vr_without_length": (
        with_elements(struct.pack("<HH2sHI", 8, 5, b"UT", 0, 0xFFFFFFFF)),
        DamagedHeaderError,
    ),
    "deflate_bomb": (
        deflated([element(0x00091001, b"OB", length=0xFFFFFF00)] + [bytes(1 << 24)] * 64),
        HostileFileError,
    ),
    "deflate_garbage": (whole(DEFLATED)[:400] + os.urandom(4000), DamagedHeaderError),
    "dimension_bomb": (lying_size(65535, 65535), HostileFileError),
    "wide": (lying_size(1, 65535), HostileFileError),
    "many_pixels": (lying_size(29999, 29999), HostileFileError),
    "more_than_the_file": (lying_size(10000, 10000), DamagedPixelsError),
    "rle_bomb": (lying_size(30000, 4000, RLE), HostileFileError),
    "jpeg_other_size": (lying_size(8000, 8000, LOSSLESS), DamagedPixelsError),
    "j2k_other_size": (lying_size(8000, 8000, J2K), DamagedPixelsError),
    "zero_rows": (lying_size(0, 34), UnsupportedImageError),
    "floats": (
        whole().replace(b"\xe0\x7f\x10\x00OW", b"\xe0\x7f\x08\x00OF"),
        UnsupportedImageError,
    ),
    "unknown_syntax": (
        whole().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"),
        UnsupportedImageError,
    ),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_files_are_refused_by_name(name, tmp_path):
    data, error = CRAFTED[name]
    path = tmp_path / f"{name}.dcm"
    path.write_bytes(data)
    if error is None:
        read_image(path)
        return
    with pytest.raises(error) as raised:
        read_image(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def damaged_files():
    """200 files, the same ones every time: cut off, bits flipped, VRs and lengths exchanged."""
    make = np.random.default_rng(20)
    yield from ((name, data) for name, (data, _) in CRAFTED.items())
    good = {syntax: whole(syntax) for syntax in SYNTAXES}
    for number in range(200 - len(CRAFTED)):
        data = bytearray(good[SYNTAXES[number % len(SYNTAXES)]])
        kind = ("cut", "flip", "flip_header", "vr", "length", "zeros", "tail")[number % 7]
        at = int(make.integers(132, len(data) - 8))
        if kind == "cut":
            data = data[:at]
        elif kind in ("flip", "flip_header"):
            stop = len(data) if kind == "flip" else 900
            for place in make.integers(132, stop, size=8):
                data[place] ^= 1 << int(make.integers(8))
        elif kind == "vr":
            tags = [i for i in range(340, 1000) if data[i : i + 2] in (b"US", b"DS", b"CS", b"SQ")]
            place = tags[int(make.integers(len(tags)))] if tags else at
            data[place : place + 2] = (b"SQ", b"FD", b"OB", b"UN")[number % 4]
        elif kind == "length":
            place = int(make.integers(340, 1000))
            data[place : place + 4] = make.bytes(4)
        elif kind == "zeros":
            data[at : at + 200] = bytes(len(data[at : at + 200]))
        else:
            data += make.bytes(300)
        yield f"{number:03}_{kind}", bytes(data)


CHILD = """
import json, resource, sys, time
from pathlib import Path
from fourview.dicom.exams import iter_exams
from fourview.dicom.image import read_image
from fourview.errors import DicomError

def allowance():
    for line in open("/proc/self/status"):
        if line.startswith("VmSize"):
            return int(line.split()[1]) * 1024

limit = allowance() + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
told = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    started = time.process_time()
    try:
        read_image(path, at_least=(10, 10) if len(told) % 2 else None)
        word = "read"
    except DicomError as error:
        word = type(error).__name__
    told[path.name] = (word, time.process_time() - started)
exams = list(iter_exams(sys.argv[1]))
listed = sum(len(exam.images) + len(exam.left_out) for exam in exams)
print(json.dumps({"told": told, "listed": listed}))
"""


def test_200_damaged_files_stop_nothing_and_cost_little(tmp_path):
    names = []
    for name, data in damaged_files():
        (tmp_path / f"{name}.dcm").write_bytes(data)
        names.append(f"{name}.dcm")
    assert len(names) == 200
    source = Path(sys.modules["fourview"].__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD, str(tmp_path), str(GIGABYTE)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout)
    assert answer["listed"] == 200
    assert sorted(answer["told"]) == sorted(names)
    slow = {name: t for name, (_, t) in answer["told"].items() if t >= SECONDS}
    assert not slow
    words = {word for word, _ in answer["told"].values()}
    assert words >= {"read", "DamagedHeaderError", "DamagedPixelsError", "HostileFileError"}


@pytest.mark.parametrize("magic", [b"MZ", b"\x7fELF", b"#!/bin/sh\n"])
def test_a_preamble_that_is_a_program_is_told_and_the_image_read(magic, tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(magic + whole()[len(magic) :])
    image = read_image(path)
    assert any("do not execute" in note for note in image.notes)
    assert image.pixels.shape == (40, 34)


def test_a_uid_that_is_a_path_is_only_a_note(tmp_path):
    data = whole().replace(b"1.2.826.0.1.3680043.10.999.3.1", b"../../../../../../etc/passwd01")
    path = tmp_path / "a.dcm"
    path.write_bytes(data)
    assert any("no valid UID" in note for note in read_header(path).notes)


def test_pipes_devices_and_folders_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "nothing"):
        with pytest.raises(NotDicomError):
            read_header(path)


def test_no_header_is_read_past_a_bit_that_turned(tmp_path):
    """Every single byte of a header overwritten in turn: read or refused, nothing else."""
    data = whole()
    path = tmp_path / "a.dcm"
    seen = set()
    for at in range(132, 1000, 3):
        path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
        try:
            read_header(path)
            seen.add("read")
        except DicomError as error:
            seen.add(type(error).__name__)
    assert seen >= {"read", "DamagedHeaderError"}


def test_reading_a_huge_deflated_file_stays_below_the_cap(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(CRAFTED["deflate_bomb"][0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(HostileFileError, match="inflates to more than 320 MB"):
        read_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # kilobytes
