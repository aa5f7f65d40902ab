"""Everything that is wrong with a store: every byte is compared with its checksum."""

from collections.abc import Callable
from pathlib import Path

from fourview.errors import StoreError
from fourview.manifest.check import Problem
from fourview.store.shard import is_whole
from fourview.store.store import METADATA, PIXELS, Store, array_metadata, shard_path

NAMED = 3  # examples in a message


def check_store(
    path: Path, *, pixels: bool, progress: Callable[[int, int], None] | None = None
) -> list[Problem]:
    """Check the store in a folder.

    Args:
        path: Folder that ``prepare`` wrote.
        pixels: Also read every image's pixels and compare them with their checksum.
        progress: Called with images read and images in all.

    Returns:
        What is wrong; errors are repaired by running ``prepare`` again.
    """
    try:
        store = Store.open(path)
        rows = store.table.select("image_id", "index", "num_bytes", "crc32c").rows()
    except StoreError as error:
        return [Problem(kind="hash", level="error", count=1, text=str(error))]
    problems = []
    metadata = path / PIXELS / METADATA
    expected = array_metadata(store.about.num_images, store.about.canvas)
    if not metadata.exists() or metadata.read_bytes() != expected.encode():
        text = f"{metadata}: damaged or missing; run `prepare` again"
        problems.append(Problem(kind="hash", level="error", count=1, text=text))
    bad = []
    for number, (image_id, index, num_bytes, checksum) in enumerate(rows if pixels else (), 1):
        if not is_whole(shard_path(path, index), num_bytes, checksum):
            bad.append(f"{image_id} ({shard_path(path, index).name})")
        if progress is not None:
            progress(number, len(rows))
    if bad:
        more = f" and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
        text = (
            f"{path}: the pixels of {len(bad):,} of {len(rows):,} images are damaged or missing: "
            f"{', '.join(bad[:NAMED])}{more}; run `prepare` again, it makes these anew"
        )
        problems.append(Problem(kind="files", level="error", count=len(bad), text=text))
    return problems
