"""A published table measured again: runs or predictions in, its cells with ours beside them out.

A number of ours stands in a column of the paper only where data set, part and unit are that
column's; else it stands beside, in a column of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from fourview.captions.prompts import prompts_of_protocol
from fourview.entities import Manifest, Result
from fourview.errors import EvaluationError
from fourview.evaluate.protocols import PROTOCOLS
from fourview.evaluate.resample import REPLICATES
from fourview.evaluate.run import evaluate, with_file_facts
from fourview.evaluate.table import read_predictions
from fourview.json_file import read_json_object
from fourview.manifest.manifest import manifest_hash
from fourview.manifest.rules import SPLITS
from fourview.report.table_published import (
    PublishedTable,
    Reproduction,
    TableColumn,
    TableRow,
    find_row,
    find_table,
)
from fourview.run_files import SPLIT, checkpoint_of
from fourview.store.store import Store
from fourview.study.fold_results import fold_results, is_crossval
from fourview.suggest import no_such

OF_COLUMN = "of the column"  # the split to measure
ALL = "all"
SAMPLE = "-sample-"
SEEN = "trained_on_measured"  # in the facts of a row's predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is measured, and where it belongs.

    Attributes:
        protocols: Protocol that is measured, by the table's: itself, or its sample.
        splits: Part that is measured, by the table's protocol; None for all.
        columns: Columns that our numbers stand in.
        dataset: The paper's data set; None where the manifest is none of them.
        part: Part that is measured, in words.
    """

    protocols: Mapping[str, str]
    splits: Mapping[str, str | None]
    columns: tuple[TableColumn, ...]
    dataset: str | None
    part: str


def reproduce(  # noqa: PLR0913 - what decides a table, and what belongs to the machine
    table: str,
    manifest: Manifest,
    rows: Mapping[str, Path],
    *,
    store: Store | None = None,
    protocols: Sequence[str] = (),
    dataset: str | None = None,
    split: str = OF_COLUMN,
    device: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
    workers: int = 1,
) -> Reproduction:
    """Measure rows of a published table by the table's own protocols.

    Everything that can be refused without reading a table is refused first.

    Args:
        table: Name of the table, as ``published_tables`` has it.
        manifest: Manifest that the rows are measured on.
        rows: Inputs by row, published or new: a predictions file; a run or checkpoint folder, which
            is then scored through the store, zero-shot if it is of a language-image family; or a
            folder of ``fourview crossval``, of which mean and deviation over the folds are taken.
            Rows that are not given stay unmeasured.
        store: Pixels for the rows that are runs.
        protocols: Only these of the table's, or a sample of one (``embed-density-sample-v1``).
            Without them all that the table has for the data set, or simply all where it is none of
            the table's.
        dataset: Which of the table's data sets the manifest is. Without it the one that is named as
            the manifest's source, if any.
        split: Measure this part, "all" for the whole manifest. Without it the part that the paper
            measured.
        device: Where runs are computed: cpu, cuda. Without it a GPU where there is one.
        replicates: Replicates of the bootstrap; 0 gives no intervals.
        seed: Seed of the bootstrap.
        workers: Threads; the numbers do not depend on it.

    Raises:
        EvaluationError: An unknown table, row, data set or protocol, a row given twice, a run
            without a store or one that was trained on patients that are measured, or predictions
            that a protocol cannot measure; the message names the row.
        CheckpointError: A folder holds no checkpoint, or the store holds other pixels.
        FileNotFoundError: There is no such file or folder.
    """
    published = find_table(table)
    by_given = _find_rows(published, rows)
    plan = _plan(published, manifest, protocols, dataset, split)
    _require_inputs(rows, store)
    results: dict[str, dict[str, Result]] = {}
    notes: list[str] = []
    for given, row in by_given.items():
        path = rows[given]
        if is_crossval(path):
            results[row.name] = _of_folds(row.name, path, manifest, plan)
            continue
        predictions, facts = _predictions(path, manifest, store, plan, device)
        if SEEN in facts:
            notes.append(f"{row.name}: was {facts[SEEN]}")
        if "folds" in facts:
            notes.append(
                f"{row.name}: scores of {facts['folds']} folds pooled, which papers with folds do"
                " not print; name the folder of fourview crossval for mean and deviation"
            )
        measure = partial(
            evaluate,
            predictions,
            manifest,
            replicates=replicates,
            seed=seed,
            workers=workers,
            groups=(),
        )
        measured = _by_protocol(row.name, measure, plan, _way_out(published, plan))
        results[row.name] = {name: with_file_facts(r, facts) for name, r in measured.items()}
    return Reproduction(
        table=published,
        added=tuple(row for row in by_given.values() if row not in published.rows),
        results=results,
        inputs={row.name: str(rows[given]) for given, row in by_given.items()},
        columns=plan.columns,
        data=manifest.source,
        dataset=plan.dataset,
        part=plan.part,
        manifest_hash=manifest_hash(manifest),
        notes=(*notes, *_notes(results)),
    )


def _by_protocol(
    row: str, measure: Callable[..., Result], plan: _Plan, way_out: str
) -> dict[str, Result]:
    """The row by every protocol; an error says which row and which protocol it was."""
    results = {}
    for name, measured in plan.protocols.items():
        try:
            results[name] = measure(measured, split=plan.splits[name])
        except EvaluationError as error:
            raise EvaluationError(f"row '{row}', {measured}: {error}{way_out}") from None
    return results


def _of_folds(row: str, path: Path, manifest: Manifest, plan: _Plan) -> dict[str, Result]:
    """Mean and deviation over the folds, which test every patient of the manifest once."""
    of_part = [name for name, split in plan.splits.items() if split is not None]
    if of_part and plan.dataset is not None:
        raise EvaluationError(
            f"row '{row}': folds test every patient, and {of_part[0]} measures the part"
            f" '{plan.splits[of_part[0]]}' of {plan.dataset}; give a run, or add --split all"
        )
    results = fold_results(path, manifest, list(plan.protocols.values()))
    return {name: results[measured] for name, measured in plan.protocols.items()}


def _notes(results: Mapping[str, Mapping[str, Result]]) -> Iterator[str]:
    for row, by_protocol in results.items():
        for result in by_protocol.values():
            yield from (f"{row}, {result.protocol}: {note}" for note in result.notes)


def _find_rows(table: PublishedTable, rows: Mapping[str, Path]) -> dict[str, TableRow]:
    by_given: dict[str, TableRow] = {}
    for given in rows:
        row = find_row(table, given)
        if any(row.name.casefold() == other.name.casefold() for other in by_given.values()):
            raise EvaluationError(
                f"{table.name}: the row '{row.name}' is given twice; give it once"
            )
        by_given[given] = row
    return by_given


def _plan(
    table: PublishedTable,
    manifest: Manifest,
    wanted: Sequence[str],
    dataset: str | None,
    split: str,
) -> _Plan:
    if split not in (OF_COLUMN, ALL, *SPLITS):
        raise EvaluationError(f"--split: {no_such('split', split, (ALL, *SPLITS))}")
    ours = _dataset(table, manifest, dataset)
    theirs = [c for c in table.columns if c.dataset == ours] or list(table.columns)
    protocols = _protocols(table, theirs, wanted)
    columns: dict[TableColumn, None] = {}
    splits: dict[str, str | None] = {}
    for column in theirs:
        if column.protocol not in protocols:
            continue
        usual = column.part if ours is not None else PROTOCOLS[column.protocol].split
        measured = usual if split == OF_COLUMN else None if split == ALL else split
        splits[column.protocol] = measured
        name = manifest.source if ours is None else ours
        if ours is None or not _is_part(manifest, measured, column.part):
            words = "" if ours is None else f", {_part_words(manifest, measured)}"
            column = replace(column, dataset=f"{name}{words}")  # noqa: PLW2901
        columns[column] = None
    parts = dict.fromkeys(_part_words(manifest, s) for s in splits.values())
    return _Plan(
        protocols=protocols,
        splits=splits,
        columns=tuple(columns),
        dataset=ours,
        part=" and ".join(parts),
    )


def _dataset(table: PublishedTable, manifest: Manifest, given: str | None) -> str | None:
    """Which of the table's data sets the manifest is."""
    if given is not None:
        named = [d for d in table.datasets if d.casefold().startswith(given.strip().casefold())]
        exact = [d for d in named if d.casefold() == given.strip().casefold()]
        if len(exact or named) != 1 or not given.strip():
            raise EvaluationError(f"{table.name}: {no_such('data set', given, table.datasets)}")
        return (exact or named)[0]
    datasets = dict.fromkeys(c.dataset for c in table.columns_of_source(manifest.source))
    if len(datasets) > 1:
        raise EvaluationError(
            f"{table.name}: the manifest of '{manifest.source}' may be {' or '.join(datasets)}; "
            "name one with --dataset"
        )
    return next(iter(datasets), None)


def _is_part(manifest: Manifest, measured: str | None, published: str | None) -> bool:
    """Whether what is measured is what the paper measured; a manifest without splits has none."""
    has_splits = bool(manifest.exams["split"].is_not_null().any())
    return measured == published and (published is None or has_splits)


def _part_words(manifest: Manifest, split: str | None) -> str:
    if split is None:
        return "all of it"
    if manifest.exams["split"].is_null().all():
        return f"all of it (no splits, so no '{split}')"
    return f"split {split}"


def _protocols(
    table: PublishedTable, columns: Sequence[TableColumn], wanted: Sequence[str]
) -> dict[str, str]:
    """The table's protocols to measure by, each with itself or the sample that is asked for."""
    samples = [n for n in PROTOCOLS if SAMPLE in n and n.replace(SAMPLE, "-") in table.protocols]
    there = dict.fromkeys(column.protocol for column in columns)
    chosen: dict[str, str] = {}
    for name in dict.fromkeys(wanted):
        whole = name.replace(SAMPLE, "-")
        if name not in (*table.protocols, *samples):
            message = no_such("protocol", name, (*table.protocols, *samples))
            raise EvaluationError(f"{table.name}: {message}")
        if whole not in there:
            raise EvaluationError(
                f"{table.name}: {name} is of other data; there are: {', '.join(there)}"
            )
        if whole in chosen:
            raise EvaluationError(f"{table.name}: {whole} and its sample share a cell; name one")
        chosen[whole] = name
    return chosen or {name: name for name in there}


def _require_inputs(rows: Mapping[str, Path], store: Store | None) -> None:
    for name, path in rows.items():
        if not path.exists():
            raise FileNotFoundError(2, "not found", str(path))
        if path.is_dir() and store is None and not is_crossval(path):
            raise EvaluationError(
                f"row '{name}': {path} is a run folder, and its pixels are needed to score it; add"
                " --store, or give a predictions file (Parquet or CSV)"
            )


def _predictions(
    path: Path, manifest: Manifest, store: Store | None, plan: _Plan, device: str | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """A row's predictions and what is known of where they are from."""
    if not path.is_dir():
        return read_predictions(path)
    assert store is not None
    from fourview.checkpoint.card import read_card  # noqa: PLC0415 - files need no torch
    from fourview.predict.engine import engine_on  # noqa: PLC0415
    from fourview.predict.reader import load_model  # noqa: PLC0415

    splits = _splits(manifest, plan)
    card = read_card(checkpoint_of(path))
    seen = _trained_on(path, card.trained_on, manifest, splits)
    if seen and plan.dataset is not None:
        raise EvaluationError(
            f"{path}: was {seen}; index with the run's split, or measure one part with --split"
        )
    engine = engine_on(device)
    if _only_pretrained(card.family):
        return _zero_shot(path, manifest, store, plan, engine.device)
    reader = load_model(path, engine=engine)
    predictions = reader.predict_store(manifest, store, splits=splits)
    return predictions, {
        **({SEEN: seen} if seen else {}),
        "model_digest": reader.card.digest,
        "recipe": reader.card.recipe,
        "pixel_spec": f"{reader.spec.name} {reader.spec.fingerprint}",
        "manifest_hash": manifest_hash(manifest),
        "terms": reader.card.terms,
        "caution": reader.caution,
        "precision": engine.description,
    }


def _trained_on(
    path: Path, trained_on: str, manifest: Manifest, splits: Sequence[str] | None
) -> str:
    """How many measured patients a run was trained on, in words; a checkpoint does not tell.

    Ids of other data sets may be the same and are other people's.
    """
    if not (path / SPLIT).exists() or trained_on.partition(" ")[0] != manifest.source:
        return ""
    seen = read_json_object(path / SPLIT).get("train", [])
    exams = manifest.exams
    if splits is not None:
        exams = exams.filter(pl.col("split").is_in(list(splits)))
    shared = sorted(set(exams["patient_id"]) & set(seen))
    if not shared:
        return ""
    return f"trained on {len(shared)} of the patients that are measured, such as {shared[0]}"


def _only_pretrained(family: str) -> bool:
    from fourview.models.find import find_family  # noqa: PLC0415 - files need no torch

    return find_family(family).kind == "pretrain"


def _zero_shot(
    path: Path, manifest: Manifest, store: Store, plan: _Plan, device: str
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Scores of a language-image run, by the prompts of the protocols' question."""
    from fourview.predict.language import (  # noqa: PLC0415 - files need no torch
        about_model,
        load_language_model,
    )

    asked = {name: prompts_of_protocol(name) for name in plan.protocols.values()}
    names = sorted({name for name in asked.values() if name is not None})
    if None in asked.values() or not names:
        lacking = next((name for name, prompts in asked.items() if prompts is None), "none")
        raise EvaluationError(
            f"{path}: is pre-trained only, and there are no prompts for {lacking}; give a probe's "
            "run or a predictions file"
        )
    model = load_language_model(path, device=device)
    splits = _splits(manifest, plan)
    tables = [model.zero_shot(manifest, store, name, splits=splits) for name in names]
    about = {"manifest_hash": manifest_hash(manifest), "prompts": ", ".join(names)}
    about["precision"] = f"float32 on {device}"
    return pl.concat(tables), {**about_model(model), **about}


def _splits(manifest: Manifest, plan: _Plan) -> tuple[str, ...] | None:
    """The splits that are measured; None for all exams."""
    splits = set(plan.splits.values())
    if None in splits or manifest.exams["split"].is_null().all():
        return None
    return tuple(sorted(s for s in splits if s is not None))


def _way_out(table: PublishedTable, plan: _Plan) -> str:
    if len(plan.protocols) == 1:
        return ""
    names = ", ".join(table.protocols)
    return f"; to measure fewer of the table's protocols add --protocol NAME, out of {names}"
