"""Progress bars on standard error; none where that is no terminal or JSON is asked for."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Update = Callable[[str, int, int | None], None]  # what, done, of (None: not known yet)


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Update]:
    """A bar for each thing done, in the order in which they begin."""
    console = Console(file=sys.stderr)
    if quiet or not console.is_terminal:
        yield lambda *_: None
        return
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks = {}

        def update(what: str, done: int, of: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done, total=of)

        yield update
