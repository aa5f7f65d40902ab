"""Train a recipe and, before it, those that it starts from."""

from pathlib import Path

from fourview.data.store import Store
from fourview.entities import Manifest
from fourview.predict.checkpoint import DESCRIPTION
from fourview.recipes.find import find_recipe
from fourview.train.loop import Machine, Progress
from fourview.train.recipe import Recipe
from fourview.train.run import train
from fourview.train.run_folder import BEST


def train_chain(
    recipe: Recipe,
    manifest: Manifest,
    store: Store,
    out: Path,
    *,
    resume: bool,
    machine: Machine,
    cache_bytes: int,
    progress: Progress | None = None,
) -> Path:
    """Train ``recipe`` in ``out``; what it starts from is trained in OUT/starts_from if missing.

    Returns:
        The folder of its best checkpoint.
    """
    start = None
    if recipe.starts_from is not None:
        before = out / "starts_from"
        start = before / BEST
        if not (before / "operating_points.json").exists() or not (start / DESCRIPTION).exists():
            start = train_chain(
                find_recipe(recipe.starts_from),
                manifest,
                store,
                before,
                resume=True,
                machine=machine,
                cache_bytes=cache_bytes,
                progress=progress,
            )
    return train(
        recipe,
        manifest,
        store,
        out,
        resume=resume,
        start=start,
        machine=machine,
        cache_bytes=cache_bytes,
        progress=progress,
    )
