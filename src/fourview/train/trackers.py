"""Further logs of a run, beside log.jsonl: a CSV table, or a tracker of accelerate.

csv           RUN/epochs.csv, one line per epoch; nothing to install
tensorboard   RUN/tensorboard: tensorboard --logdir RUN
mlflow        a run of experiment "fourview", where MLFLOW_TRACKING_URI says, else RUN/mlflow.db
wandb         a run of project "fourview", offline unless WANDB_MODE says otherwise: RUN/wandb
"""

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from fourview.disk import write_table
from fourview.errors import TrainingError
from fourview.run_files import EPOCHS
from fourview.suggest import no_such
from fourview.train.recipe import Recipe
from fourview.train.run_folder import read_log

CSV = "csv"
PROJECT = "fourview"
LOGS = (CSV, "tensorboard", "mlflow", "wandb")
Tell = Callable[[int, dict[str, float]], None]


def require_logs(names: Sequence[str]) -> None:
    """Make sure that the logs are known and their packages there, before anything is computed.

    Raises:
        TrainingError: One is unknown, or its package is missing; the message says what to install.
    """
    for name in names:
        if name not in LOGS:
            raise TrainingError(f"--log {name}: {no_such('log', name, LOGS)}")
        if name != CSV and importlib.util.find_spec(name) is None:
            raise TrainingError(
                f"--log {name}: the package is not installed; run: pip install 'fourview[{name}]'"
            )


@contextmanager
def open_trackers(names: Sequence[str], recipe: Recipe, out: Path) -> Iterator[Tell]:
    """Open what is called with steps done and values; at the end close it and write tables.

    Args:
        names: Names out of LOGS.
        recipe: Recipe whose values the trackers keep.
        out: The run's folder.

    Raises:
        TrainingError: As ``require_logs``.
    """
    require_logs(names)
    trackers = [_tracker(name, out) for name in dict.fromkeys(names) if name != CSV]
    for tracker in trackers:
        tracker.start()
        tracker.store_init_configuration(_flat(asdict(recipe)))

    def tell(step: int, values: dict[str, float]) -> None:
        for tracker in trackers:
            tracker.log(values, step=step)

    try:
        yield tell
    finally:
        for tracker in trackers:
            tracker.finish()
        if CSV in names:
            write_epochs(out)


def write_epochs(run: Path) -> None:
    """RUN/epochs.csv: what log.jsonl has of every epoch, as a table."""
    rows = [_flat(line) for line in read_log(run) if line["kind"] == "epoch"]
    if rows:
        table = pl.from_dicts(rows, infer_schema_length=None).drop("kind")
        write_table(table, run / EPOCHS)


def _tracker(name: str, out: Path) -> Any:
    from accelerate import PartialState
    from accelerate.tracking import MLflowTracker, TensorBoardTracker, WandBTracker

    PartialState()  # which trackers ask whether to write
    if name == "tensorboard":
        return TensorBoardTracker(name, logging_dir=out)
    if name == "mlflow":
        os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{out.absolute() / 'mlflow.db'}")
        return MLflowTracker(PROJECT, run_name=out.name)
    os.environ.setdefault("WANDB_MODE", "offline")  # nothing leaves the machine unless asked to
    return WandBTracker(PROJECT, dir=str(out), name=out.name)


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """Nested values under dotted names; what is no number, truth or text becomes text."""
    if isinstance(values, dict):
        return {
            key: value
            for inner, each in values.items()
            for key, value in _flat(each, f"{name}.{inner}" if name else str(inner)).items()
        }
    plain = isinstance(values, bool | int | float | str)
    return {name: values if plain or values is None else str(values)}
