"""The process that ``apart`` decodes in: one line of JSON in, one line out, until the pipe ends.

Nothing is trusted to stay whole here. The kernel ends this process where a frame takes more
processor time than it may, and allocations fail where it asks for more memory.
"""

import functools
import importlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import imagecodecs  # noqa: F401 - imported before the first frame comes
import numpy as np
from PIL import ImageFile  # noqa: F401

PAGE = 1 << 16  # as in ``apart``: samples begin at a multiple of it
MOST_TEXT = 200  # characters of what a codec says


def main() -> None:
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    answers = os.dup(1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # codecs may print
    memory = int(json.loads(sys.stdin.buffer.readline())["memory"])
    importlib.import_module("fourview.dicom.codecs")
    _write(answers, {"ready": True})
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _write(answers, _answer(request, memory))


def _answer(request: dict[str, Any], memory: int) -> dict[str, Any]:
    data = os.pread(memory, request["length"], 0)
    try:
        function = _function(request["function"])
        size = _address_space()
        _limit_memory(None if size is None else size + request["num_bytes"])
        signal.setitimer(signal.ITIMER_PROF, request["seconds"])  # its signal ends the process
        samples = np.ascontiguousarray(function(data, *request["arguments"]))
        start = -(-len(data) // PAGE) * PAGE
        octets: Any = samples.reshape(-1).view(np.uint8)
        rest, pos = memoryview(octets), start
        while rest:
            count = os.pwrite(memory, rest, pos)
            rest, pos = rest[count:], pos + count
    except MemoryError:
        return {"error": "memory"}
    except Exception as error:  # noqa: BLE001 - codecs raise whatever they like
        word = str(error).strip().splitlines()[0:1] or [type(error).__name__]
        return {"error": "codec", "text": word[0][:MOST_TEXT]}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _limit_memory(None)
    return {"start": start, "shape": samples.shape, "dtype": samples.dtype.str}


@functools.cache
def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _limit_memory(most: int | None) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = hard if most is None else most
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    if most is not None or hasattr(os, "memfd_create"):
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    """Bytes of address space in use; None where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[0]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _write(descriptor: int, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]
