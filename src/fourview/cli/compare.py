"""``fourview compare``: two predictions tables on the same units."""

import json as jsonlib
from dataclasses import asdict
from pathlib import Path

from fourview.cli.modules import Modules, use_modules
from fourview.cli.say import say
from fourview.evaluate.compare import Comparison
from fourview.evaluate.compare import compare as run_compare
from fourview.evaluate.labels import counted
from fourview.evaluate.metrics import label_of
from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.resample import REPLICATES
from fourview.evaluate.run import OF_PROTOCOL
from fourview.evaluate.table import read_predictions
from fourview.manifest.manifest import read_manifest


def compare(
    a: Path,
    b: Path,
    *,
    manifest: Path,
    protocol: str,
    replicates: int = REPLICATES,
    seed: int = 0,
    workers: int = 1,
    split: str = OF_PROTOCOL,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Compare two predictions tables unit by unit: differences with paired intervals.

    Args:
        a: Predictions of the first model.
        b: Predictions of the second model, for the same units.
        manifest: Folder written by ``fourview index``.
        protocol: Name of the protocol, as ``fourview list protocols`` shows.
        replicates: Replicates of the paired bootstrap; 0 leaves DeLong's test.
        seed: Seed of the bootstrap.
        workers: Threads; the numbers do not depend on it.
        split: Measure this split instead of the protocol's; ``all`` for the whole manifest.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the comparison as JSON.
    """
    use_modules(module)
    find_protocol(protocol)
    comparison = run_compare(
        read_predictions(a)[0],
        read_predictions(b)[0],
        read_manifest(manifest),
        protocol,
        replicates=replicates,
        seed=seed,
        workers=workers,
        split=None if split == "all" else split,
    )
    if json:
        print(jsonlib.dumps(asdict(comparison), ensure_ascii=False, allow_nan=False))
    else:
        _show(comparison)


def _show(comparison: Comparison) -> None:
    say(f"{comparison.protocol}: {counted(comparison.num_units, comparison.unit)} scored by both")
    say(f"intervals: {comparison.interval}")
    width = max(len(label_of(d.name)) for d in comparison.differences)
    say(f"  {'':{width}}  {'A':>7}  {'B':>7}  {'A - B':>7}  95 % interval     p")
    for d in comparison.differences:
        gap = d.difference
        ends = "" if gap.low is None or gap.high is None else f"{gap.low:+.3f} to {gap.high:+.3f}"
        numbers = "  ".join(f"{_text(v):>7}" for v in (d.a, d.b, gap.value))
        p = "" if d.p is None else f"{d.p:.4f}"
        say(f"  {label_of(d.name):{width}}  {numbers}  {ends:16}  {p:6}  {gap.note}")
    for note in comparison.notes:
        say(f"note: {note}")


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
