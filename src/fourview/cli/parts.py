"""Which images a command reads: those of the parts asked for, as far as the store has them."""

import sys

import polars as pl

from fourview.cli.say import say
from fourview.entities import Manifest
from fourview.errors import ManifestError, StoreError
from fourview.manifest.manifest import images_to_read
from fourview.store.store import Store
from fourview.suggest import did_you_mean


def require_images(manifest: Manifest, store: Store, split: tuple[str, ...]) -> None:
    """Make sure that there is something to read, and say what has no pixels.

    Raises:
        ManifestError: No exam is of a part that was asked for.
        StoreError: The store has none of the images.
    """
    there_are = manifest.exams["split"].drop_nulls().unique().sort().to_list()
    for name in split:
        if name not in there_are:
            known = ", ".join(there_are) or "none; index with --split makes them"
            near = did_you_mean(name, there_are)
            raise ManifestError(
                f"--split {name}: the manifest has no such part; {near}there are: {known}"
            )
    exams = manifest.exams
    if split:
        exams = exams.filter(pl.col("split").is_in(split))
    wanted = images_to_read(manifest).join(exams, on="exam_id", how="semi")["image_id"]
    missing = wanted.filter(~wanted.is_in(store.table["image_id"].implode()))
    if len(wanted) and len(missing) == len(wanted):
        raise StoreError(
            f"the store has none of the {len(wanted):,} images, such as {wanted[0]}; "
            "prepare it from this manifest"
        )
    if len(missing):
        say(
            f"note: {len(missing):,} of {len(wanted):,} images have no pixels in the store and are "
            f"not read, such as {missing[0]}",
            to=sys.stderr,
        )
