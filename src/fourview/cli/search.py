"""``fourview search``: the images that a text describes best."""

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
from fourview.disk import table_ending, write_table
from fourview.errors import FourviewError
from fourview.manifest.manifest import read_manifest
from fourview.predict.embeddings import read_embeddings
from fourview.predict.engine import engine_on
from fourview.predict.language import load_language_model, rank_images, sentences_of
from fourview.store.store import Store


def search(
    run: Path,
    query: str,
    *,
    manifest: Path | None = None,
    store: Path | None = None,
    embeddings: Path | None = None,
    top: int = 20,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    split: tuple[str, ...] = (),
    device: str = "",
    batch: Some = 8,
    workers: SomeOrNone = 0,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Rank images by how well a text describes them.

    Args:
        run: Run or checkpoint folder of a language-image family.
        query: Such as "the tissue is extremely dense"; sentences end with a point.
        manifest: Folder written by ``fourview index``; not needed with embeddings.
        store: Folder written by ``fourview prepare``; not needed with embeddings.
        embeddings: File that ``fourview embed`` wrote with the same run: images are not read again.
        top: Images to show; 0 shows all.
        out: CSV or Parquet file to write the list to, as well.
        split: Only these parts: train, validation, test; may be repeated.
        device: Where to compute: cpu, cuda. Without it on a GPU where there is one.
        batch: Exams at a time.
        workers: Processes that read the store.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the list as JSON.
    """
    use_modules(module)
    if embeddings is not None:
        without = "images that are read (without --embeddings)"
        refuse_unused(search, needs=without, manifest=manifest, store=store, split=split)
        refuse_unused(search, needs=without, batch=batch, workers=workers)
    sentences = sentences_of(query)
    if not sentences:
        raise FourviewError('the query is empty; give a text such as "a suspicious mass is seen"')
    if out is not None:
        table_ending(out)
    model = load_language_model(run, device=engine_on(device or None).device)
    if embeddings is not None:
        images = read_embeddings(embeddings, model)
    elif manifest is None or store is None:
        raise FourviewError("search needs --manifest and --store, or --embeddings")
    else:
        tables, pixels = read_manifest(manifest), Store.open(store)
        require_images(tables, pixels, split)
        with progress_bar(quiet=json) as update:
            images = model.encode_images(
                tables,
                pixels,
                splits=split or None,
                batch_size=batch,
                workers=workers,
                progress=update,
            )
    ranking = rank_images(images, model.encode_texts([sentences])[0], top=top or None)
    if out is not None:
        write_table(ranking, out)
    if json:
        print(jsonlib.dumps(ranking.to_dicts()))
        return
    for row in ranking.iter_rows(named=True):
        say(
            f"{row['rank']:>4}  {row['cosine']:+.4f}  {row['exam_id']}  {row['side']}-{row['view']}"
            f"  {row['image_id']}"
        )
