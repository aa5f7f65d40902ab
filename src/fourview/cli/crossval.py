"""``fourview crossval``: a recipe over folds of patients, mean and deviation."""

import json as jsonlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.numbers import Workers
from fourview.cli.progress import progress_bar
from fourview.cli.say import say
from fourview.cli.stores import open_store
from fourview.evaluate.metrics import label_of
from fourview.manifest.manifest import read_manifest
from fourview.study.crossval import cross_validate
from fourview.study.find_recipe import find_recipe
from fourview.train.loop import Machine
from fourview.train.processes import is_first, leave_processes
from fourview.train.recipe import override
from fourview.train.trackers import require_logs

GIBIBYTE = 2**30


def crossval(
    recipe: str,
    *,
    manifest: Path,
    store: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    protocol: tuple[str, ...] = ("screening-breast-v1",),
    folds: int = 5,
    fold_seed: int = 0,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    seed: int | None = None,
    device: str | None = None,
    workers: Workers = None,
    log: tuple[str, ...] = (),
    cache_gb: float = 4.0,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Train and measure a recipe fold by fold; every patient is tested once, by a run without her.

    Stopped at any moment, the same command goes on.

    Args:
        recipe: FAMILY:RECIPE, as ``fourview list recipes`` shows.
        manifest: Folder written by ``fourview index``; its splits are not looked at.
        store: Folder written by ``fourview prepare``, with the recipe's pixel spec.
        out: Folder of the runs, fold-0 and on; predictions.parquet has the test parts of all folds.
        protocol: Protocol that each fold is measured by; may be repeated.
        folds: Parts that the patients are divided into.
        fold_seed: Seed of the folds; recipes that are compared need the same.
        set_: Change a value of the recipe: --set optimizer.lr=3e-5; may be repeated.
        seed: Short for --set seed=SEED.
        device: Where to compute: cpu, cuda, cuda:1, mps, xpu; without it a GPU where there is one.
        workers: Processes that read the store; without it as many as pay off.
        log: Also log every fold to csv, tensorboard, mlflow or wandb; may be repeated.
        cache_gb: Keep what is read in memory where it takes no more than this.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the metrics as JSON.
    """
    use_modules(module)
    changed = override(find_recipe(recipe), set_ or [])
    if seed is not None:
        changed = replace(changed, seed=seed)
    require_logs(log)
    speaks = is_first()
    with progress_bar(quiet=json or not speaks) as update:
        metrics = cross_validate(
            changed,
            read_manifest(manifest),
            open_store(store, changed.pixel_spec, manifest),
            out,
            num_folds=folds,
            fold_seed=fold_seed,
            protocols=protocol,
            machine=Machine(workers=workers, device=device, log=log),
            cache_bytes=int(cache_gb * GIBIBYTE),
            progress=update,
            say=lambda line: say(line, to=sys.stderr) if speaks else None,
        )
    leave_processes()
    if not speaks:
        return
    if json:
        print(jsonlib.dumps(jsonlib.loads((out / "crossval.json").read_text())))
        return
    for metric in metrics:
        if metric.mean is None:
            continue
        spread = "" if metric.deviation is None else f" ± {metric.deviation:.3f}"
        by_fold = ", ".join("none" if v is None else f"{v:.3f}" for v in metric.values)
        name = label_of(metric.name)
        say(f"{metric.protocol}  {name}: {metric.mean:.3f}{spread}  ({by_fold})")
    say(f"predictions of all folds: {out / 'predictions.parquet'}")
