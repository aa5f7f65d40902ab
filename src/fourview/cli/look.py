"""``fourview look``: a page of what models see."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

import polars as pl
from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Some, SomeOrNone
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.errors import FourviewError
from fourview.evaluate.table import read_predictions
from fourview.jobs.executor import find_executor
from fourview.manifest.manifest import DESCRIPTION as MANIFEST
from fourview.manifest.manifest import read_manifest
from fourview.preprocess.spec import pixel_spec
from fourview.report.look import LookOptions, write_look
from fourview.store.store import DESCRIPTION as STORE
from fourview.store.store import Store

HITS = {"rank", "image_id", "cosine"}  # columns of what ``fourview search -o`` writes


def look(
    what: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    manifest: Path | None = None,
    store: Path | None = None,
    spec: str = "mvccl-384x192",
    label: str = "cancer",
    class_name: Annotated[str, Parameter(name="--class")] = "cancer",
    split: tuple[str, ...] = (),
    num: SomeOrNone = 120,
    workers: Some = 2,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Write a page of what models see: mask outline, known regions, marks, label and score.

    The page sorts by label, score, error, size and notes; the worst errors come first.

    Args:
        what: A manifest or a store (their folders), a predictions table, or the list that
            ``fourview search -o`` wrote.
        out: HTML file to write.
        manifest: Manifest of a store, predictions or hits: where labels and regions come from.
        store: Pixels to show; without it the files of the manifest are read and processed.
        spec: Pixel spec where there is no store, as ``fourview list specs`` shows.
        label: Column that is the label: cancer, birads, density, ...
        class_name: Class of the predictions whose score is shown.
        split: Only images of these parts: train, validation, test; may be repeated.
        num: Number of images, spread evenly, beside the worst; 0 shows all.
        workers: Processes that read files, where there is no store.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the summary as JSON.
    """
    use_modules(module)
    predictions = hits = None
    about: dict[str, str] = {}
    if (what / MANIFEST).exists():
        manifest = what
    elif (what / STORE).exists():
        store = what
    elif what.is_dir():
        raise FourviewError(f"{what}: is neither a manifest nor a store; name one, or a table")
    else:
        hits = _hits(what)
        if hits is None:
            predictions, about = read_predictions(what)
        if manifest is None and (store is None or predictions is not None):
            raise FourviewError(f"{what}: has no pictures; add --manifest, and --store if there is")
    options = LookOptions(
        title=f"What models see: {what.name}",
        label=label,
        num=num or None,
        splits=split,
        class_name=class_name,
        caution=about.get("caution", ""),
        model=about.get("recipe", ""),
    )
    with progress_bar(quiet=json) as update:
        shown = write_look(
            out,
            manifest=None if manifest is None else read_manifest(manifest),
            store=None if store is None else Store.open(store),
            spec=None if store is not None else pixel_spec(spec),
            predictions=predictions,
            hits=hits,
            options=options,
            executor=find_executor("local", workers),
            progress=lambda done, of: update("images", done, of),
        )
    if json:
        print(jsonlib.dumps({"out": str(out), "images": shown}))
    else:
        say(f"{shown} images in {out} (research use only)")


def _hits(path: Path) -> pl.DataFrame | None:
    """The hits of a search; None where the file is something else."""
    try:
        csv = path.suffix.lower() == ".csv"
        table = pl.read_csv(path, infer_schema_length=None) if csv else pl.read_parquet(path)
    except pl.exceptions.PolarsError:
        return None  # told by ``read_predictions``
    if not set(table.columns) >= HITS:
        return None
    return table.with_columns(pl.col("image_id").cast(pl.String))
