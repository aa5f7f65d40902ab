"""Wilson's interval of a proportion."""

from scipy.stats import norm


def wilson(successes: float, trials: float, *, level: float = 0.95) -> tuple[float, float]:
    """The score interval of ``successes`` out of ``trials``, without continuity correction.

    Trials are taken as independent: for several breasts of a patient it is too narrow.

    Raises:
        ValueError: ``trials`` is not above 0, or ``successes`` not within 0 and ``trials``.

    References:
        Wilson 1927, "Probable inference, the law of succession, and statistical inference",
        JASA 22:209.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"cannot take {successes} successes of {trials} trials")
    z = float(norm.ppf((1 + level) / 2))
    share = successes / trials
    center = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * (share * (1 - share) / trials + (z / (2 * trials)) ** 2) ** 0.5
    return max(0.0, center - half), min(1.0, center + half)
