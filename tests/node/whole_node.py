"""``fourview node`` as a user starts it: python whole_node.py node.toml."""

import sys

from fourview.cli.main import main

if __name__ == "__main__":
    main(["node", *sys.argv[1:]])
