"""A process that serves until it is ended, and ends whole: by Ctrl-C or by SIGTERM."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def ended_by_signals(end: Callable[[], object]) -> Iterator[None]:
    """Call ``end`` at each Ctrl-C and SIGTERM, in place of an error wherever the process is.

    Only a process's main thread hears signals; in another thread nothing changes.

    Args:
        end: Asks the work to end, such as an event's ``set``. It may be called at any moment
            and more than once, so it should only set something.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {kind: signal.signal(kind, lambda *_: end()) for kind in SIGNALS}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
