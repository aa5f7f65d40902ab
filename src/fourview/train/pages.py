"""curves.png and report.html of a run (stub)."""

from pathlib import Path

from fourview.store.store import Store
from fourview.train.recipe import Recipe


def write_pages(out: Path, recipe: Recipe, store: Store) -> None:
    """Write them."""
