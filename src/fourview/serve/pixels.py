"""Images as the browser gets them: read once, kept in memory up to a limit, least recent out."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import imagecodecs
import numpy as np
from jaxtyping import UInt8, UInt16

from fourview.entities import Image, Voi
from fourview.errors import FourviewError
from fourview.fingerprint import digest_of_text
from fourview.preprocess.window import Display
from fourview.report.display import Hung, decide
from fourview.serve.tables import Scale, darkest, grey_table, halved, indices, scale_of

HALVINGS = (0, 1, 2)  # the page asks for 2 first, then 0, or 1 where its screen takes no more
ZSTD_LEVEL, GZIP_LEVEL = 1, 1  # the quickest: an image of 17 MB becomes 1.5 to 3.7 MB
MAX_FAILURES = 10_000  # reasons that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One image, ready to be sent.

    Attributes:
        image: As read, padding included.
        index: What is sent of every pixel.
        table: The grey of every index.
        hung: How it is displayed.
        small: Smaller copies, by their number of halvings.
    """

    image: Image
    scale: Scale
    index: UInt16[np.ndarray, "row col"]
    table: UInt8[np.ndarray, " entry"]
    hung: Hung
    small: dict[int, UInt16[np.ndarray, "small_row small_col"]] = field(default_factory=dict)

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        shared = self.index is self.image.pixels or np.shares_memory(self.index, self.image.pixels)
        own = self.image.pixels.nbytes + (0 if shared else self.index.nbytes)
        padding = 0 if self.image.padding is None else self.image.padding.nbytes
        return own + padding + self.table.nbytes + sum(a.nbytes for a in self.small.values())

    def at(self, halvings: int) -> UInt16[np.ndarray, "small_row small_col"]:
        """The indices at a half, a quarter, ... of the size."""
        if halvings == 0:
            return self.index
        if halvings not in self.small:
            self.small[halvings] = halved(self.index, halvings)
        return self.small[halvings]

    def facts(self) -> dict[str, Any]:
        """What the browser must know to display it, without ids, paths and dates."""
        rows, cols = self.index.shape
        notes = [self.hung.note]
        if not self.scale.is_exact:
            step = f"{self.scale.step:g}"
            notes.append(f"values are shown in steps of {step}: they are no small integers")
        if self.hung.chest_wall is None:
            notes.append("the pixels do not show the chest wall: displayed as in the file")
        return {
            "rows": rows,
            "cols": cols,
            "low": self.scale.low,
            "step": self.scale.step,
            "count": self.scale.count,
            "spacing": self.image.spacing_mm,
            "mirrored": self.hung.is_mirrored(self.image),
            "wall": self.hung.chest_wall is not None,
            "invert": self.hung.inverted,
            "window": window_facts(self.hung.display),
            "notes": notes,
        }


def window_facts(display: Display) -> dict[str, Any]:
    """A window as the browser changes it: function, centre and width in modality values."""
    if not isinstance(display, Voi):
        width = max(display.high - display.low, 1e-12)  # the page divides by it
        return {"function": "RAMP", "center": (display.low + display.high) / 2, "width": width}
    if display.function == "TABLE":
        assert display.table is not None
        width = float(len(display.table))
        return {"function": "TABLE", "center": display.first + width / 2, "width": width}
    return {"function": display.function, "center": display.center, "width": display.width}


def hold(image: Image, voi: str | None = None) -> Held:
    """Make an image ready to be sent.

    Args:
        image: As read.
        voi: "ignore" displays the whole range of its bits; None and "header" its own window.
    """
    hung = decide(image, voi="ignore" if voi == "ignore" else "header")
    scale = scale_of(image)
    table = grey_table(scale, hung.display, invert=hung.inverted)
    index = indices(image, scale)
    if image.padding is not None and image.padding.any():
        index = np.where(image.padding, np.uint16(darkest(table, scale)), index)
    return Held(image=image, scale=scale, index=index, table=table, hung=hung)


class PixelStore:
    """Held images by id, up to a number of bytes.

    Args:
        read: Gives an image, with what its manifest says of its window.
        capacity: Bytes; one image is kept even where it alone takes more.
    """

    def __init__(self, read: Callable[[str], tuple[Image, str | None]], capacity: int) -> None:
        self._read, self._capacity = read, capacity
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._failed: dict[str, str] = {}
        self._busy: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """Memory that all held images take."""
        with self._lock:
            return sum(held.num_bytes for held in self._held.values())

    def get(self, image_id: str) -> Held:
        """An image, read now if it is not held; two that ask at once read it once.

        Raises:
            FourviewError: It cannot be read; the same again for whoever asks later.
        """
        with self._lock:
            busy = self._busy.setdefault(image_id, threading.Lock())
        with busy:
            with self._lock:
                if image_id in self._held:
                    self._held.move_to_end(image_id)
                    return self._held[image_id]
                if image_id in self._failed:
                    raise FourviewError(self._failed[image_id])
            held = self._hold(image_id)
            with self._lock:
                self._held[image_id] = held
                while self._total() > self._capacity and len(self._held) > 1:
                    self._held.popitem(last=False)
            return held

    def _total(self) -> int:
        return sum(held.num_bytes for held in self._held.values())

    def _hold(self, image_id: str) -> Held:
        try:
            held = hold(*self._read(image_id))
            held.at(2)  # which the page asks for first
        except (FourviewError, OSError, MemoryError) as error:
            text = str(error) or "not enough memory"
            if len(self._failed) < MAX_FAILURES:
                self._failed[image_id] = text
            raise FourviewError(text) from error
        return held


def packed(pixels: UInt16[np.ndarray, "row col"], accepts: str) -> tuple[bytes, str | None]:
    """Little-endian bytes, compressed as the browser takes it, and the name of that coding."""
    data = np.ascontiguousarray(pixels, dtype="<u2").tobytes()
    offered = {part.split(";")[0].strip().lower() for part in accepts.split(",")}
    if "zstd" in offered:
        return bytes(imagecodecs.zstd_encode(data, level=ZSTD_LEVEL)), "zstd"
    if "gzip" in offered:
        return bytes(imagecodecs.gzip_encode(data, level=GZIP_LEVEL)), "gzip"
    return data, None


def etag(key: str, halvings: int) -> str:
    """Names what is sent; a key is of one session, in which files do not change."""
    return f'"{digest_of_text(f"{key} {halvings}")[:24]}"'
