"""``fourview predict``: a run's scores for the exams of a manifest."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.progress import progress_bar
from fourview.data.manifest import manifest_hash, read_manifest
from fourview.data.store import Store
from fourview.evaluate.table import write_predictions
from fourview.predict.engine import PLAIN, best_engine
from fourview.predict.reader import load_model

FEW = 200  # images for which compiling takes longer than it saves


def predict(
    run: Path | None = None,
    *,
    manifest: Path,
    store: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    split: tuple[str, ...] = (),
    exact: bool = False,
    batch: int = 8,
    workers: int = 0,
    json: bool = False,
) -> None:
    """Score the exams of a manifest and write a predictions table.

    Parameters
    ----------
    run: Run folder or checkpoint; without it the small model that ships with the package.
    manifest: Folder written by ``fourview index``.
    store: Folder written by ``fourview prepare``.
    out: Parquet file to write.
    split: Only these parts: train, validation, test; may be repeated.
    exact: Compute in float32 without compiling, whatever the machine would gain.
    batch: Exams at a time.
    workers: Processes that read the store.
    json: Print the summary as JSON.
    """
    tables, pixels = read_manifest(manifest), Store.open(store)
    engine = PLAIN if exact else best_engine(many=len(pixels) > FEW)
    reader = load_model(run, engine=engine)
    with progress_bar(quiet=json) as update:
        predictions = reader.predict_store(
            tables,
            pixels,
            splits=split or None,
            batch_size=batch,
            workers=workers,
            progress=lambda done, of: update("exams", done, of),
        )
    write_predictions(
        predictions,
        out,
        {
            "model_digest": reader.card.digest,
            "recipe": reader.card.recipe,
            "pixel_spec": f"{reader.spec.name} {reader.spec.fingerprint}",
            "manifest_hash": manifest_hash(tables),
            "terms": reader.card.terms,
            "precision": engine.description,
        },
    )
    summary = {"out": str(out), "rows": len(predictions), "precision": engine.description}
    print(jsonlib.dumps(summary) if json else f"{len(predictions)} scores in {out}")
