"""Damaged files of every transfer syntax, the same ones for the same seed.

Each is a good file with a change that only a fault or an attacker makes: bits turned, marker
segments doubled, cut, exchanged, lengthened or made up, sizes that lie, tiles that lead elsewhere,
two streams grown together.
"""

import struct
from collections.abc import Callable, Iterator

import imagecodecs
import jpeg_ls
import numpy as np
import openjpeg
import rle.rle

from dicom_examples import (
    BASELINE,
    EXACT,
    EXPLICIT,
    HT,
    HT_LOSSLESS,
    J2K,
    J2K_LOSSLESS,
    JLS,
    LOSSLESS_SV1,
    LOSSY,
    NATIVE,
    RLE,
    TWELVE,
    Layout,
    dicom_bytes,
    encode,
    gradient,
    mammogram,
    set_pixels,
    with_view,
)

EIGHT = Layout(8, 8, 7, False)
Frame = bytes
Good = tuple[Frame, Layout, tuple[int, int], int]  # with size and channels
Mutation = Callable[[np.random.Generator, Frame, Frame], Frame]


def segments(frame: Frame) -> list[tuple[int, int]]:
    """Start and end of the marker segments before the coded samples."""
    segments_of_frame, pos = [], 2
    while pos + 4 <= len(frame) and frame[pos] == 0xFF:
        marker = frame[pos + 1]
        end = pos + 2 + struct.unpack_from(">H", frame, pos + 2)[0]
        segments_of_frame.append((pos, min(end, len(frame))))
        if marker in (0xDA, 0x93, 0x90):
            break
        pos = end
    return segments_of_frame or [(2, min(20, len(frame)))]


def one(make: np.random.Generator, frame: Frame) -> tuple[int, int]:
    there = segments(frame)
    return there[int(make.integers(len(there)))]


def flip_header(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    data, stop = bytearray(frame), segments(frame)[-1][1]
    for place in make.integers(2, max(stop, 3), size=int(make.integers(1, 4))):
        data[place] ^= 1 << int(make.integers(8))
    return bytes(data)


def flip_anywhere(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    data = bytearray(frame)
    for place in make.integers(2, len(data) - 2, size=int(make.integers(1, 9))):
        data[place] = int(make.integers(256))
    return bytes(data)


def double_segment(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    start, end = one(make, frame)
    copy = bytearray(frame[start:end])
    if len(copy) > 4 and make.random() < 0.7:
        copy[int(make.integers(4, len(copy)))] = int(make.integers(256))
    return frame[:end] + bytes(copy) + frame[end:]


def cut_segment(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    start, end = one(make, frame)
    if end - start < 6:
        return frame[:start] + frame[end:]
    short = int(make.integers(start + 4, end))
    length = struct.pack(">H", short - start - 2)
    return frame[: start + 2] + length + frame[start + 4 : short] + frame[end:]


def exchange_segments(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    (a, b), (c, d) = sorted((one(make, frame), one(make, frame)))
    if b > c:
        return frame[:a] + frame[b:]
    return frame[:a] + frame[c:d] + frame[b:c] + frame[a:b] + frame[d:]


def invent_segment(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    _, end = one(make, frame)
    body = make.bytes(int(make.integers(1, 30)))
    if frame[1] == 0x4F:
        kinds = (0x50, 0x52, 0x53, 0x55, 0x57, 0x58, 0x5C, 0x5D, 0x5E, 0x5F, 0x60, 0x61, 0x63, 0x64)
    else:
        kinds = (0xC0, 0xC3, 0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xE0, 0xEE, 0xF7, 0xF8, 0xFE)
    marker = kinds[int(make.integers(len(kinds)))]
    return frame[:end] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + frame[end:]


def coding_of_component(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    """A COC, COD, QCD or QCC that is well formed and impossible (T.800 A.6)."""
    _, end = segments(frame)[0]
    levels, x, y = (int(v) for v in make.integers(0, 40, size=3))
    style = bytes((levels, x % 16, y % 16, int(make.integers(256)), int(make.integers(3))))
    kind = int(make.integers(4))
    if kind == 0:
        segment = struct.pack(">BBHBB", 0xFF, 0x53, 9, 0, 0) + style
    elif kind == 1:
        layers = int(make.integers(1, 65536))
        segment = struct.pack(">BBHBBHB", 0xFF, 0x52, 12, 0, 0, layers, 0) + style
    else:
        count = int(make.integers(1, 5))
        quanta = bytes(((0, 0x20, 0x22, 0x41)[int(make.integers(4))],)) + make.bytes(count)
        head = struct.pack(">BBH", 0xFF, 0x5C, len(quanta) + 2)
        component = struct.pack(">BBHB", 0xFF, 0x5D, len(quanta) + 3, 0)
        segment = (head if kind == 2 else component) + quanta
    if make.random() < 0.5:
        end = segments(frame)[-1][0]
    return frame[:end] + segment + frame[end:]


def lie_about_size(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    data = bytearray(frame)
    if frame[1] == 0x4F:
        at = 8 + 4 * int(make.integers(8))
        value = (0, 1, 3, 4096, 65536, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFF)[int(make.integers(8))]
        struct.pack_into(">I", data, at, value)
        return bytes(data)
    for start, end in segments(frame):
        if data[start + 1] in (0xC0, 0xC1, 0xC3, 0xF7) and end - start > 9:
            data[start + int(make.integers(4, 10))] = int(make.integers(256))
    return bytes(data)


def lead_tiles_elsewhere(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    at = frame.find(b"\xff\x90\x00\x0a")
    if at < 0:
        return flip_header(make, frame, frame)
    data = bytearray(frame)
    choice = int(make.integers(4))
    if choice == 0:
        struct.pack_into(">H", data, at + 4, int(make.integers(65536)))
    elif choice == 1:
        struct.pack_into(">I", data, at + 6, int(make.integers(1 << 32)))
    elif choice == 2:
        data[at + 10 : at + 12] = make.bytes(2)
    else:
        data = data[:-2] + data[at:]
    return bytes(data)


def cut_off(make: np.random.Generator, frame: Frame, _: Frame) -> Frame:
    return frame[: int(make.integers(4, len(frame)))] + frame[-2:]


def grow_together(make: np.random.Generator, frame: Frame, other: Frame) -> Frame:
    head = one(make, frame)[1]
    return frame[:head] + other[one(make, other)[0] :]


MUTATIONS: tuple[Mutation, ...] = (
    flip_header,
    flip_anywhere,
    double_segment,
    cut_segment,
    exchange_segments,
    invent_segment,
    coding_of_component,
    lie_about_size,
    lead_tiles_elsewhere,
    cut_off,
    grow_together,
)


def good_frames() -> dict[str, list[Good]]:
    """A few good frames of each syntax: 12 and 8 bits, with tiles, with several levels, as RGB."""
    frames: dict[str, list[Good]] = {}
    for syntax in (*EXACT, *LOSSY):
        layouts = [EIGHT] if syntax.endswith(".50") else [TWELVE, EIGHT]
        for layout in layouts:
            for size in ((40, 34), (300, 220)):
                try:
                    frame = encode(gradient(size, layout), layout, syntax)
                except (RuntimeError, ValueError):
                    continue  # the encoder does not write this
                frames.setdefault(syntax, []).append((frame, layout, size, 1))
    tiled = gradient((300, 220), TWELVE).astype(np.uint16)
    for syntax, codec in ((J2K, imagecodecs.jpeg2k_encode), (HT, imagecodecs.htj2k_encode)):
        how = {"tile": (64, 64)} if syntax == J2K else {"tile": (128, 128)}
        try:
            frames[syntax].append((bytes(codec(tiled, **how)), TWELVE, (300, 220), 1))
        except (TypeError, RuntimeError, ValueError):
            continue
    for syntax, frame in colour_frames().items():
        frames[syntax].append((frame, EIGHT, (60, 44), 3))
    return frames


def colour_frames() -> dict[str, Frame]:
    """A grey picture as RGB in each kind of coding."""
    grey = gradient((60, 44), EIGHT).astype(np.uint8)
    rgb = np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    return {
        EXPLICIT: rgb.tobytes(),
        RLE: bytes(rle.rle.encode_frame(rgb.tobytes(), 60, 44, 3, 8, "<")),
        BASELINE: bytes(imagecodecs.jpeg8_encode(rgb, level=95, subsampling="420")),
        LOSSLESS_SV1: bytes(imagecodecs.jpeg8_encode(rgb, lossless=True, predictor=1)),
        JLS: bytes(jpeg_ls.encode_array(rgb)),
        J2K_LOSSLESS: openjpeg.encode(rgb, bits_stored=8, photometric_interpretation=1),
        HT_LOSSLESS: bytes(imagecodecs.htj2k_encode(rgb)),
    }


def mutated_files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file; the same for the same seed."""
    make = np.random.default_rng(seed)
    good = good_frames()
    names = sorted(good)
    for number in range(count):
        syntax = names[number % len(names)]
        frame, layout, size, channels = good[syntax][int(make.integers(len(good[syntax])))]
        other = good[syntax][int(make.integers(len(good[syntax])))][0]
        mutate = MUTATIONS[int(make.integers(len(MUTATIONS)))]
        dataset = with_view(mammogram(number + 1), "399162004")
        set_pixels(dataset, np.empty(size), layout)
        if channels == 3:
            dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
            dataset.PlanarConfiguration = 0
        plain = syntax in NATIVE
        changed = frame if plain else mutate(make, frame, other)
        data = bytearray(dicom_bytes(dataset, changed, syntax))
        if plain or make.random() < 0.1:  # the header too
            for place in make.integers(132, 1200, size=6):
                data[min(int(place), len(data) - 1)] = int(make.integers(256))
        kind = "header" if plain else mutate.__name__
        yield f"{number:04}_{kind}_{syntax.rpartition('.2.')[2]}.dcm", bytes(data)
