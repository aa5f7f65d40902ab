"""Wilson's interval of a proportion, by scipy."""


def wilson(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """The score interval of ``successes`` out of ``trials``, without continuity correction.

    Trials are taken as independent: for several breasts of a patient it is too narrow.

    Raises:
        ValueError: ``trials`` is not above 0, or ``successes`` not within 0 and ``trials``.

    References:
        Wilson 1927, "Probable inference, the law of succession, and statistical inference",
        JASA 22:209.

    >>> low, high = wilson(7, 10)
    >>> round(low, 4), round(high, 4)
    (0.3968, 0.8922)
    """
    from scipy.stats import binomtest

    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"cannot take {successes} successes of {trials} trials")
    ends = binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(ends.low), float(ends.high)
