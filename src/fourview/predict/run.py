"""A run folder or checkpoint from Python: what trained it, how it went, and its network."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from torch import nn

from fourview.checkpoint.card import ModelCard, load_checkpoint, read_card
from fourview.checkpoint.ensemble import read_ensemble
from fourview.errors import CheckpointError
from fourview.json_file import read_json_object
from fourview.predict.engine import PLAIN, Engine
from fourview.predict.network import points_of
from fourview.predict.reader import Reader, load_model
from fourview.run_files import LOG, PREDICTIONS, RECIPE, checkpoint_of


@dataclass(frozen=True, slots=True)
class Run:
    """A run that ``fourview train`` made, or a checkpoint folder.

    Attributes:
        path: Folder of the run.
        card: What travels with the weights of its best checkpoint.
    """

    path: Path
    card: ModelCard

    @property
    def checkpoint(self) -> Path:
        """The folder of the best checkpoint."""
        return checkpoint_of(self.path)

    @property
    def recipe(self) -> dict[str, Any]:
        """Every value of the recipe; empty for a checkpoint without its run."""
        file = self.path / RECIPE
        return dict(read_json_object(file)) if file.exists() else {}

    @property
    def operating_points(self) -> dict[str, float]:
        """Thresholds on scores by rule, chosen on the validation part."""
        return points_of(self.checkpoint).scores

    @property
    def log(self) -> pl.DataFrame:
        """A row for each epoch, with its validation figures; empty where none is kept."""
        return self._lines("epoch")

    @property
    def steps(self) -> pl.DataFrame:
        """A row for each step, with the loss and its parts."""
        return self._lines("step")

    @property
    def predictions(self) -> Path:
        """Scores of the validation and test parts by the best checkpoint."""
        return self.path / PREDICTIONS

    def reader(self, *, engine: Engine = PLAIN) -> Reader:
        """The model that reads exams: as ``load_model`` of this folder."""
        return load_model(self.path, engine=engine)

    def network(self) -> nn.Module:
        """The bare network with its weights, in evaluation mode."""
        return load_checkpoint(self.checkpoint)[0]

    def _lines(self, kind: str) -> pl.DataFrame:
        file = self.path / LOG
        lines = []
        for text in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                line = json.loads(text)
            except ValueError:  # the line that a killed run was writing
                continue
            if line.get("kind") == kind:
                lines.append(_flat(line))
        return pl.DataFrame(lines, infer_schema_length=None)


def open_run(path: Path | str) -> Run:
    """Open a run folder or a checkpoint folder.

    Raises:
        CheckpointError: There is no checkpoint in it, or several that are one model.
    """
    path = Path(path)
    several = read_ensemble(path)
    if several is not None:
        raise CheckpointError(
            f"{path}: holds {len(several.members)} networks that are one model; load_model reads "
            f"with all, and open_run opens one of them: {', '.join(several.members)}"
        )
    return Run(path, read_card(checkpoint_of(path)))


def _flat(line: dict[str, Any], before: str = "") -> dict[str, Any]:
    """A line of the log as one row: parts of a part are named with a dot."""
    row: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            row |= _flat(value, f"{before}{name}.")
        elif not isinstance(value, list):
            row[f"{before}{name}"] = value
    return {k: v for k, v in row.items() if k != "kind"}
