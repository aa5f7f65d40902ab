"""Memory that a process frees and asks for again is not mapped again."""

import json
import os
import subprocess
import sys

import pytest

from fourview.nn.memory import SWITCH, keep_memory

PAGES_OF_A_BLOCK = 16_000  # of 4 KiB: 64 MB; below 32 MB the C library keeps some by itself

CHILD = """
import json, resource, sys
import torch
from fourview.nn.memory import keep_memory
from fourview.predict.engine import Engine

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def block():
    torch.empty(16_000_000).fill_(1)

if sys.argv[1] == "engine":
    Engine().prepare(torch.nn.Linear(1, 1))
else:
    kept = keep_memory()
for _ in range(8):  # small things may lie on a block that was freed: then it is another's turn
    block()
before = faults()
for _ in range(10):
    block()
print(json.dumps(faults() - before))
"""


def faults_of_ten_blocks(way, switch="1"):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, way],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, SWITCH: switch, "OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout)


needs_glibc = pytest.mark.skipif(
    "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or "" if hasattr(os, "confstr") else ""),
    reason="only glibc can keep memory",
)


@needs_glibc
def test_blocks_are_mapped_once_after_keep_memory():
    assert faults_of_ten_blocks("keep") < PAGES_OF_A_BLOCK


@needs_glibc
def test_an_engine_on_a_processor_keeps_memory():
    assert faults_of_ten_blocks("engine") < PAGES_OF_A_BLOCK


@needs_glibc
def test_the_switch_leaves_the_c_library_alone():
    assert faults_of_ten_blocks("keep", switch="0") > 9 * PAGES_OF_A_BLOCK


def test_without_mallopt_nothing_is_kept_and_nothing_breaks(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    assert keep_memory() is False
