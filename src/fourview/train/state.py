"""What a run must keep to go on exactly where it was: weights, optimiser, schedule, position.

    FOLDER/state.json           position, schedule, best so far, plain values of the optimiser
    FOLDER/state.safetensors    weights that are trained, and the optimiser's tensors; of frozen
                                ones state.json has a digest, since every run begins with them

A folder is written beside the old one and then takes its place, so that a run killed at any moment
leaves a whole one.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fourview.disk import standing, whole_folder
from fourview.errors import TrainingError
from fourview.json_file import read_json_object
from fourview.train.frozen import frozen_names

TENSORS = "state.safetensors"
PLAIN = "state.json"
MODEL, OPTIMIZER = "model.", "optimizer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a run is.

    Attributes:
        epoch: The epoch to go on with.
        step: Steps done in that epoch.
        total_steps: Steps done in all.
        best_epoch: Epoch of the best checkpoint; -1 where there is none yet.
        best_value: Its validation loss or AUC.
        digest: Digest of the recipe and the manifest, to refuse to go on with others.
    """

    epoch: int
    step: int
    total_steps: int
    best_epoch: int
    best_value: float
    digest: str


def save_state(
    folder: Path,
    position: Position,
    schedule: dict[str, float],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    frozen: str = "",
) -> None:
    """Write everything; the old state is replaced only when the new one is whole.

    Args:
        folder: Folder of the state.
        position: Position of the run.
        schedule: State of the schedule.
        model: Model whose weights and buffers are written, but not those that are frozen.
        optimizer: Optimizer whose state is written.
        frozen: Digest of the frozen weights.
    """
    plain, tensors = _split(optimizer.state_dict())
    left_out = frozen_names(model)
    weights = {
        MODEL + name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if name not in left_out
    }
    description = {
        "position": asdict(position),
        "schedule": schedule,
        "optimizer": plain,
        "frozen": frozen,
    }
    with whole_folder(folder) as draft:
        save_file({**weights, **tensors}, draft / TENSORS)
        (draft / PLAIN).write_text(json.dumps(_spelled(description), allow_nan=False))


def load_state(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, frozen: str = ""
) -> tuple[Position, dict[str, float]] | None:
    """Fill model and optimiser, and say where to go on; None where nothing was saved yet.

    Args:
        folder: Folder of the state.
        model: Model with the frozen weights that it begins with.
        optimizer: Optimizer of its other weights.
        frozen: Digest of the frozen weights, which must be those of the saved run.

    Raises:
        TrainingError: The files are damaged, or the frozen weights are others.
    """
    candidate = standing(folder, lambda at: (at / PLAIN).exists())
    if candidate is None:
        return None
    try:
        description = _numbers(read_json_object(candidate / PLAIN))
        tensors = load_file(candidate / TENSORS)
        weights = {k.removeprefix(MODEL): v for k, v in tensors.items() if k.startswith(MODEL)}
        _require_weights(set(weights), model, description["frozen"] == frozen)
        model.load_state_dict(weights, strict=False)
        optimizer.load_state_dict(_join(description["optimizer"], tensors))
        return Position(**description["position"]), description["schedule"]
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise TrainingError(
            f"{candidate}: cannot be resumed from ({error}); delete it to begin again"
        ) from error


def _require_weights(names: set[str], model: nn.Module, same_frozen: bool) -> None:
    """The saved weights must be those that are trained, beside the same frozen ones.

    Raises:
        ValueError: They are not.
    """
    other = names ^ (set(model.state_dict()) - frozen_names(model))
    if other:
        raise ValueError(f"the weights differ at '{min(other)}'")
    if not same_frozen:
        raise ValueError("the frozen weights that it began with are not those of today")


def _spelled(value: Any) -> Any:
    """Words for numbers that JSON does not have, such as the best loss before there is one."""
    if isinstance(value, dict):
        return {key: _spelled(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(value: Any) -> Any:
    """What ``_spelled`` spelled, as numbers again."""
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return float(value) if value in ("inf", "-inf", "nan") else value


def _split(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """An optimiser's state as plain values, and its tensors by name."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        plain[str(index)] = {}
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{OPTIMIZER}{index}.{name}"] = value.detach().cpu().contiguous()
            else:
                plain[str(index)][name] = value
    return {"state": plain, "param_groups": state["param_groups"]}, tensors


def _join(plain: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in plain["state"].items()}
    for key, value in tensors.items():
        if key.startswith(OPTIMIZER):
            index, _, name = key.removeprefix(OPTIMIZER).partition(".")
            state.setdefault(int(index), {})[name] = value
    return {"state": state, "param_groups": plain["param_groups"]}
