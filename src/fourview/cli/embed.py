"""``fourview embed``: features of images and captions by a language-image run."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Some, SomeOrNone
from fourview.cli.parts import require_images
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.cli.unused import refuse_unused
from fourview.disk import table_ending
from fourview.manifest.manifest import manifest_hash, read_manifest
from fourview.predict.embeddings import EMBEDDINGS, embed_manifest, write_embeddings
from fourview.predict.engine import engine_on
from fourview.predict.language import load_language_model
from fourview.store.store import Store


def embed(
    run: Path,
    *,
    manifest: Path,
    store: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    split: tuple[str, ...] = (),
    texts: bool = False,
    template: str = "",
    style: str = "",
    device: str = "",
    batch: Some = 8,
    workers: SomeOrNone = 0,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Write the features of images, and of their captions, in the space where both are compared.

    Args:
        run: Run or checkpoint folder of a language-image family.
        manifest: Folder written by ``fourview index``.
        store: Folder written by ``fourview prepare``.
        out: Parquet file to write: kind (image or text), whose, text, embedding (of length 1).
        split: Only these parts: train, validation, test; may be repeated.
        texts: Also the captions of the images.
        template: File with the words of captions; without it the run's own.
        style: Style of the captions: structured, natural, tabular, class_only; without it the run's
            own.
        device: Where to compute: cpu, cuda. Without it on a GPU where there is one.
        batch: Exams at a time.
        workers: Processes that read the store.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the summary as JSON.
    """
    use_modules(module)
    if not texts:
        refuse_unused(embed, needs="--texts", template=template, style=style)
    table_ending(out, EMBEDDINGS)
    tables, pixels = read_manifest(manifest), Store.open(store)
    require_images(tables, pixels, split)
    model = load_language_model(run, device=engine_on(device or None).device)
    with progress_bar(quiet=json) as update:
        embeddings = embed_manifest(
            model,
            tables,
            pixels,
            splits=split or None,
            style=style if texts else None,
            template=template,
            batch_size=batch,
            workers=workers,
            progress=update,
        )
    write_embeddings(embeddings, out, model, manifest_hash(tables))
    summary = {"out": str(out), "rows": len(embeddings), "may_release": model.card.may_release}
    if json:
        print(jsonlib.dumps(summary))
    else:
        say(f"{len(embeddings)} embeddings in {out}")
    if not model.card.may_release and not json:
        say(f"not to be passed on: {model.card.terms}")
