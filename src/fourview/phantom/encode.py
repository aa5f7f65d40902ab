"""Encoders of pixel data, one per transfer syntax."""

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from jaxtyping import Shaped

from fourview.errors import PhantomError
from fourview.phantom.rle import encode_rle
from fourview.suggest import no_such

Pixels = Shaped[np.ndarray, "row col"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """One transfer syntax.

    Attributes:
        uid: Transfer Syntax UID.
        name: Its name for people.
        bits: Bits Stored; what the encoder writes into its own header, so that the two agree.
        encode: Pixels to one compressed frame; None where pixels are written as they are.
        lossy: Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1); None where nothing is lost.
    """

    uid: str
    name: str
    bits: int = 12
    encode: Callable[[Pixels], bytes] | None = None
    lossy: str | None = None


def _jpeg_lossless(predictor: int) -> Callable[[Pixels], bytes]:
    def encode(pixels: Pixels) -> bytes:
        return bytes(
            imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=predictor, bitspersample=12)
        )

    return encode


def _jpeg(bits: int) -> Callable[[Pixels], bytes]:
    def encode(pixels: Pixels) -> bytes:
        return bytes(imagecodecs.jpeg8_encode(pixels, level=92, bitspersample=bits))

    return encode


def _jpeg_ls(near: int) -> Callable[[Pixels], bytes]:
    def encode(pixels: Pixels) -> bytes:
        return bytes(imagecodecs.jpegls_encode(pixels, level=near))

    return encode


def _jpeg_2000(level: int) -> Callable[[Pixels], bytes]:
    def encode(pixels: Pixels) -> bytes:
        return bytes(
            imagecodecs.jpeg2k_encode(
                pixels, level=level, codecformat="j2k", reversible=level == 0, bitspersample=12
            )
        )

    return encode


def _htj2k(*, lossless: bool, tile_lengths: bool) -> Callable[[Pixels], bytes]:
    level = None if lossless else 1e-4  # step of the quantiser, as a share of the range

    def encode(pixels: Pixels) -> bytes:
        return bytes(
            imagecodecs.htj2k_encode(pixels, level=level, reversible=lossless, tlm=tile_lengths)
        )

    return encode


_ROOT = "1.2.840.10008.1.2"
SYNTAXES: dict[str, Syntax] = {
    s.uid: s
    for s in (
        Syntax(uid=_ROOT, name="Implicit VR Little Endian"),
        Syntax(uid=f"{_ROOT}.1", name="Explicit VR Little Endian"),
        Syntax(uid=f"{_ROOT}.1.99", name="Deflated Explicit VR Little Endian"),
        Syntax(uid=f"{_ROOT}.5", name="RLE Lossless", encode=encode_rle),
        Syntax(
            uid=f"{_ROOT}.4.50", name="JPEG Baseline", bits=8, encode=_jpeg(8), lossy="ISO_10918_1"
        ),
        Syntax(uid=f"{_ROOT}.4.51", name="JPEG Extended", encode=_jpeg(12), lossy="ISO_10918_1"),
        Syntax(uid=f"{_ROOT}.4.57", name="JPEG Lossless", encode=_jpeg_lossless(4)),
        Syntax(uid=f"{_ROOT}.4.70", name="JPEG Lossless SV1", encode=_jpeg_lossless(1)),
        Syntax(uid=f"{_ROOT}.4.80", name="JPEG-LS Lossless", bits=16, encode=_jpeg_ls(0)),
        Syntax(
            uid=f"{_ROOT}.4.81",
            name="JPEG-LS Near-lossless",
            bits=16,
            encode=_jpeg_ls(32),  # at most 2 of 4095
            lossy="ISO_14495_1",
        ),
        Syntax(uid=f"{_ROOT}.4.90", name="JPEG 2000 Lossless", encode=_jpeg_2000(0)),
        Syntax(uid=f"{_ROOT}.4.91", name="JPEG 2000", encode=_jpeg_2000(60), lossy="ISO_15444_1"),
        Syntax(
            uid=f"{_ROOT}.4.201",
            name="HTJ2K Lossless",
            bits=16,
            encode=_htj2k(lossless=True, tile_lengths=False),
        ),
        Syntax(
            uid=f"{_ROOT}.4.202",
            name="HTJ2K Lossless RPCL",
            bits=16,
            encode=_htj2k(lossless=True, tile_lengths=True),
        ),
        Syntax(
            uid=f"{_ROOT}.4.203",
            name="HTJ2K",
            bits=16,
            encode=_htj2k(lossless=False, tile_lengths=False),
            lossy="ISO_15444_15",
        ),
    )
}


def syntax_of(uid: str) -> Syntax:
    """The transfer syntax of that UID.

    Raises:
        PhantomError: It is none that can be written; the message lists those that can.
    """
    if uid not in SYNTAXES:
        raise PhantomError(no_such("encoder for transfer syntax", uid, SYNTAXES))
    return SYNTAXES[uid]
