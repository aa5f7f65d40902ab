"""Scores that name a file instead of an image: which image the file is of.

Tried in this order: the image id itself, the path of the manifest, the file's name, the name
without its ending. What fits several images fits none.
"""

import re

import polars as pl

from fourview.entities import Manifest

_ENDING = re.compile(r"\.(?:dcm|dicom|ima|png|jpe?g|tiff?|pgm|bmp|jp2|j2k|npy|npz)$", re.IGNORECASE)


def with_image_ids(table: pl.DataFrame, manifest: Manifest) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """A predictions table whose rows name images of the manifest where their files can be found.

    Returns:
        The table, and a note where names were translated.
    """
    known = set(manifest.images["image_id"].to_list())
    names = table["image_id"].drop_nulls().unique().to_list()
    strangers = [name for name in names if name not in known]
    if not strangers or not len(manifest.images):
        return table, ()
    places = _places(manifest)
    translated: dict[str, str] = {}
    for name in strangers:
        image_id = next(
            (m[key] for m, key in zip(places, _keys(name), strict=True) if key in m), None
        )
        if image_id is not None:
            translated[name] = image_id
    if not translated:
        return table, ()
    example = next(iter(translated))
    note = f"{len(translated):,} images were named by their files, such as {example!r}"
    return table.with_columns(pl.col("image_id").replace(translated)), (note,)


def _keys(name: str) -> tuple[str, str, str]:
    """A path, a file's name and its name without ending, as they are compared."""
    path = re.sub(r"^(?:\./)+", "", name.strip().replace("\\", "/"))
    file = path.rpartition("/")[2]
    return path, file, _ENDING.sub("", file)


def _places(manifest: Manifest) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Image ids by path, by file name and by name without ending; only where one image has it."""
    by_path: dict[str, set[str]] = {}
    by_file: dict[str, set[str]] = {}
    by_stem: dict[str, set[str]] = {}
    for image_id, path in manifest.images.select("image_id", "path").iter_rows():
        by_stem.setdefault(_keys(image_id)[2], set()).add(image_id)
        if path is None:
            continue
        for places, key in zip((by_path, by_file, by_stem), _keys(path), strict=True):
            places.setdefault(key, set()).add(image_id)
    one = [
        {k: next(iter(ids)) for k, ids in m.items() if len(ids) == 1}
        for m in (by_path, by_file, by_stem)
    ]
    return one[0], one[1], one[2]
