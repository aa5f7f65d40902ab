"""``fourview train``: a recipe, a manifest and a store to a run folder."""

import json as jsonlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Some, Workers
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.cli.stores import open_store
from fourview.cli.unused import refuse_unused
from fourview.manifest.manifest import read_manifest
from fourview.run_files import REPORT, checkpoint_of
from fourview.study.chain import (
    Before,
    Common,
    require_context,
    require_folder,
    train_before,
    train_with,
)
from fourview.study.find_recipe import find_recipe
from fourview.study.plan import lines_of, plan_as_dict
from fourview.study.plan import plan as plan_of
from fourview.study.search import search
from fourview.study.start import starting_from
from fourview.train.loop import Machine
from fourview.train.processes import is_first, leave_processes
from fourview.train.recipe import Recipe, override
from fourview.train.trackers import require_logs

GIBIBYTE = 2**30


def train(
    recipe: str,
    *,
    manifest: Path | None = None,
    store: Path | None = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    plan: bool = False,
    resume: bool = False,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    seed: int | None = None,
    trials: int | None = None,
    start: Path | None = None,
    context: Path | None = None,
    device: str | None = None,
    workers: Workers = None,
    save_every: Some = 500,
    log: tuple[str, ...] = (),
    cache_gb: float = 4.0,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Train a recipe, and measure it on the parts it was not trained on.

    One line per epoch goes to standard error, whether it is a terminal or not. The run's folder
    gets curves.png, report.html, and the figures of the test part (test/).

    With several GPUs or hosts start it by torchrun or accelerate launch (docs/gpu.md):
    torchrun --nproc-per-node 4 -m fourview train ...

    Args:
        recipe: FAMILY:RECIPE, as ``fourview list recipes`` shows.
        manifest: Folder written by ``fourview index``.
        store: Folder written by ``fourview prepare``, with the recipe's pixel spec.
        out: The run's folder.
        plan: Print what the run would take and what the recipe's paper says, and compute nothing:
            steps, samples, draws, memory. Without --manifest and --store the paper's numbers are
            taken.
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
        device: Where to compute: cpu, cuda, cuda:1, mps, xpu; without it a GPU where there is one.
        workers: Processes that read the store, for each process that trains; without it a share of
            the cores beside a GPU, and none on a processor.
        save_every: Steps between saved states.
        log: Also log to csv, tensorboard, mlflow or wandb; may be repeated. All but csv are extras:
            pip install 'fourview[tensorboard]'.
        cache_gb: Keep the pixels in memory where they take no more than this.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print where the run is as JSON.
    """
    use_modules(module)
    changed = _changed(recipe, set_ or [], seed, start)
    if plan:
        refuse_unused(
            train, needs="training (without --plan)", resume=resume, trials=trials, log=log
        )
        _tell_plan(changed, manifest, store, json=json)
        return
    if manifest is None or store is None or out is None:
        print("error: need --manifest, --store and -o, or --plan", file=sys.stderr)
        sys.exit(2)
    require_logs(log)
    require_folder(out, resume=resume)
    if context is not None:
        require_context(changed, start=start)
    tables, pixels = read_manifest(manifest), open_store(store, changed.pixel_spec, manifest)
    speaks = is_first()
    asked = Machine(workers=workers, save_every=save_every, device=device, log=log)
    with progress_bar(quiet=json or not speaks) as update:

        def tell(line: str) -> None:
            if speaks:
                say(line, to=sys.stderr)

        common = Common(
            manifest=tables,
            store=pixels,
            machine=asked,
            cache_bytes=int(cache_gb * GIBIBYTE),
            progress=update,
            say=tell,
        )
        before = Before(start=start, context=context)
        if trials is not None:  # they share what comes before
            before = train_before(common, changed, out, before=before)

        def train_one(chosen: Recipe, run: Path) -> Path:
            again = resume or (trials is not None and run.exists())
            return train_with(common, chosen, run, resume=again, before=before)

        if trials is None:
            run, best = out, train_one(changed, out)
        else:
            run = search(changed, trials, out, train_one)[0].run
            best = checkpoint_of(run)
    leave_processes()
    if speaks:
        _tell_end(run, best, json=json)


def _changed(name: str, settings: list[str], seed: int | None, start: Path | None) -> Recipe:
    """The recipe with the changes that were asked for."""
    recipe = override(find_recipe(name), settings)
    if seed is not None:
        recipe = replace(recipe, seed=seed)
    return recipe if start is None else starting_from(recipe, start)


def _tell_plan(recipe: Recipe, manifest: Path | None, store: Path | None, *, json: bool) -> None:
    tables = pixels = None
    if manifest is not None and store is not None:
        tables, pixels = read_manifest(manifest), open_store(store, recipe.pixel_spec, manifest)
    plan = plan_of(recipe, tables, pixels)
    if json:
        print(jsonlib.dumps(plan_as_dict(plan)))
        return
    for line in lines_of(plan):
        say(line)


def _tell_end(run: Path, best: Path, *, json: bool) -> None:
    if json:
        print(jsonlib.dumps({"run": str(run), "checkpoint": str(best)}))
        return
    say(f"run: {run}")
    if (run / REPORT).exists():
        say(f"page: {run / REPORT}")
