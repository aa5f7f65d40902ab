"""Training the runs of a study that are missing, several at a time.

A run that was stopped goes on. One that fails is named at the end, and all others go on.
"""

import json
import multiprocessing
import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fourview.disk import write_text
from fourview.errors import FourviewError, StudyError
from fourview.manifest.manifest import read_manifest
from fourview.outside import use_module, used_modules
from fourview.run_files import checkpoint_of, is_checkpoint
from fourview.store.store import Store
from fourview.study.chain import Before, train_chain
from fourview.study.declaration import Study
from fourview.study.start import starting_from
from fourview.study.study_data import DataSet
from fourview.study.study_runs import Run, declared_as, recipe_of, run_of
from fourview.train.loop import Machine, Progress
from fourview.train.recipe import Recipe

EVAL_BATCH = 32  # samples at a time in validation; changes no number
NEVER = 10**9  # steps between saved states, where an epoch is short; one is saved at its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a process needs to train a run."""

    run: Run
    recipe: Recipe
    manifest: Path
    store: Path
    before: Before
    declared: Mapping[str, Any]
    save_every: int
    cache_bytes: int


def job_of(study: Study, out: Path, run: Run, data: Mapping[str, DataSet], **how: int) -> Job:
    """What has to be known to train a run; the runs that it starts from are done by now."""
    row = study.rows[run.row]
    recipe = recipe_of(study, run.row, run.seed)

    def place(given: str | None) -> Path | None:
        if given is None:
            return None
        return run_of(study, out, given, run.seed).folder if given in study.rows else Path(given)

    start, context = place(row.start), place(row.context)
    if start is not None:
        recipe = starting_from(recipe, start)
    there = data[study.data_of(run.row)]
    return Job(
        run=run,
        recipe=recipe,
        manifest=there.manifest,
        store=there.stores[recipe.pixel_spec],
        before=Before(start=start, context=context),
        declared=declared_as(study, run),
        **how,
    )


def train_job(
    job: Job, progress: Progress | None = None, say: Callable[[str], None] = lambda _: None
) -> Run:
    """Train one run to its end, and write that it is done."""
    began = time.process_time(), time.monotonic()
    train_chain(
        job.recipe,
        read_manifest(job.manifest),
        Store.open(job.store),
        job.run.folder,
        resume=True,
        machine=Machine(save_every=job.save_every, eval_batch=EVAL_BATCH, device=job.run.device),
        cache_bytes=job.cache_bytes,
        progress=progress,
        before=job.before,
        say=say,
    )
    spent = time.process_time() - began[0], time.monotonic() - began[1]
    shutil.rmtree(job.run.measured, ignore_errors=True)  # of a run that was here before
    record = {
        "cpu_seconds": round(spent[0], 1),
        "seconds": round(spent[1], 1),
        "declared": dict(job.declared),
    }
    write_text(job.run.marker, json.dumps(record) + "\n")
    return job.run


def train_guarded(job: Job, progress: Progress | None = None) -> Run:
    """``train_job``; a defect, or a lack of memory, costs one run and is kept beside it.

    Raises:
        FourviewError: It cannot be trained.
    """
    try:
        return train_job(job, progress)
    except FourviewError:
        raise
    except Exception as error:
        kept = job.run.folder.with_name(f"{job.run.name}.txt")
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, traceback.format_exc())
        raise StudyError(f"{type(error).__name__}: {error} (all of it in {kept})") from error


def train_missing(
    study: Study,
    out: Path,
    runs: Sequence[Run],
    data: Mapping[str, DataSet],
    *,
    jobs: int,
    devices: Sequence[str | None],
    cache_bytes: int,
    progress: Progress,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Train the runs that are not done.

    Args:
        study: Study whose runs they are.
        out: Folder of the study.
        runs: Runs in the order of training.
        data: The data sets.
        jobs: Runs at a time; more than one are trained in processes of their own.
        devices: Taken in turn.
        cache_bytes: Memory for pixels, as ``train`` takes it, of all runs together.
        progress: Called with what is done, how much, and of how much.
        say: Called with a line for each run.

    Returns:
        Why, of each run that failed or could not begin.
    """
    how = {"save_every": NEVER, "cache_bytes": cache_bytes // max(jobs, 1)}
    failed: dict[str, str] = {}
    todo = [run for run in runs if not run.is_done]
    done = len(runs) - len(todo)

    def ended(run: Run, error: FourviewError | None) -> None:
        nonlocal done
        done += 1
        progress("runs", done, len(runs))
        if error is not None:
            failed[run.name] = str(error)
            say(f"{run.name}: failed: {error}")
        else:
            say(f"{run.name}: done in {run.seconds[1]:.0f} s ({done} of {len(runs)})")

    progress("runs", done, len(runs))
    way = _here if jobs <= 1 else partial(_in_processes, jobs)
    prepare = partial(_prepared, study, out, data, failed, how)
    way(todo, prepare, devices, partial(_within, progress), ended)
    return failed


def _prepared(
    study: Study,
    out: Path,
    data: Mapping[str, DataSet],
    failed: Mapping[str, str],
    how: Mapping[str, int],
    run: Run,
) -> Job | None:
    """The job of a run; None where something that it needs is not done yet.

    Raises:
        StudyError: What it needs has failed.
    """
    for row in study.needs(run.row):
        needed = run_of(study, out, row, run.seed)
        if needed.name in failed:
            raise StudyError(f"needs {needed.name}, which failed")
        if not needed.is_done:
            return None
        if not is_checkpoint(checkpoint_of(needed.folder)):
            raise StudyError(f"{needed.folder}: its checkpoint is gone; remove {needed.marker}")
    return job_of(study, out, run, data, **how)


def _within(progress: Progress, run: Run, what: str, done: int, of: int) -> None:
    progress(f"{run.name}: {what}", done, of)


def _here(
    todo: Sequence[Run],
    prepare: Callable[[Run], Job | None],
    devices: Sequence[str | None],
    progress: Callable[[Run, str, int, int], None],
    ended: Callable[[Run, FourviewError | None], None],
) -> None:
    """Train one run after the other in this process."""
    for run in todo:
        placed = replace(run, device=devices[0])
        try:
            job = prepare(placed)
            assert job is not None  # runs are ordered: what it needs was trained, or has failed
            train_guarded(job, partial(progress, run))
        except FourviewError as error:
            ended(run, error)
        else:
            ended(run, None)


def _in_processes(
    jobs: int,
    todo: Sequence[Run],
    prepare: Callable[[Run], Job | None],
    devices: Sequence[str | None],
    progress: Callable[[Run, str, int, int | None], None],  # noqa: ARG001 - bars stay in a process
    ended: Callable[[Run, FourviewError | None], None],
) -> None:
    """Several runs at a time, each begun when what it needs is done."""
    context = multiprocessing.get_context("spawn")  # CUDA and threads do not survive a fork
    places = context.Queue()
    for number in range(jobs):
        places.put(devices[number % len(devices)])
    threads = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(
        jobs, context, initializer=_begin, initargs=(places, threads, used_modules())
    )
    waiting, running = list(todo), dict[Future[Run], Run]()
    try:
        while waiting or running:
            for run, job in _ready(waiting, prepare, jobs - len(running), ended):
                waiting.remove(run)
                running[pool.submit(_train_there, job)] = run
            if not running:
                continue  # some have failed for what they need, and others may go on
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                run = running.pop(future)
                ended(run, _error_of(future, run))
    finally:
        pool.shutdown(cancel_futures=True)


def _ready(
    waiting: list[Run],
    prepare: Callable[[Run], Job | None],
    free: int,
    ended: Callable[[Run, FourviewError | None], None],
) -> Iterator[tuple[Run, Job]]:
    """The next runs that can begin, at most so many."""
    for run in list(waiting):
        if free <= 0:
            return
        try:
            job = prepare(run)
        except FourviewError as error:
            waiting.remove(run)
            ended(run, error)
            continue
        if job is not None:
            free -= 1
            yield run, job


def _error_of(future: Future[Run], run: Run) -> FourviewError | None:
    error = future.exception()
    if error is None or isinstance(error, FourviewError):
        return error
    if isinstance(error, BrokenProcessPool):
        raise StudyError(
            f"{run.name}: its process was killed, which a lack of memory does; run the same "
            "command again, with fewer --jobs, and it goes on"
        ) from error
    raise error


_device: str | None = None  # of this process of the pool


def _begin(places: Any, threads: int, modules: Sequence[str]) -> None:
    """Give a process of the pool its device, threads and modules."""
    global _device  # noqa: PLW0603 - a process of the pool has one device
    _device = places.get()
    torch.set_num_threads(threads)
    for name in modules:
        use_module(name)


def _train_there(job: Job) -> Run:
    return train_guarded(replace(job, run=replace(job.run, device=_device)))
