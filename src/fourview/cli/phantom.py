"""``fourview phantom``: exams with perfect truth, as DICOM."""

import json as jsonlib
from dataclasses import asdict
from pathlib import Path

from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.phantom.write import DEFAULT_SYNTAXES, write_phantom


def phantom(
    out: Path,
    *,
    exams: int = 40,
    seed: int = 1,
    preset: str = "screening",
    rows: int | None = None,
    vendor: tuple[str, ...] = ("A", "B", "C"),
    syntax: tuple[str, ...] = DEFAULT_SYNTAXES,
    workers: int = 2,
    json: bool = False,
) -> None:
    """Make phantom exams: four views each as DICOM in OUT/dicom, truth tables in OUT/truth.

    Args:
        out: Folder to write to; exams that are there already are kept.
        exams: How many.
        seed: The same seed gives the same bytes, for any number of workers.
        preset: screening (rates as published), enriched, miniature (half of the breasts with
            cancer), biopsied (masses whose odds depend on the rest of the breast), placed (on where
            they lie), paired (a star in every view; at one depth in both it is a cancer), families
            (a finding in each view; alike in both it is a cancer), plain (a large clear star, or
            nothing), or faint (a fainter one, hidden in one view of half of the breasts that have
            one).
        rows: Height in pixels of the same field of view, such as 768; without it the vendor's own.
        vendor: Fictional machines to draw from: A, B, C; may be repeated. film puts the views on
            scanned film, with haze, margins, tape, wedges and labels, laid either way round, under
            headers of which some name the wrong side or none; odd-film is stranger still.
        syntax: Transfer syntax UIDs to draw from; may be repeated.
        workers: Processes.
        json: Print the summary as JSON.
    """
    with progress_bar(quiet=json) as update:
        summary = write_phantom(
            out,
            num_exams=exams,
            seed=seed,
            preset=preset,
            rows=rows,
            vendors=vendor,
            syntaxes=syntax,
            workers=workers,
            progress=lambda done, of: update("phantom exams", done, of),
        )
    if json:
        print(jsonlib.dumps({**asdict(summary), "out": str(summary.out)}))
        return
    say(
        f"{summary.num_exams} exams, {summary.num_images} images, "
        f"{summary.num_cancers} breasts with cancer in {summary.out}"
    )
