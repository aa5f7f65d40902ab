"""What a frozen network said of the images of a store, kept beside their pixels: the one format.

Folder:  STORE/said/FINGERPRINT/about.json       whose weights, of which pixels, how they were cut
         STORE/said/FINGERPRINT/KEY.NAME.npy     an array; KEY is a hash of an id, as of an image
FINGERPRINT is of ``about.json``. Codes of patches and heatmaps of whole images are kept alike.
Every file appears whole or not at all, so a stopped run goes on. For an exam that was read from
DICOM files there is no store, and the same arrays are kept in memory.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fourview.disk import whole
from fourview.errors import StoreError
from fourview.fingerprint import digest_of_text, fingerprint_of, short


class Said:
    """Arrays by key and name; picklable.

    Args:
        about: What decides the arrays, as plain containers.
        store: Folder of the store that they are kept beside; None keeps them in memory.

    Attributes:
        about: As given.
        folder: Where the files are; None in memory.
    """

    def __init__(self, about: Mapping[str, Any], store: Path | None = None) -> None:
        self.about = dict(about)
        self._kept: dict[tuple[str, str], np.ndarray] = {}
        self.folder = None if store is None else store / "said" / self.fingerprint

    @property
    def fingerprint(self) -> str:
        """Fingerprint of what decides the arrays."""
        return fingerprint_of(self.about)

    def has(self, key: str, name: str) -> bool:
        """Whether that array was written."""
        return (key, name) in self._kept if self.folder is None else self._path(key, name).exists()

    def read(self, key: str, name: str, rows: Sequence[int] | None = None) -> np.ndarray:
        """An array, or some of its rows; only those are read from a file.

        Raises:
            StoreError: It was never written, or its file is damaged.
        """
        if self.folder is None:
            values = self._kept[key, name]
        else:
            path = self._path(key, name)
            try:
                mode = None if rows is None else "r"
                values = np.load(path, mmap_mode=mode, allow_pickle=False)  # type: ignore[arg-type]
            except (OSError, ValueError) as error:
                raise StoreError(
                    f"{path}: '{name}' of {key} cannot be read ({error}); delete the folder, it is "
                    "made anew"
                ) from None
        return values if rows is None else np.array(values[list(rows)])

    def write(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the arrays of a key; the last one is written last, so if it is there, all are."""
        if self.folder is None:
            self._kept |= {(key, name): values for name, values in arrays.items()}
            return
        about = self.folder / "about.json"
        if not about.exists():
            with whole(about, shared=True) as draft:
                draft.write_text(json.dumps(self.about, indent=2, sort_keys=True) + "\n")
        for name, values in arrays.items():
            with whole(self._path(key, name), shared=True) as draft, draft.open("wb") as file:
                np.save(file, values, allow_pickle=False)

    def _path(self, key: str, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{short(digest_of_text(key))}.{name}.npy"  # ids have any characters
