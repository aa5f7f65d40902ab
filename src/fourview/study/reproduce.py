"""A published table measured again: runs or predictions in, its cells with ours beside them out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from fourview.captions.prompts import prompts_of_protocol
from fourview.entities import Manifest, Result
from fourview.errors import EvaluationError
from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.run import evaluate, with_file_facts
from fourview.evaluate.table import read_predictions
from fourview.manifest.manifest import manifest_hash
from fourview.report.table_published import (
    PublishedTable,
    Reproduction,
    TableColumn,
    TableRow,
    find_row,
    find_table,
)
from fourview.run_files import checkpoint_of
from fourview.store.store import Store
from fourview.suggest import no_such


def reproduce(
    table: str,
    manifest: Manifest,
    rows: Mapping[str, Path],
    *,
    store: Store | None = None,
    protocols: Sequence[str] = (),
    replicates: int = 2000,
    seed: int = 0,
    workers: int = 1,
) -> Reproduction:
    """Measure rows of a published table by the table's own protocols.

    Everything that can be refused without reading a table is refused first.

    Args:
        table: Its name, as ``published_tables`` has it.
        manifest: What the rows are measured on.
        rows: By name, published or new: a predictions file, or a run or checkpoint folder, which is
            then scored through the store, zero-shot if it is of a language-image family. Rows that
            are not given stay unmeasured.
        store: Pixels for the rows that are runs.
        protocols: Only these of the table's. Without them all that the table has for the manifest's
            data set, or simply all where that is none of the table's.
        replicates: Of the bootstrap; 0 gives no intervals.
        seed: Of the bootstrap.
        workers: Threads; the numbers do not depend on it.

    Raises:
        EvaluationError: An unknown table, row or protocol, a row given twice, a run without a
            store, or predictions that a protocol cannot measure; the message names the row.
        CheckpointError: A folder holds no checkpoint, or the store holds other pixels.
        FileNotFoundError: There is no such file or folder.
    """
    published = find_table(table)
    found = _find_rows(published, rows)
    chosen = _protocols(published, manifest, protocols)
    _require_inputs(rows, store)
    results: dict[str, dict[str, Result]] = {}
    for given, row in found.items():
        predictions, facts = _predictions(rows[given], manifest, store, chosen)
        measure = partial(
            evaluate,
            predictions,
            manifest,
            replicates=replicates,
            seed=seed,
            workers=workers,
            groups=(),
        )
        measured = _by_protocol(row.name, measure, chosen, _way_out(published, chosen))
        results[row.name] = {name: with_file_facts(r, facts) for name, r in measured.items()}
    return Reproduction(
        table=published,
        added=tuple(row for row in found.values() if row not in published.rows),
        results=results,
        inputs={row.name: str(rows[given]) for given, row in found.items()},
        columns=_columns(published, manifest, chosen),
        data=manifest.source,
        manifest_hash=manifest_hash(manifest),
        notes=tuple(_notes(results)),
    )


def _by_protocol(
    row: str, measure: Callable[[str], Result], protocols: Sequence[str], way_out: str
) -> dict[str, Result]:
    """The row by every protocol; an error says which row and which protocol it was."""
    results = {}
    for protocol in protocols:
        try:
            results[protocol] = measure(protocol)
        except EvaluationError as error:
            raise EvaluationError(f"row '{row}', {protocol}: {error}{way_out}") from None
    return results


def _notes(results: Mapping[str, Mapping[str, Result]]) -> Iterator[str]:
    for row, by_protocol in results.items():
        for protocol, result in by_protocol.items():
            yield from (f"{row}, {protocol}: {note}" for note in result.notes)


def _find_rows(table: PublishedTable, rows: Mapping[str, Path]) -> dict[str, TableRow]:
    found: dict[str, TableRow] = {}
    for given in rows:
        row = find_row(table, given)
        if any(row.name.casefold() == other.name.casefold() for other in found.values()):
            raise EvaluationError(
                f"{table.name}: the row '{row.name}' is given twice; give it once"
            )
        found[given] = row
    return found


def _protocols(table: PublishedTable, manifest: Manifest, wanted: Sequence[str]) -> tuple[str, ...]:
    for name in wanted:
        if name not in table.protocols:
            message = no_such("protocol", name, table.protocols)
            raise EvaluationError(f"{table.name}: {message}")
    of_source = table.columns_of_source(manifest.source)
    usual = tuple(dict.fromkeys(c.protocol for c in of_source)) or table.protocols
    return tuple(dict.fromkeys(wanted)) or usual


def _columns(
    table: PublishedTable, manifest: Manifest, protocols: Sequence[str]
) -> tuple[TableColumn, ...]:
    """Where our numbers go: beside those of the same data set, if there is one."""
    measured = tuple(c for c in table.columns if c.protocol in protocols)
    of_source = table.columns_of_source(manifest.source)
    return tuple(c for c in measured if c in of_source) or measured


def _require_inputs(rows: Mapping[str, Path], store: Store | None) -> None:
    for name, path in rows.items():
        if not path.exists():
            raise FileNotFoundError(2, "not found", str(path))
        if path.is_dir() and store is None:
            raise EvaluationError(
                f"row '{name}': {path} is a run folder, and its pixels are needed to score it; add"
                " --store, or give a predictions file (Parquet or CSV)"
            )


def _predictions(
    path: Path, manifest: Manifest, store: Store | None, protocols: Sequence[str]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """A row's predictions and what is known of where they are from."""
    if not path.is_dir():
        return read_predictions(path)
    assert store is not None
    from fourview.checkpoint.card import read_card  # noqa: PLC0415 - files need no torch
    from fourview.predict.finding_reader import load_any_model  # noqa: PLC0415

    if _only_pretrained(read_card(checkpoint_of(path)).family):
        return _zero_shot(path, manifest, store, protocols)
    reader = load_any_model(path)
    predictions = reader.predict_store(manifest, store, splits=_splits(manifest, protocols))
    return predictions, {
        "model_digest": reader.card.digest,
        "recipe": reader.card.recipe,
        "pixel_spec": f"{reader.spec.name} {reader.spec.fingerprint}",
        "manifest_hash": manifest_hash(manifest),
        "terms": reader.card.terms,
    }


def _only_pretrained(family: str) -> bool:
    from fourview.models.find import find_family  # noqa: PLC0415 - files need no torch

    return find_family(family).kind == "pretrain"


def _zero_shot(
    path: Path, manifest: Manifest, store: Store, protocols: Sequence[str]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Scores of a language-image run, by the prompts of the protocols' question."""
    from fourview.predict.language import (  # noqa: PLC0415 - files need no torch
        about_model,
        load_language_model,
    )

    asked = {name: prompts_of_protocol(name) for name in protocols}
    names = sorted({name for name in asked.values() if name is not None})
    if None in asked.values() or not names:
        lacking = next((name for name, prompts in asked.items() if prompts is None), "none")
        raise EvaluationError(
            f"{path}: is pre-trained only, and there are no prompts for {lacking}; give a probe's "
            "run or a predictions file"
        )
    model = load_language_model(path)
    splits = _splits(manifest, protocols)
    tables = [model.zero_shot(manifest, store, name, splits=splits) for name in names]
    about = {"manifest_hash": manifest_hash(manifest), "prompts": ", ".join(names)}
    return pl.concat(tables), {**about_model(model), **about}


def _splits(manifest: Manifest, protocols: Sequence[str]) -> tuple[str, ...] | None:
    """The splits that the protocols look at; None for all exams."""
    splits = {find_protocol(name).split for name in protocols}
    if None in splits or manifest.exams["split"].is_null().all():
        return None
    return tuple(sorted(s for s in splits if s is not None))


def _way_out(table: PublishedTable, chosen: Sequence[str]) -> str:
    if len(chosen) == 1:
        return ""
    names = ", ".join(table.protocols)
    return f"; to measure fewer of the table's protocols add --protocol NAME, out of {names}"
