"""A CSV file of no bytes, as an interrupted export leaves it."""

import sys
from pathlib import Path

root = Path(sys.argv[1])
root.mkdir(parents=True, exist_ok=True)
(root / "table.csv").write_bytes(b"")
