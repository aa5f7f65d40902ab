"""``fourview check``: what is wrong with a manifest or a store."""

import json as jsonlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import polars as pl
from cyclopts import Parameter

from fourview.cli.numbers import Some, SomeOrNone
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.cli.unused import refuse_unused
from fourview.entities import Manifest
from fourview.errors import ManifestError, StoreError
from fourview.manifest.check import Problem, check_folder, label_counts
from fourview.manifest.manifest import read_manifest
from fourview.store.check import check_store
from fourview.store.store import DESCRIPTION as STORE


def check(
    manifest: Path,
    *,
    files: Annotated[bool, Parameter(negative="--no-files")] = True,
    pixels: bool = False,
    page: Annotated[Path | None, Parameter(name=["--page", "-o"])] = None,
    contact_sheet: Path | None = None,
    sheet_images: SomeOrNone = 120,
    spec: str = "mvccl-384x192",
    workers: Some = 2,
    json: bool = False,
) -> None:
    """Check a manifest: schema, files that are missing, patients on both sides of a split, labels.

    Of a store it checks that its tables are whole, and with --pixels that every pixel is.

    Args:
        manifest: Folder written by ``fourview index``, or by ``fourview prepare``.
        files: Also look for every image's file.
        pixels: Read all pixels of a store and compare them with their checksums.
        page: Also write an HTML page with statistics: age, vendor, density, labels, sizes and
            spacing by split, what was left out, and the problems above.
        contact_sheet: Also write a picture (.png, .jpg or .webp) of what the pipeline makes of the
            images: mask outline, side of the chest wall and processed pixels; what is odd is red.
        sheet_images: Number of images, spread evenly over the manifest; 0 shows all.
        spec: Pixel spec of the contact sheet, as ``fourview list specs`` shows.
        workers: Processes that read images for the contact sheet.
        json: Print the problems as JSON.
    """
    if contact_sheet is None:
        sheet = {"sheet_images": sheet_images, "spec": spec, "workers": workers}
        refuse_unused(check, needs="--contact-sheet", **sheet)
    sheets: list[Path] = []
    num_odd = 0
    if (manifest / STORE).exists():
        _refuse_of_store(manifest, contact_sheet, page, files=files)
        problems, counts = _of_store(manifest, pixels, quiet=json), pl.DataFrame()
    elif pixels:
        raise StoreError(f"{manifest}: no store, so it has no pixels to check; name a store")
    else:
        problems = check_folder(manifest, files=files)
        tables = read_manifest(manifest, validate=False)
        counts = label_counts(tables)
        _page(tables, problems, page)
        sheets, num_odd = _sheets(tables, contact_sheet, spec, sheet_images, workers, quiet=json)
    failed = any(problem.level == "error" for problem in problems)
    if json:
        report = {"ok": not failed, "problems": [asdict(p) for p in problems]}
        report |= {"counts": counts.to_dicts()}
        if contact_sheet is not None:
            report |= {"contact_sheets": [str(path) for path in sheets], "odd_images": num_odd}
        print(jsonlib.dumps(report, indent=2))
    else:
        for problem in problems:
            say(f"{problem.level}: {problem.text}")
        for row in counts.iter_rows(named=True):
            split = row.pop("split") or "no split"
            say(f"{split}: " + ", ".join(f"{value:,} {name}" for name, value in row.items()))
        if page is not None:
            say(f"page: {page}")
        if contact_sheet is not None:
            say(f"contact sheet: {', '.join(map(str, sheets))}; {num_odd} images to look at in red")
        say("failed" if failed else "ok")
    sys.exit(1 if failed else 0)


def _refuse_of_store(store: Path, sheet: Path | None, page: Path | None, *, files: bool) -> None:
    asked = {"--contact-sheet": sheet is not None, "--page": page is not None}
    for option, is_asked in {**asked, "--no-files": not files}.items():
        if is_asked:
            raise ManifestError(f"{store}: is a store; {option} is for manifests")


def _of_store(store: Path, pixels: bool, *, quiet: bool) -> list[Problem]:
    with progress_bar(quiet=quiet) as update:
        return check_store(
            store, pixels=pixels, progress=lambda done, of: update("images", done, of)
        )


def _page(manifest: Manifest, problems: list[Problem], out: Path | None) -> None:
    """Write the page of statistics where one is asked for."""
    if out is None:
        return
    from fourview.report.manifest_page import write_manifest_page  # noqa: PLC0415

    write_manifest_page(manifest, problems, out)


def _sheets(
    manifest: Manifest, out: Path | None, spec: str, num: int, workers: int, *, quiet: bool
) -> tuple[list[Path], int]:
    """Write the contact sheet where one is asked for."""
    if out is None:
        return [], 0
    from fourview.jobs.executor import find_executor  # noqa: PLC0415  only where images are read
    from fourview.preprocess.spec import pixel_spec  # noqa: PLC0415
    from fourview.report.contact_sheet import contact_sheet  # noqa: PLC0415

    with progress_bar(quiet=quiet) as update:
        return contact_sheet(
            manifest,
            out,
            spec=pixel_spec(spec),
            num=num or None,
            executor=find_executor("local", workers),
            progress=lambda done, of: update("images", done, of),
        )
