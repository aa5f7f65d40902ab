"""``fourview predict``: a run's scores for the exams of a manifest."""

import json as jsonlib
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import polars as pl
from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Some, SomeOrNone
from fourview.cli.parts import require_images
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.cli.unused import refuse_unused
from fourview.disk import table_ending
from fourview.entities import Manifest
from fourview.errors import FourviewError
from fourview.evaluate.run import SEEN
from fourview.evaluate.table import write_predictions
from fourview.jobs.executor import find_executor
from fourview.manifest.manifest import manifest_hash, read_manifest
from fourview.manifest.select import with_views
from fourview.predict.engine import engine_on
from fourview.predict.language import about_model, load_language_model
from fourview.predict.reader import Reader, load_model
from fourview.predict.spread import FEW, Spread, predict_spread
from fourview.store.store import Store


def predict(
    run: Path | None = None,
    *,
    manifest: Path,
    store: tuple[Path, ...],
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    also: tuple[Path, ...] = (),
    split: tuple[str, ...] = (),
    view: tuple[str, ...] = (),
    prompts: str | None = None,
    template: str = "",
    exact: bool = False,
    device: str | None = None,
    batch: Some = 8,
    workers: SomeOrNone = 0,
    executor: str | None = None,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Score the exams of a manifest and write a predictions table.

    Args:
        run: Run folder or checkpoint; without it the model that ships with the package.
        manifest: Folder written by ``fourview index``.
        store: Folder written by ``fourview prepare``; repeated for a model that reads several.
        out: Parquet or CSV file to write, as its ending says; a CSV has no place for the model's
            digest, its pixels and its terms.
        also: Another run; may be repeated. The scores are the mean of all.
        split: Only these parts: train, validation, test; may be repeated.
        view: Read as if only these views had been taken: CC, MLO.
        prompts: Score with a language-image run and this prompt set, zero-shot: embed-density, ...
        template: File with prompts of one's own; without it the run's, else the package's.
        exact: Compute as plainly as can be: not compiled, and on the processor unless --device
            says otherwise.
        device: Where to compute: cpu, cuda, cuda:1, mps, xpu; without it a GPU where there is one.
        batch: Exams at a time.
        workers: Processes that read the store; with an executor, those that score, each with a
            model.
        executor: Score in several processes: local, or ray (the cluster in RAY_ADDRESS, else one
            started here). Without it this process scores.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the summary as JSON.
    """
    use_modules(module)
    if prompts is None:
        refuse_unused(predict, needs="--prompts", template=template)
    else:
        not_asked = "a run that was trained to score (without --prompts)"
        refuse_unused(predict, needs=not_asked, also=also, executor=executor)
    if run is None:
        refuse_unused(predict, needs="a RUN, whose scores it joins", also=also)
    table_ending(out)
    whole, stores = read_manifest(manifest), [Store.open(each) for each in store]
    pixels = stores[0]
    tables = with_views(whole, view) if view else whole
    require_images(tables, pixels, split)
    if prompts is not None:
        _zero_shot(
            run,
            prompts,
            template,
            tables,
            pixels,
            out,
            split,
            batch,
            workers,
            exact=exact,
            device=device,
            json=json,
        )
        return
    engine = engine_on(device, many=len(pixels) > FEW, exact=exact)
    reader = load_model((run, *also), engine=engine)
    way = engine.description
    with progress_bar(quiet=json) as update:
        progress = partial(update, "exams")
        if executor is None:
            predictions = reader.predict_store(
                tables,
                stores,
                splits=split or None,
                batch_size=batch,
                workers=workers,
                progress=progress,
            )
        else:
            what = Spread(
                (run, *also),
                manifest,
                store,
                split or None,
                exact,
                batch,
                views=view,
                device=device,
            )
            places = find_executor(executor, max(1, workers))
            predictions, way = predict_spread(what, places, progress=progress)
    about = _seen((run, *also), tables, split) | _about(reader, whole, view)
    _write(predictions, out, about | {"precision": way}, {"precision": way}, json=json)


def _about(reader: Reader, manifest: Manifest, views: tuple[str, ...]) -> dict[str, str]:
    """What the table says of the model, its pixels and the exams."""
    return {
        "model_digest": reader.card.digest,
        "recipe": reader.card.recipe,
        "pixel_spec": f"{reader.spec.name} {reader.spec.fingerprint}",
        "manifest_hash": manifest_hash(manifest),
        "views": " and ".join(views) or "all",
        "terms": reader.card.terms,
        "caution": reader.caution,
    }


def _write(
    predictions: pl.DataFrame,
    out: Path,
    about: dict[str, str],
    facts: dict[str, str],
    *,
    json: bool,
) -> None:
    """Write the table with what it says of itself, and print a line about what was written."""
    write_predictions(predictions, out, about)
    summary = {"out": str(out), "rows": len(predictions), **facts}
    if json:
        print(jsonlib.dumps(summary))
    else:
        say(f"{len(predictions)} scores in {out}")
        if table_ending(out) == ".csv":
            say("note: a CSV does not say which model, pixels and terms they are of; Parquet does")


def _seen(
    runs: tuple[Path | None, ...], manifest: Manifest, split: tuple[str, ...]
) -> dict[str, str]:
    """Say how many of the patients the runs were trained on, for those who measure the scores."""
    from fourview.study.seen import trained_patients  # noqa: PLC0415 - takes a second to import

    exams = manifest.exams
    scored = set((exams.filter(pl.col("split").is_in(split)) if split else exams)["patient_id"])
    seen = {
        patient
        for run in runs
        if run is not None
        for patient in trained_patients(run, manifest) or ()
        if patient in scored
    }
    if not seen:
        return {}
    share = f"{len(seen):,} of the {len(scored):,} patients that were scored"
    if "train" not in split:  # else it was asked for
        say(f"note: trained on {share}; to measure, score others (--split test)", to=sys.stderr)
    return {SEEN: share}


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
    exact: bool,
    device: str | None,
    json: bool,
) -> None:
    if run is None:
        raise FourviewError("--prompts needs the run of a language-image family; name it")
    where = engine_on(device, exact=exact).device
    model = load_language_model(run, device=where)
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
    style = model.captions.style
    about = {**about_model(model), "manifest_hash": manifest_hash(tables), "prompts": prompts}
    about |= _seen((run,), tables, split)
    about["captions"] = style
    about["precision"] = f"float32 on {where}"
    _write(predictions, out, about, {"prompts": prompts, "captions": style}, json=json)
