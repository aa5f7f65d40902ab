"""``fourview check``: what is wrong with a manifest or a store."""

import json as jsonlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import polars as pl
from cyclopts import Parameter

from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.errors import StoreError
from fourview.manifest.check import check_folder, label_counts
from fourview.manifest.manifest import read_manifest
from fourview.store.check import check_store
from fourview.store.store import DESCRIPTION as STORE


def check(
    manifest: Path,
    *,
    files: Annotated[bool, Parameter(negative="--no-files")] = True,
    pixels: bool = False,
    json: bool = False,
) -> None:
    """Check a manifest: schema, files that are missing, patients on both sides of a split, labels.

    Of a store it checks that its tables are whole, and with --pixels that every pixel is.

    Args:
        manifest: Folder written by ``fourview index``, or by ``fourview prepare``.
        files: Also look for every image's file.
        pixels: Of a store: read all pixels and compare them with their checksums.
        json: Print the findings as JSON.
    """
    if (manifest / STORE).exists():
        with progress_bar(quiet=json) as update:
            problems = check_store(
                manifest, pixels=pixels, progress=lambda done, of: update("images", done, of)
            )
        counts = pl.DataFrame()
    elif pixels:
        raise StoreError(f"{manifest}: no store, so it has no pixels to check; name a store")
    else:
        problems = check_folder(manifest, files=files)
        counts = label_counts(read_manifest(manifest, validate=False))
    failed = any(problem.level == "error" for problem in problems)
    if json:
        report = {"ok": not failed, "problems": [asdict(p) for p in problems]}
        print(jsonlib.dumps({**report, "counts": counts.to_dicts()}, indent=2))
    else:
        for problem in problems:
            say(f"{problem.level}: {problem.text}")
        for row in counts.iter_rows(named=True):
            split = row.pop("split") or "no split"
            say(f"{split}: " + ", ".join(f"{value:,} {name}" for name, value in row.items()))
        print("failed" if failed else "ok")
    sys.exit(1 if failed else 0)
