"""``fourview check``: what is wrong with a manifest."""

import json as jsonlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.errors import FourviewError
from fourview.manifest.check import check_folder, label_counts
from fourview.manifest.manifest import read_manifest


def check(
    manifest: Path,
    *,
    files: Annotated[bool, Parameter(negative="--no-files")] = True,
    json: bool = False,
) -> None:
    """Check a manifest: schema, files that are missing, patients on both sides of a split, labels.

    Args:
        manifest: Folder written by ``fourview index``.
        files: Also look for every image's file.
        json: Print the findings as JSON.
    """
    try:
        problems = check_folder(manifest, files=files)
        counts = label_counts(read_manifest(manifest, validate=False))
    except FourviewError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(3)
    failed = any(problem.level == "error" for problem in problems)
    if json:
        report = {"ok": not failed, "problems": [asdict(p) for p in problems]}
        print(jsonlib.dumps({**report, "counts": counts.to_dicts()}, indent=2))
    else:
        for problem in problems:
            print(f"{problem.level}: {problem.text}")
        for row in counts.iter_rows(named=True):
            split = row.pop("split") or "no split"
            print(f"{split}: " + ", ".join(f"{value:,} {name}" for name, value in row.items()))
        print("failed" if failed else "ok")
    sys.exit(1 if failed else 0)
