"""Ctrl-C heeded where it is safe.

A KeyboardInterrupt inside JAX's tracing or compilation, an import or what Python calls by itself may get lost
there, or end the process.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

LATER = 0.05  # seconds until a Ctrl-C that came where it cannot be heeded comes again
IMPORTING = "<frozen importlib"


@contextmanager
def interruptible_process() -> Iterator[None]:
    """While it is entered no Ctrl-C is lost in a destructor or a callback of the garbage collector, whose
    exceptions Python ignores, and none leaves a module half imported: it comes again a moment later.

    Outside the main thread, and where a program handles the signal itself, nothing is changed.
    """
    if not _ours_to_handle():
        yield
        return
    hook = sys.unraisablehook

    def not_ignored(what: sys.UnraisableHookArgs) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            _come_again()
        else:
            hook(what)

    before = signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = not_ignored
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer) and thread.function is _interrupt_main:
                thread.cancel()
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handles the signal: raises KeyboardInterrupt, but for an import, at whose end it does."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(IMPORTING):
            _come_again()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _come_again() -> None:
    timer = threading.Timer(LATER, _interrupt_main)
    timer.daemon = True
    timer.start()


def _interrupt_main() -> None:
    """Sends the main thread the signal, which ends what it waits for, too, where the system can."""
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)


def _ours_to_handle() -> bool:
    """Whether this is the main thread, with Python's own handling of the signal, or the one here."""
    return threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) in (
        signal.default_int_handler,
        interrupt,
    )


class Interruptible:
    """While it is entered, the first Ctrl-C waits for the next `wait`, which raises KeyboardInterrupt.

    A second one raises it at once.

    Outside the main thread, and where a program handles the signal itself, nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = self.waiting = False
        self.before: Any = None

    def __enter__(self) -> Interruptible:
        if _ours_to_handle():
            self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.waiting or self.asked:
            self.before(number, frame)  # raises it, but for an import
        self.asked = True

    def wait(self, arrays: Any) -> None:
        """Until these JAX arrays are computed, or Ctrl-C, which JAX heeds while it only waits."""
        import jax

        self.check()
        self.waiting = True
        try:
            jax.block_until_ready(arrays)
        finally:
            self.waiting = False

    def result(self, coming: Future[Any]) -> Any:
        """What another thread computes, or Ctrl-C, as in `wait`."""
        self.check()
        self.waiting = True
        try:
            return coming.result()
        finally:
            self.waiting = False

    def check(self) -> None:
        if self.asked:
            raise KeyboardInterrupt
