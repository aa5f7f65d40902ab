"""The decision curve: what acting on a score is worth, for how much a recall is thought to cost."""

import numpy as np
from jaxtyping import Bool, Float

from fourview.entities import Curve

_X = "threshold probability"
_Y = "net benefit"


def net_benefit(
    scores: Float[np.ndarray, " unit"],
    positive: Bool[np.ndarray, " unit"],
    probability: Float[np.ndarray, " point"],
) -> Float[np.ndarray, " point"]:
    """True positives less false positives at the odds of ``probability``, per unit.

    Scores are taken as probabilities; a score equal to the threshold is acted on.

    Args:
        scores: In [0, 1].
        positive: The labels.
        probability: Thresholds, in [0, 1).

    References:
        Vickers, Elkin 2006, "Decision curve analysis", Medical Decision Making 26:565.

    At odds of 1:3, one cancer and one false alarm of four units are worth (1 - 1/3) / 4:

    >>> scores, positive = np.array([0.9, 0.8, 0.1, 0.1]), np.array([True, False, False, False])
    >>> net_benefit(scores, positive, np.array([0.25])).round(4).tolist()
    [0.1667]
    """
    num_units = len(scores)
    tp = num_above(scores[positive], probability)
    fp = num_above(scores[~positive], probability)
    return np.asarray(tp / num_units - fp / num_units * probability / (1 - probability))


def num_above(
    values: Float[np.ndarray, " unit"], cuts: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    """How many values are at or above each cut.

    >>> num_above(np.array([0.2, 0.5, 0.9]), np.array([0.5, 1.0])).tolist()
    [2.0, 0.0]
    """
    numbers = len(values) - np.searchsorted(np.sort(values), cuts, side="left")
    return numbers.astype(np.float64)


def decision_curves(
    scores: Float[np.ndarray, " unit"], positive: Bool[np.ndarray, " unit"]
) -> tuple[Curve, Curve]:
    """The model's curve and that of recalling everyone; recalling no one is 0 throughout.

    Thresholds run to four times the prevalence, at most 0.99, where the question is open.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> model, everyone = decision_curves(scores, positive)
    >>> model.y[0], everyone.y[0]  # where a recall costs nothing: the prevalence
    (np.float64(0.5), np.float64(0.5))
    """
    prevalence = float(positive.mean())
    probability = np.linspace(0, min(4 * prevalence, 0.99), 101)
    everyone = prevalence - (1 - prevalence) * probability / (1 - probability)
    return (
        Curve(
            name="decision",
            x_label=_X,
            y_label=_Y,
            x=probability,
            y=net_benefit(scores, positive, probability),
        ),
        Curve(name="decision_all", x_label=_X, y_label=_Y, x=probability, y=everyone),
    )
