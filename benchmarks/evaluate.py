"""Bootstrap intervals against a loop of resampling and scikit-learn, in the same run.

    python -m benchmarks.evaluate           ratios at n = 13,900
    python -m benchmarks.evaluate --large   n = 3,400,000 and growth, some minutes

Both sides give 2,000-replicate intervals of the areas under the ROC and the precision-recall curve,
ours on one thread. The loop is timed over 20 replicates and extrapolated.
"""

import math
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score

from fourview.evaluate.interval import interval
from fourview.evaluate.ranks import AUPRC_TRAPEZOID, AUROC, RankStatistic
from fourview.evaluate.resample import Resampling, bootstrap

REPLICATES = 2000
LOOPS = 20
SIZE = 13_900  # images of a test split of ADMANI-1, about
LARGE = 3_400_000  # images of ADMANI-2, about


def table(num_units: int, prevalence: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    positive = rng.random(num_units) < prevalence
    return rng.normal(size=num_units) + positive, positive


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ours(
    scores: np.ndarray, positive: np.ndarray, cluster: np.ndarray, **settings: Any
) -> tuple[float | None, ...]:
    settings = {"replicates": REPLICATES} | settings
    num_clusters = int(cluster.max()) + 1
    resampling = Resampling(cluster=cluster, num_clusters=num_clusters, **settings)
    statistic = RankStatistic.of(scores, positive, cluster, partial_from=1.0)
    rows = bootstrap(statistic, resampling)[1:]
    ends = [interval(rows[:, c], "metarepo") for c in (AUROC, AUPRC_TRAPEZOID)]
    return tuple(v for e in ends for v in (e.low, e.high))


def plain(scores: np.ndarray, positive: np.ndarray) -> None:
    stream = np.random.RandomState(0)
    for _ in range(LOOPS):
        drawn = stream.randint(0, len(scores), size=len(scores))
        roc_auc_score(positive[drawn], scores[drawn])
        precision, recall, _ = precision_recall_curve(positive[drawn], scores[drawn])
        auc(recall, precision)


def run() -> list[dict[str, Any]]:
    out = []
    for prevalence in (0.02, 0.5):
        scores, positive = table(SIZE, prevalence)
        each = np.arange(SIZE, dtype=np.int32)
        ours(scores, positive, each, replicates=2)  # compiles
        slow = seconds(lambda: plain(scores, positive)) * REPLICATES / LOOPS  # noqa: B023 - used here
        for stream, floor in (("counter", 40), ("metarepo", 20)):
            fast = min(
                seconds(lambda: ours(scores, positive, each, stream=stream))  # noqa: B023
                for _ in range(3)
            )
            name = f"2,000 ROC and PR intervals, n = 13,900, {prevalence:.0%} positive, {stream}"
            row = {"name": name, "ours": fast, "plain": slow, "ratio": slow / fast}
            out.append(row | {"floor": floor})
    return out


def large() -> None:
    base = 0.0
    ours(*table(100, 0.5), np.arange(100, dtype=np.int32), replicates=2)  # compiles
    for size in (SIZE, 139_000, LARGE):
        scores, positive = table(size, 0.01)
        patient = (np.arange(size) // 4).astype(np.int32)
        replicates = REPLICATES if size != 139_000 else 200
        settings = {"workers": 2, "replicates": replicates}
        took = seconds(lambda: ours(scores, positive, patient, **settings))  # noqa: B023
        scaled = took * REPLICATES / replicates
        base = base or scaled / (size * math.log(size))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"n = {size:,} by patient, 2 threads: {scaled:.1f} s, {peak:.2f} GiB at most,"
            f" {scaled / (size * math.log(size)) / base:.2f} times n log n"
        )


if __name__ == "__main__":
    if "--large" in sys.argv:
        large()
    else:
        for row in run():
            print(f"{row['name']}: {row['ours']:.3f} s, loop {row['plain']:.1f} s,"
                  f" {row['ratio']:.0f} times (floor {row['floor']})")  # fmt: skip
