"""Heatmaps that a context network made of every image of a store, kept beside the pixels.

Folder:  STORE/context/DIGEST/context.json   whose weights, the channels, the grid
         STORE/context/DIGEST/maps.npy       (image, channel, grid_row, grid_col) of float32, in the
                                             order of the store's table
A folder appears whole or not at all.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from fourview.disk import take_room, whole, write_text
from fourview.errors import StoreError
from fourview.fingerprint import short
from fourview.geometry import Size
from fourview.json_file import read_json_object
from fourview.store.store import Store

DESCRIPTION = "context.json"
MAPS = "maps.npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What ``context.json`` says.

    Attributes:
        recipe: FAMILY:RECIPE of the network.
        digest: SHA-256 of its weights.
        fingerprint: Of the pixels that it read.
        grid: Rows and columns of a map.
    """

    recipe: str
    digest: str
    fingerprint: str
    num_images: int
    num_channels: int
    grid: Size


class ContextMaps:
    """The maps of one network over one store; picklable, read through the page cache.

    Attributes:
        about: What they are.
    """

    def __init__(self, folder: Path, about: About, places: dict[str, int]) -> None:
        self.folder, self.about = folder, about
        self._places = places
        self._maps = np.load(folder / MAPS, mmap_mode="r", allow_pickle=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ContextMaps, (self.folder, self.about, self._places))

    @classmethod
    def open(cls, store: Store, digest: str) -> "ContextMaps":
        """The maps of the network with these weights.

        Raises:
            StoreError: There are none, or they are not of this store as it is now.
        """
        folder = folder_of(store, digest)
        try:
            data = read_json_object(folder / DESCRIPTION)
            about = About(**{**data, "grid": tuple(data["grid"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{folder}: no heatmaps to read ({error}); make them anew") from None
        if about.fingerprint != store.fingerprint or about.num_images != len(store):
            raise StoreError(
                f"{folder}: heatmaps of {about.num_images} images with pixels {about.fingerprint}, "
                f"the store has {len(store)} with {store.fingerprint}; delete the folder"
            )
        ids = store.table["image_id"].to_list()
        return cls(folder, about, {image_id: place for place, image_id in enumerate(ids)})

    def read(self, image_id: str) -> Float32[np.ndarray, "channel grid_row grid_col"]:
        """The maps of an image."""
        return np.asarray(self._maps[self._places[image_id]])


def folder_of(store: Store, digest: str) -> Path:
    """Where the maps of the network with these weights are."""
    return store.path / "context" / short(digest)


def have_maps(store: Store, digest: str) -> bool:
    """Whether they are made already."""
    return (folder_of(store, digest) / DESCRIPTION).exists()


def write_maps(
    store: Store,
    *,
    recipe: str,
    digest: str,
    shape: tuple[int, int, int],
    maps: Iterable[tuple[Sequence[str], Float32[np.ndarray, "image channel grid_row grid_col"]]],
) -> None:
    """Keep the maps of every image of a store.

    Args:
        store: Whose images.
        recipe: Of the network.
        digest: Of its weights.
        shape: Channels, rows and columns of an image's maps.
        maps: Ids and maps of some images after the other; NaN is kept for images that none has.
    """
    folder = folder_of(store, digest)
    places = {image_id: place for place, image_id in enumerate(store.table["image_id"].to_list())}
    with whole(folder / MAPS) as draft:
        out = np.lib.format.open_memmap(
            draft, mode="w+", dtype=np.float32, shape=(len(store), *shape)
        )
        take_room(draft, draft.stat().st_size)
        out[:] = np.nan
        for ids, values in maps:
            out[[places[image_id] for image_id in ids]] = values
        out.flush()
        del out
    about = About(
        recipe=recipe,
        digest=digest,
        fingerprint=store.fingerprint,
        num_images=len(store),
        num_channels=shape[0],
        grid=(shape[1], shape[2]),
    )
    write_text(folder / DESCRIPTION, json.dumps(asdict(about), indent=2) + "\n")
