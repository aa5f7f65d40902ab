"""Decode in a process of its own, which may crash, hang or run out of memory alone.

Why:     codecs are C and C++ code. A crafted frame can end the process that decodes it, loop for
         ever or take all memory, and no check before decoding finds every such frame.
How:     a process is started with the first compressed frame and kept for the next ones. Frames go
         there and samples come back through memory that both processes hold; the pipes between
         them carry one line of JSON each way, never a pickle.
Limits:  processor time (the kernel ends the process), memory (allocations fail) and, in case it
         only waits, time on the clock.
Threads: each thread that decodes at the same time has a process; idle ones are used again.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from fourview.errors import DamagedPixelsError, FourviewError, HostileFileError

PAGE = 1 << 16  # samples begin at a multiple of it in the shared memory
KEEP_BYTES = 64 << 20  # of shared memory that an idle process keeps; a usual frame has 20 MB
START_TIMEOUT_S = 120.0  # importing the codecs from a slow disk, or on a machine that is overloaded
WAITS = 8  # how much longer than its processor time a frame may take where many share a core
_MAIN = "import sys; sys.path[:] = sys.argv[1:]; from fourview.dicom.apart_main import main; main()"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one frame may cost.

    Attributes:
        seconds: Seconds of processor time.
        num_bytes: Memory beyond that of the process that has done nothing yet.
    """

    seconds: float
    num_bytes: int


def limits_for(pixels: int) -> Limits:
    """Limits for a frame of so many pixels: several times what the slowest codec takes.

    JPEG 2000, the slowest and largest, takes 0.08 s per megapixel and 7 bytes of memory per pixel.
    """
    return Limits(seconds=10 + 0.5e-6 * pixels, num_bytes=(256 << 20) + 16 * pixels)


def decode_apart(
    function: Callable[..., Shaped[np.ndarray, "..."]],
    data: bytes,
    *arguments: Any,
    limits: Limits,
) -> Shaped[np.ndarray, "..."]:
    """What ``function(data, *arguments)`` gives, computed in another process.

    Args:
        function: Importable by name; it takes bytes and gives an array.
        data: What is decoded.
        arguments: Numbers, text, None, and lists of these.
        limits: What it may cost.

    Raises:
        DamagedPixelsError: The function raised, or its process died or took too long.
        HostileFileError: It needs more memory than ``limits`` allow.
        FourviewError: No process can be started.
    """
    decoder = _POOL.take()
    try:
        samples = decoder.run(
            f"{function.__module__}:{function.__qualname__}", data, arguments, limits
        )
    except BaseException:
        if decoder.is_alive and not decoder.is_busy:
            _POOL.give(decoder)  # it answered that it cannot decode this
        else:
            decoder.stop()
        raise
    _POOL.give(decoder)
    return samples


def start_decoder() -> None:
    """Start a process in the background, so that the first frame need not wait for it."""
    _POOL.give(_POOL.take())


class _Decoder:
    """One process, its pipes, and the memory that both sides hold."""

    def __init__(self) -> None:
        self.is_ready = False
        self.is_busy = False
        self.memory = _shared_memory()
        package = str(Path(__file__).parents[2])
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _MAIN, package, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(self.memory,),
                env={**os.environ, **single},
                bufsize=0,
            )
            self._send({"memory": self.memory})
        except OSError as error:
            os.close(self.memory)
            raise FourviewError(
                f"no process can be started to decode in ({error.strerror}); close other programs "
                "and try again"
            ) from error

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def run(
        self, function: str, data: bytes, arguments: tuple[Any, ...], limits: Limits
    ) -> Shaped[np.ndarray, "..."]:
        self.is_busy = True
        if not self.is_ready:
            self._wait_ready()
        _write_all(self.memory, data, 0)
        self._send(
            {
                "function": function,
                "length": len(data),
                "arguments": arguments,
                "seconds": limits.seconds,
                "num_bytes": limits.num_bytes,
            }
        )
        answer = self._answer(limits.seconds * WAITS)
        if answer is None:
            raise DamagedPixelsError(self._why_gone(limits))
        self.is_busy = False
        if "error" in answer:
            if answer["error"] == "memory":
                raise HostileFileError(
                    "decoding the compressed pixels needs more than "
                    f"{limits.num_bytes >> 20:,} MB of memory; refused"
                )
            raise DamagedPixelsError(
                f"the compressed pixels cannot be decoded ({answer['text']}); fetch the file again"
            )
        return self._samples(answer)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        self.forget()

    def forget(self) -> None:
        """Close this side's files; an idle process then leaves by itself."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        os.close(self.memory)

    def _wait_ready(self) -> None:
        if self._answer(START_TIMEOUT_S) != {"ready": True}:
            code = self.process.poll()
            raise FourviewError(
                f"the process to decode in did not start (exit code {code}); is the package "
                "imagecodecs installed for this Python?"
            )
        self.is_ready = True

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    def _answer(self, seconds: float) -> dict[str, Any] | None:
        """The next line; None where the process ended or the time is over."""
        assert self.process.stdout is not None
        deadline, line = time.monotonic() + seconds, b""
        pipe = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return None
            part = os.read(pipe, 1 << 16)
            if not part:
                return None
            line += part
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _why_gone(self, limits: Limits) -> str:
        if self.process.stdout is not None and not self.process.stdout.closed:
            try:
                code = self.process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                code = -signal.SIGPROF  # it hangs: reported like one that computed for too long
        if code == -signal.SIGPROF:
            return (
                f"decoding the compressed pixels took longer than {limits.seconds:.0f} s and was "
                "ended; fetch the file again"
            )
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return (
            f"decoding the compressed pixels ended its process ({name}): they are damaged; "
            "fetch the file again"
        )

    def _samples(self, answer: dict[str, Any]) -> Shaped[np.ndarray, "..."]:
        samples = np.empty(answer["shape"], dtype=answer["dtype"])
        octets: Any = samples.reshape(-1).view(np.uint8)
        target, pos = memoryview(octets), int(answer["start"])
        while target:
            count = os.preadv(self.memory, [target], pos)
            if count == 0:
                raise DamagedPixelsError("decoding gave fewer samples than it said")
            target, pos = target[count:], pos + count
        if pos > KEEP_BYTES:
            os.ftruncate(self.memory, 0)
        return samples


class _Pool:
    """Idle processes of this process; a fork starts with none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[_Decoder] = []

    def take(self) -> _Decoder:
        with self.lock:
            while self.idle:
                decoder = self.idle.pop()
                if decoder.is_alive:
                    return decoder
                decoder.stop()
        return _Decoder()

    def give(self, decoder: _Decoder) -> None:
        with self.lock:
            self.idle.append(decoder)
            spare = self.idle[: -(os.cpu_count() or 1)]
            del self.idle[: len(spare)]
        for each in spare:
            each.stop()

    def clear(self) -> None:
        """End all idle processes; called at exit."""
        with self.lock:
            idle, self.idle = self.idle, []
        for decoder in idle:
            decoder.stop()

    def after_fork(self) -> None:
        """The processes are the parent's: only our copies of their pipes are closed."""
        idle, self.idle, self.lock = self.idle, [], threading.Lock()
        for decoder in idle:
            decoder.forget()
            decoder.process.returncode = 0  # not ours to wait for


_POOL = _Pool()
os.register_at_fork(after_in_child=_POOL.after_fork)
atexit.register(_POOL.clear)


def _shared_memory() -> int:
    """A file without a name that is memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("fourview-frame", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _write_all(descriptor: int, data: bytes | memoryview, pos: int) -> None:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(descriptor, rest, pos)
        rest, pos = rest[count:], pos + count
