"""A process that serves ends whole, by either signal, and hears them only while it serves."""

import os
import signal
import threading

import pytest

from fourview.jobs.ending import SIGNALS, ended_by_signals


def test_each_signal_asks_to_end_and_raises_nothing():
    before = [signal.getsignal(kind) for kind in SIGNALS]
    for kind in SIGNALS:
        asked = []
        with ended_by_signals(lambda asked=asked: asked.append(1)):
            os.kill(os.getpid(), kind)
            os.kill(os.getpid(), kind)
        assert asked == [1, 1]
    assert [signal.getsignal(kind) for kind in SIGNALS] == before


def test_signals_are_as_before_after_an_error():
    before = [signal.getsignal(kind) for kind in SIGNALS]
    with pytest.raises(RuntimeError), ended_by_signals(lambda: None):
        raise RuntimeError
    assert [signal.getsignal(kind) for kind in SIGNALS] == before


def test_another_thread_changes_nothing():
    seen = []

    def serve():
        with ended_by_signals(lambda: None):
            seen.append([signal.getsignal(kind) for kind in SIGNALS])

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    assert seen == [[signal.getsignal(kind) for kind in SIGNALS]]
