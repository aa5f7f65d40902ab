"""``fourview prepare``: pixels of a manifest to a store."""

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.progress import progress_bar
from fourview.data.manifest import read_manifest
from fourview.data.prepare import prepare as prepare_store
from fourview.preprocess.spec import pixel_spec


def prepare(
    manifest: Path,
    *,
    spec: str,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    workers: int = 2,
    json: bool = False,
) -> None:
    """Make a store: the pixels of every image of a manifest, as models of one pixel spec see them.

    Stopped at any moment, the same command goes on; a bad file is listed with its reason.

    Parameters
    ----------
    manifest: Folder written by ``fourview index``.
    spec: Name of the pixel spec, as ``fourview list specs`` shows.
    out: Folder of the store.
    workers: Processes.
    json: Print the summary as JSON.
    """
    with progress_bar(quiet=json) as update:
        summary = prepare_store(
            read_manifest(manifest),
            pixel_spec(spec),
            out,
            workers=workers,
            progress=lambda done, of: update("images", done, of),
        )
    if json:
        print(jsonlib.dumps(asdict(summary), default=str))
        return
    print(f"{summary.num_images} images in {out}, {summary.num_failed} failed")
