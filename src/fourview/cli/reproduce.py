"""``fourview reproduce``: a published table, cell beside cell with ours."""

import json as jsonlib
from itertools import groupby
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.say import say
from fourview.errors import EvaluationError
from fourview.evaluate.metrics import label_of
from fourview.evaluate.resample import REPLICATES
from fourview.manifest.manifest import read_manifest
from fourview.report.result_html import metric_text
from fourview.report.table_files import reproduction_to_json, write_reproduction
from fourview.report.table_html import NOT_RUN, published_text
from fourview.report.table_published import Reproduction, TableRow, find_table
from fourview.store.store import Store
from fourview.study.fold_results import is_crossval
from fourview.study.reproduce import OF_COLUMN
from fourview.study.reproduce import reproduce as run_reproduce


def reproduce(
    table: str,
    *,
    manifest: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    row: tuple[str, ...] = (),
    store: Path | None = None,
    protocol: tuple[str, ...] = (),
    dataset: str | None = None,
    split: str = OF_COLUMN,
    device: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    workers: int = 1,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Measure rows of a published table and show ours beside the paper's.

    Args:
        table: Name of the table, as ``fourview list tables`` shows.
        manifest: Folder written by ``fourview index``.
        out: Folder for table.json, table.csv, table.html.
        row: NAME=PATH; may be repeated. NAME is a row of the paper, such as ``MaMA, zero-shot``, or
            a new one; PATH a predictions file (Parquet or CSV), a run folder, or a folder of
            ``fourview crossval``, of which mean and deviation over the folds are shown.
        store: Folder written by ``fourview prepare``, where a PATH is a run folder.
        protocol: Only these of the table's protocols, or a sample of one, such as
            embed-density-sample-v1; may be repeated.
        dataset: Which of the table's data sets the manifest is, such as ADMANI-2. Without it the
            one named as the manifest's source; where that is none, ours stand in columns of their
            own.
        split: Measure this part of the manifest, ``all`` for the whole; without it the one that the
            paper measured. Other parts stand in columns of their own.
        device: Where runs are computed: cpu, cuda; without it on a GPU where there is one.
        replicates: Replicates of the bootstrap; 0 gives no intervals.
        seed: Seed of the bootstrap.
        workers: Threads; the numbers do not depend on it.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the table as JSON.
    """
    use_modules(module)
    find_table(table)  # before anything is read
    rows = _rows(row)
    is_run = any(path.is_dir() and not is_crossval(path) for path in rows.values())
    if not is_run and (store is not None or device is not None):
        raise EvaluationError(
            f"--{'device' if store is None else 'store'}: no --row is a run, whose pixels would be"
            " read; leave it out"
        )
    reproduction = run_reproduce(
        table,
        manifest=read_manifest(manifest),
        rows=rows,
        store=None if store is None else Store.open(store),
        protocols=protocol,
        dataset=dataset,
        split=split,
        device=device,
        replicates=replicates,
        seed=seed,
        workers=workers,
    )
    write_reproduction(reproduction, out)
    if json:
        print(
            jsonlib.dumps(reproduction_to_json(reproduction), ensure_ascii=False, allow_nan=False)
        )
    else:
        _show(reproduction, out)


def _rows(given: tuple[str, ...]) -> dict[str, Path]:
    rows: dict[str, Path] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name.strip() and equals and path):
            raise EvaluationError(f"--row '{text}': need NAME=PATH, such as 'GMIC=gmic.parquet'")
        if name in rows:
            raise EvaluationError(f"--row: '{name}' is given twice; give it once")
        rows[name] = Path(path)
    return rows


def _show(reproduction: Reproduction, out: Path) -> None:
    say(f"{reproduction.table.name}: {reproduction.table.source}")
    measured = [row for row in reproduction.rows if row.name in reproduction.results]
    for row in measured:
        say(row.name)
        _show_row(reproduction, row)
    say(f"{NOT_RUN}: {len(reproduction.rows) - len(measured)} of {len(reproduction.rows)} rows")
    for remark in reproduction.table.remarks:
        say(f"note: {remark}")
    say(reproduction.comparable)
    say(f"report: {out / 'table.html'}")


def _show_row(reproduction: Reproduction, row: TableRow) -> None:
    measured = [c for c in reproduction.all_columns if c.protocol in reproduction.results[row.name]]
    shown = [c for c in measured if c in reproduction.columns or c in row.published]
    for (task, view), columns in groupby(shown, key=lambda column: (column.task, column.view)):
        say(f"  {task}; {view}")
        for column in columns:
            ours, number = reproduction.ours(row, column), row.published.get(column)
            words, theirs = "not of these data", "none"
            if ours is not None:
                value, interval = metric_text(ours)
                words = f"{value}{f' ({interval})' if interval else ''}"
                words += f"  {ours.note}" if ours.note else ""
            if number is not None:
                published, between = published_text(number)
                theirs = f"{published}{f' ({between})' if between else ''}"
            say(f"    {label_of(column.metric)}, {column.dataset}: theirs {theirs}, ours {words}")
