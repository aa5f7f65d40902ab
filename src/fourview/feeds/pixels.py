"""Stored codes of images by id; all in memory where they fit."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt16

from fourview.store.store import Store


class StoredPixels:
    """Reads images of a store with fixed rows and columns.

    Args:
        store: Where they are.
        images: Ids that will be asked for.
        cache_bytes: Read all of them at once if they take no more than this (2 bytes a pixel).
    """

    def __init__(self, store: Store, images: Sequence[str], *, cache_bytes: int = 0) -> None:
        self.store = store
        self._cached: dict[str, np.ndarray] = {}
        size = 2 * len(images) * (store.spec.rows or 0) * (store.spec.cols or 0)
        if images and size <= cache_bytes:
            self._cached = dict(zip(images, store.read_many(list(images)), strict=True))

    def read(self, images: Sequence[str]) -> UInt16[np.ndarray, "image row col"]:
        """Their codes, in this order; an image may be named twice."""
        if self._cached:
            return np.stack([self._cached[image] for image in images])
        once = list(dict.fromkeys(images))
        codes = self.store.read_many(once)
        return codes if len(once) == len(images) else codes[[once.index(i) for i in images]]
