"""``fourview node`` with a worker that needs no torch: python quick_node.py node.toml [--once]."""

import sys
from pathlib import Path

from fourview.errors import FourviewError
from fourview.node.run import run_node
from fourview.node.settings import read_settings

if __name__ == "__main__":
    try:
        run_node(
            read_settings(Path(sys.argv[1])), once="--once" in sys.argv, worker="quick_reader"
        )
    except FourviewError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(3)
