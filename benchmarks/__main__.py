"""``make bench``: every benchmark, as ratios against the plain way in the same run.

    python -m benchmarks [NAME ...]     all, or only these

Exits with 1 where a ratio is below its floor. The machine's noise is in both ways alike: read the
ratios, not the seconds.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

NOT_HERE = {
    "__main__",
    "cuda",
    "ap_alignment",
    "film",
    "film_cases",
    "glam_pixels",
    "structure",
    "index",
    "manifest",
    "disks",
    "memory",
    "mutants",
    "mutations",
    "node",
    "node_reader",
    "pectoral",
    "two_views",
}  # long, or figures without a plain way


def main() -> int:
    """Run the benchmarks and print a table."""
    here = Path(__file__).parent
    names = sys.argv[1:] or [
        m.name for m in pkgutil.iter_modules([str(here)]) if m.name not in NOT_HERE
    ]
    low = 0
    print(f"{'ratio':>7} {'floor':>6} {'ours':>10} {'plain':>10}  what")
    for name in names:
        for row in importlib.import_module(f"benchmarks.{name}").run():
            floor = row.get("floor")
            mark = " " if floor is None or row["ratio"] >= floor else "<"
            low += mark == "<"
            print(
                f"{row['ratio']:>6.1f}{mark} {floor if floor is not None else '-':>6} "
                f"{_seconds(row['ours'])} {_seconds(row['plain'])}  {name}: {row['name']}",
                flush=True,
            )
    if low:
        print(f"{low} below their floor", file=sys.stderr)
    return 1 if low else 0


def _seconds(value: float) -> str:
    return f"{value:>8.3f} s" if value >= 1 else f"{value * 1000:>7.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
