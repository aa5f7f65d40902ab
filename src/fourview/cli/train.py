"""``fourview train``: a recipe, a manifest and a store to a run folder."""

import json as jsonlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Some, SomeOrNone
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.manifest.manifest import read_manifest
from fourview.run_files import checkpoint_of
from fourview.store.store import Store
from fourview.study.chain import Before, require_context, require_folder, train_chain
from fourview.study.find_recipe import find_recipe
from fourview.study.search import search
from fourview.study.start import starting_from
from fourview.train.loop import Machine
from fourview.train.recipe import Recipe, override

GIBIBYTE = 2**30


def train(
    recipe: str,
    *,
    manifest: Path,
    store: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    resume: bool = False,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    seed: int | None = None,
    trials: int | None = None,
    start: Path | None = None,
    context: Path | None = None,
    workers: SomeOrNone = 0,
    save_every: Some = 500,
    cache_gb: float = 4.0,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Train a recipe, and measure it on the parts it was not trained on.

    Args:
        recipe: FAMILY:RECIPE, as ``fourview list recipes`` shows.
        manifest: Folder written by ``fourview index``.
        store: Folder written by ``fourview prepare``, with the recipe's pixel spec.
        out: The run's folder.
        resume: Go on with a run that was stopped; the losses are those of one that was not.
        set_: Change a value of the recipe: --set optimizer.lr=3e-5; may be repeated.
        seed: Short for --set seed=SEED.
        trials: Train it so many times with learning rates drawn from its optimizer.search, in
            OUT/trial-00 and so on; OUT/search.json lists them, the best on the validation part
            first.
        start: Run or checkpoint to begin with, such as one of the same family trained on other
            data; which tensors begin anew (those of other classes) is printed and kept in
            start.json. Without it the recipe's starts_from, if any, is trained in OUT/starts_from
            first. A probe takes its image tower and pixel spec from it.
        context: Run or checkpoint whose heatmaps are read; without it the recipe's context is
            trained in OUT/context first.
        workers: Processes that read the store.
        save_every: Steps between saved states.
        cache_gb: Keep the pixels in memory where they take no more than this.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print where the run is as JSON.
    """
    use_modules(module)
    changed = override(find_recipe(recipe), set_ or [])
    if seed is not None:
        changed = replace(changed, seed=seed)
    if start is not None:
        changed = starting_from(changed, start)
    require_folder(out, resume=resume)
    if context is not None:
        require_context(changed, start=start)
    tables, pixels = read_manifest(manifest), Store.open(store)
    with progress_bar(quiet=json) as update:

        def train_one(chosen: Recipe, run: Path) -> Path:
            return train_chain(
                chosen,
                tables,
                pixels,
                run,
                resume=resume or (trials is not None and run.exists()),
                machine=Machine(workers=workers, save_every=save_every),
                cache_bytes=int(cache_gb * GIBIBYTE),
                progress=update,
                before=Before(start=start, context=context),
                say=lambda line: say(line, to=sys.stderr),
            )

        if trials is None:
            run, best = out, train_one(changed, out)
        else:
            run = search(changed, trials, out, train_one)[0].run
            best = checkpoint_of(run)
    if json:
        print(jsonlib.dumps({"run": str(run), "checkpoint": str(best)}))
    else:
        say(f"run: {run}")
