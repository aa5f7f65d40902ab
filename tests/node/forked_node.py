"""Nodes that start quickly: one process imports everything and forks a node for each line it reads.

A line is the environment of the node as JSON; the answer is its process number.
"""

import json
import os
import signal
import sys
from pathlib import Path

import pydicom  # noqa: F401 - imported before the fork, once for all nodes
import pynetdicom  # noqa: F401
from quick_node import die_at

from fourview.node.run import run_node
from fourview.node.settings import read_settings

if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.environ.update(json.loads(line))
            if os.environ.get("KILL_AT"):
                die_at(Path(os.environ["KILL_AT"]))
            try:
                run_node(read_settings(Path(sys.argv[1])), worker="light_reader")
            finally:
                os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
