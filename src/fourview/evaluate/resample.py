"""Which units a bootstrap replicate holds: drawn by cluster, by replicate number, by any worker.

A replicate is a number of draws for each cluster (image, breast, exam or patient), not a copied
table. Replicate r of seed s depends on r and s alone, so any number of workers gives the same
replicates, and two models of one table see the same ones.

Ours and not a library's: ``scipy.stats.bootstrap`` draws single rows, not patients, and takes a
statistic of copied rows, so that every replicate is sorted anew. Weights need one sorting in all:
2,000 replicates of both areas at 13,900 images take 0.3 to 1.6 s on one processor, and a loop of
numpy and scikit-learn 74 to 83 (`python -m benchmarks evaluate`).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt16

from fourview.compiled import compiled

REPLICATES = 2000  # wherever no other number is asked for

# Constants of splitmix64: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_U27, _U30, _U31, _U32 = (np.uint64(s) for s in (27, 30, 31, 32))
_ONE = np.uint64(1)
_BLOCK = 16  # replicates that a worker takes at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How replicates are drawn.

    Attributes:
        cluster: For each unit, in 0 .. ``num_clusters`` - 1: what is drawn together.
        num_clusters: How many there are, and how many are drawn in a replicate.
        replicates: How many.
        seed: Of the stream, 0 or more.
        workers: Threads; the result does not depend on it.
        stream: ``counter``, our own; ``metarepo``: one call of numpy's legacy
            ``randint(0, n, n)`` per replicate, as the public meta-repository draws.
    """

    cluster: Int[np.ndarray, " unit"]
    num_clusters: int
    replicates: int
    seed: int = 0
    workers: int = 1
    stream: Literal["counter", "metarepo"] = "counter"


@runtime_checkable
class Statistic(Protocol):
    """Numbers of one weighted table, computed for a whole replicate at once."""

    @property
    def width(self) -> int:
        """How many numbers."""
        ...

    def one(
        self, counts: UInt16[np.ndarray, " cluster"], out: Float[np.ndarray, " number"]
    ) -> None:
        """The numbers where cluster c was drawn ``counts[c]`` times."""
        ...


@compiled
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> _U30)) * _MIX_1
    z = (z ^ (z >> _U27)) * _MIX_2
    return z ^ (z >> _U31)


@compiled
def draw(seed: np.uint64, replicate: np.uint64, counts: UInt16[np.ndarray, " cluster"]) -> None:
    """Fill ``counts`` with how often each cluster is in this replicate.

    Bounded integers by multiplication with rejection, so that every cluster is equally likely.

    References:
        Lemire 2019, "Fast random integer generation in an interval", ACM TOMACS 29(1).
    """
    counts[:] = 0
    state = _mix(_mix(seed + _GOLDEN) + replicate * _GOLDEN)
    size = np.uint64(len(counts))
    if size == 0:
        return
    unfair = (_LOW_HALF + _ONE - size) % size  # low halves below this would favour some clusters
    todo = np.int64(size)
    while todo > 0:
        state += _GOLDEN
        bits = _mix(state)
        product = (bits & _LOW_HALF) * size
        if (product & _LOW_HALF) >= unfair:
            counts[product >> _U32] += 1
            todo -= 1
        product = (bits >> _U32) * size
        if todo > 0 and (product & _LOW_HALF) >= unfair:
            counts[product >> _U32] += 1
            todo -= 1


@compiled
def tally(indices: Int[np.ndarray, " draw"], counts: UInt16[np.ndarray, " cluster"]) -> None:
    """Fill ``counts`` from a list of drawn cluster numbers."""
    counts[:] = 0
    for i in range(len(indices)):
        counts[indices[i]] += 1


def replicate_counts(resampling: Resampling) -> Iterator[UInt16[np.ndarray, " cluster"]]:
    """The counts of every replicate, in order; one array is reused, so copy what you keep."""
    counts = np.zeros(resampling.num_clusters, dtype=np.uint16)
    stream = np.random.RandomState(resampling.seed)
    for r in range(resampling.replicates):
        if resampling.stream == "metarepo":
            tally(stream.randint(0, len(counts), size=len(counts)), counts)
        else:
            draw(np.uint64(resampling.seed), np.uint64(r), counts)
        yield counts


def bootstrap(statistic: Statistic, resampling: Resampling) -> Float[np.ndarray, "row number"]:
    """The statistic of the table itself (row 0) and of every replicate (rows 1 ...).

    Row 0 takes every cluster once. Undefined numbers are NaN.
    """
    out = np.full((resampling.replicates + 1, statistic.width), np.nan)
    ones = np.ones(resampling.num_clusters, dtype=np.uint16)
    statistic.one(ones, out[0])
    if resampling.stream != "counter":
        for r, counts in enumerate(replicate_counts(resampling)):
            statistic.one(counts, out[r + 1])
        return out

    def block(first: int) -> None:
        counts = np.empty(resampling.num_clusters, dtype=np.uint16)
        for r in range(first, min(first + _BLOCK, resampling.replicates)):
            draw(np.uint64(resampling.seed), np.uint64(r), counts)
            statistic.one(counts, out[r + 1])

    starts = range(0, resampling.replicates, _BLOCK)
    if resampling.workers == 1:
        for first in starts:
            block(first)
    else:
        with ThreadPoolExecutor(resampling.workers) as pool:
            list(pool.map(block, starts))
    return out
