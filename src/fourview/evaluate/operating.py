"""Thresholds: chosen on one table by a rule, kept in a file, applied to another table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from fourview.disk import write_text
from fourview.errors import EvaluationError
from fourview.evaluate.auc import counts_above
from fourview.evaluate.ranks import ROUNDING
from fourview.json_file import read_json_object

MOST = 1e300  # no threshold is so large; neither infinity nor NaN is smaller
MAX_BYTES = 1 << 20  # of a file of thresholds; ours have 500


def choose_threshold(
    scores: Float[np.ndarray, " unit"], positive: Bool[np.ndarray, " unit"], rule: str
) -> float | None:
    """The threshold that a rule picks; a score equal to it counts as yes.

    Args:
        scores: Higher means more suspicion.
        positive: The labels.
        rule: ``sensitivity-0.90``: the highest threshold with at least that sensitivity.
            ``specificity-0.90``: the lowest with at least that specificity. ``youden``: the highest
            with the largest sum of both.

    Returns:
        One of the scores; None where a class is absent or no score meets the rule.

    Raises:
        EvaluationError: No such rule.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> choose_threshold(scores, positive, "sensitivity-0.90")
    0.3
    >>> choose_threshold(scores, positive, "specificity-0.90")
    0.9
    """
    kind, _, number = rule.partition("-")
    if len(scores) == 0:
        return None
    fp, tp = counts_above(scores, positive)
    if tp[-1] == 0 or fp[-1] == 0:
        return None
    cuts = np.append(np.inf, np.sort(np.unique(scores))[::-1])
    if kind == "sensitivity" and number:
        at = int(np.argmax(tp >= np.ceil(float(number) * tp[-1] - ROUNDING)))
    elif kind == "specificity" and number:
        at = int(np.flatnonzero(fp <= np.floor((1 - float(number)) * fp[-1] + ROUNDING))[-1])
    elif rule == "youden":
        at = int(np.argmax(tp / tp[-1] - fp / fp[-1]))
    else:
        raise EvaluationError(
            f"no rule '{rule}' for a threshold; there are sensitivity-X, specificity-X, youden"
        )
    return float(cuts[at]) if at else None  # 0 is above all scores: no for everyone


def write_thresholds(
    path: Path,
    thresholds: Mapping[str, float],
    about: Mapping[str, str],
    *,
    regions: Mapping[str, float] | None = None,
) -> None:
    """Write thresholds with where they were chosen, as ``read_thresholds`` reads them.

    Args:
        path: JSON file.
        thresholds: By rule, of scores of units.
        about: Which table they were chosen on.
        regions: By rule, of scores of regions that are drawn; None where a model draws none.
    """
    data: dict[str, Any] = {"thresholds": dict(thresholds), "chosen_on": dict(about)}
    if regions is not None:
        data["regions"] = dict(regions)
    write_text(path, json.dumps(data, indent=2, sort_keys=True) + "\n")


def read_thresholds(
    path: Path, *, of_model: bool = False
) -> tuple[dict[str, float], dict[str, str]]:
    """Read thresholds by name, and what is known of the table they were chosen on.

    A plain object of names and numbers is read too. A file that was written without any, since the
    validation part had one class only, gives none.

    Args:
        path: The file.
        of_model: It stands beside weights, whose scores are from 0 to 1.

    Raises:
        EvaluationError: The file is no such JSON.
    """
    try:
        data: Any = read_json_object(path, max_bytes=MAX_BYTES)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot be read as JSON ({error})") from None
    about: Any = {}
    written = isinstance(data, dict) and "thresholds" in data
    if written:
        data, about = data["thresholds"], data.get("chosen_on", {})
    named = isinstance(data, dict) and all(map(_is_number, data.values()))
    if not named or not (data or written):
        raise EvaluationError(
            f'{path}: holds no thresholds; need {{"thresholds": {{"sensitivity-0.90": 0.13}}}}'
        )
    outside = [k for k, v in data.items() if of_model and not 0 < v <= 1]
    if outside or not isinstance(about, dict):
        fault = f"{outside[0]} is {data[outside[0]]}" if outside else "'chosen_on' is no object"
        raise EvaluationError(f"{path}: {fault}; a threshold of a model's score is above 0 up to 1")
    return {k: float(v) for k, v in data.items()}, {str(k): str(v) for k, v in about.items()}


def read_region_thresholds(path: Path) -> dict[str, float]:
    """Thresholds of drawn regions by name; none where the file has none.

    Raises:
        EvaluationError: They are no numbers.
    """
    try:
        regions: Any = read_json_object(path, max_bytes=MAX_BYTES).get("regions", {})
    except ValueError as error:
        raise EvaluationError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(regions, dict) or not all(map(_is_region_threshold, regions.values())):
        raise EvaluationError(
            f'{path}: "regions" is {regions!r}; need an object such as {{"specificity-0.90": 0.7}}'
        )
    return {str(k): float(v) for k, v in regions.items()}


def _is_region_threshold(value: object) -> bool:
    return _is_number(value) and 0 < float(value) <= 1  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -MOST < value < MOST
