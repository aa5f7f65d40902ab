"""Predict the exams of a manifest in several processes, here or on a cluster.

Part:    some exams, enough to fill whole batches, so that every image is computed in the batch that
         one process would put it into.
Worker:  opens manifest, store and model once, and computes on the device that it sees.
Failure: a part whose worker died is computed by another one. One that cannot be computed at all
         ends the run with its reason: scores that are missing in silence would change a result.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import polars as pl
import torch

from fourview.entities import PREDICTIONS_SCHEMA, Manifest
from fourview.errors import FourviewError
from fourview.jobs.executor import Executor
from fourview.jobs.schedule import Lost
from fourview.manifest.manifest import read_manifest
from fourview.manifest.select import with_exams, with_views
from fourview.predict.engine import engine_on
from fourview.predict.reader import Reader, load_model
from fourview.store.store import Store

BATCHES = 8  # of a part: a dead worker costs no more
PART_TIMEOUT_S = 3600.0  # compiling, then some dozen exams on one slow core
FEW = 200  # images for which compiling takes longer than it saves


@dataclass(frozen=True, slots=True)
class Spread:
    """What is to be predicted; paths, because a worker may be on another machine.

    Attributes:
        runs: Run folders or checkpoints, whose scores are averaged where there are several; None
            in place of one is the model of the package.
        manifest: Its folder, on a disk that all workers see.
        store: Likewise; several where networks read different pixels.
        splits: Only exams of these; None takes all.
        exact: Do not compile.
        batch_size: Exams at a time.
        threads: Of a worker.
        views: Only images of these views; all where empty.
        device: Of every worker; None takes the best that it sees.
    """

    runs: tuple[Path | None, ...]
    manifest: Path
    store: tuple[Path, ...]
    splits: tuple[str, ...] | None = None
    exact: bool = False
    batch_size: int = 8
    threads: int = 1
    views: tuple[str, ...] = ()
    device: str | None = None


def predict_spread(
    what: Spread, executor: Executor, *, progress: Callable[[int, int], None] | None = None
) -> tuple[pl.DataFrame, str]:
    """The predictions that ``Reader.predict_store`` gives, and how they were computed.

    Args:
        what: Exams, pixels and model.
        executor: Where the parts are computed.
        progress: Called with exams done and exams in all.

    Raises:
        FourviewError: A part could not be computed; the message has its exams and the reason.
    """
    exams = _exams(read_manifest(what.manifest), what.splits)
    step, done = BATCHES * what.batch_size, 0
    parts: dict[int, tuple[pl.DataFrame, str]] = {}
    jobs = iter(range(0, len(exams), step))
    for start, outcome in executor.run(partial(_part, what), jobs, timeout_s=PART_TIMEOUT_S):
        size = min(step, len(exams) - start)
        if isinstance(outcome, Lost):
            first, last = exams["exam_id"][start], exams["exam_id"][start + size - 1]
            raise FourviewError(f"exams '{first}' to '{last}': {outcome.detail}; none is written")
        parts[start] = outcome
        done += size
        if progress is not None:
            progress(done, len(exams))
    tables = [parts[start][0] for start in sorted(parts)]
    ways = sorted({way for _, way in parts.values()})
    return pl.concat([pl.DataFrame(schema=PREDICTIONS_SCHEMA), *tables]), " and ".join(ways)


def _part(what: Spread, start: int) -> tuple[pl.DataFrame, str]:
    """In a worker: the predictions of the part that begins at an exam."""
    manifest, stores, reader, way = _opened(what, os.getpid())
    exams = _exams(manifest, what.splits).slice(start, BATCHES * what.batch_size)
    part = with_exams(manifest, exams["exam_id"])
    return reader.predict_store(part, stores, batch_size=what.batch_size), way


@lru_cache(maxsize=1)
def _opened(what: Spread, _process: int) -> tuple[Manifest, list[Store], Reader, str]:
    torch.set_num_threads(what.threads)
    manifest = read_manifest(what.manifest, validate=False)
    stores = [Store.open(path) for path in what.store]
    manifest = with_views(manifest, what.views) if what.views else manifest
    engine = engine_on(what.device, many=len(stores[0]) > FEW, exact=what.exact)
    return manifest, stores, load_model(what.runs, engine=engine), engine.description


def _exams(manifest: Manifest, splits: tuple[str, ...] | None) -> pl.DataFrame:
    exams = manifest.exams
    return exams if splits is None else exams.filter(pl.col("split").is_in(splits))
