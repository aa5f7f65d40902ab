"""``fourview predict``: a run's scores for the exams of a manifest."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.progress import progress_bar
from fourview.data.manifest import manifest_hash, read_manifest
from fourview.data.store import Store
from fourview.entities import Manifest
from fourview.errors import FourviewError
from fourview.evaluate.table import write_predictions
from fourview.predict.engine import PLAIN, best_engine
from fourview.predict.finding_reader import load_any_model
from fourview.predict.language import about_model, load_language_model

FEW = 200  # images for which compiling takes longer than it saves


def predict(
    run: Path | None = None,
    *,
    manifest: Path,
    store: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    split: tuple[str, ...] = (),
    prompts: str | None = None,
    template: str = "",
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
    prompts: Score with a language-image run and this prompt set, zero-shot: embed-density, ...
    template: File with prompts of one's own; without it the package's.
    exact: Compute in float32 without compiling, whatever the machine would gain.
    batch: Exams at a time.
    workers: Processes that read the store.
    json: Print the summary as JSON.
    """
    tables, pixels = read_manifest(manifest), Store.open(store)
    if prompts is not None:
        _zero_shot(run, prompts, template, tables, pixels, out, split, batch, workers, json=json)
        return
    engine = PLAIN if exact else best_engine(many=len(pixels) > FEW)
    reader = load_any_model(run, engine=engine)
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


def _zero_shot(
    run: Path | None,
    prompts: str,
    template: str,
    tables: Manifest,
    pixels: Store,
    out: Path,
    split: tuple[str, ...],
    batch: int,
    workers: int,
    *,
    json: bool,
) -> None:
    if run is None:
        raise FourviewError("--prompts needs the run of a language-image family; name it")
    device = best_engine(many=False).device
    model = load_language_model(run, device=device)
    with progress_bar(quiet=json) as update:
        predictions = model.zero_shot(
            tables,
            pixels,
            prompts,
            template=template,
            splits=split or None,
            batch_size=batch,
            workers=workers,
            progress=update,
        )
    about = {**about_model(model), "manifest_hash": manifest_hash(tables), "prompts": prompts}
    write_predictions(predictions, out, {**about, "precision": f"float32 on {device}"})
    summary = {"out": str(out), "rows": len(predictions), "prompts": prompts}
    print(jsonlib.dumps(summary) if json else f"{len(predictions)} scores in {out}")
