"""Windows that were drawn once, with what a frozen encoder made of them, kept beside the store.

Folder:  STORE/windows/DIGEST/windows.npy    (site, number, 4): x, y, side, degrees
         STORE/windows/DIGEST/codes.npy      (site, number, dim) of float32
DIGEST is of the encoder's weights, the settings of the windows and the sites, in their order. A
folder appears whole or not at all.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from fourview.disk import whole_folder
from fourview.feeds.patches import Window
from fourview.fingerprint import short
from fourview.store.store import Store

WINDOWS, CODES = "windows.npy", "codes.npy"


class WindowCodes:
    """The windows and codes of a feed's sites; picklable, read through the page cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._windows = np.load(folder / WINDOWS, mmap_mode="r", allow_pickle=False)
        self._codes = np.load(folder / CODES, mmap_mode="r", allow_pickle=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return (WindowCodes, (self.folder,))

    def read(
        self, site: int, numbers: list[int]
    ) -> tuple[tuple[Window, ...], Float32[np.ndarray, "patch dim"]]:
        """Some windows of a site, and their codes."""
        windows = tuple(Window(*(float(v) for v in self._windows[site, n])) for n in numbers)
        return windows, np.asarray(self._codes[site, numbers])


def folder_of(store: Store, digest: str) -> Path:
    """Where the codes of that digest are."""
    return store.path / "windows" / short(digest)


def write_codes(
    folder: Path,
    windows: Float64[np.ndarray, "site number 4"],
    codes: Float32[np.ndarray, "site number dim"],
) -> None:
    """Write both arrays; the folder appears whole."""
    with whole_folder(folder) as draft:
        np.save(draft / WINDOWS, windows, allow_pickle=False)
        np.save(draft / CODES, codes, allow_pickle=False)
