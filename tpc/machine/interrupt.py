"""Ctrl-C heeded where it is safe.

A KeyboardInterrupt inside JAX's tracing or compilation may get lost there, or end the process.
"""

from __future__ import annotations

import signal
import threading
from concurrent.futures import Future
from types import FrameType, TracebackType
from typing import Any


class Interruptible:
    """While it is entered, the first Ctrl-C waits for the next `wait`, which raises KeyboardInterrupt.

    A second one raises it at once.

    Outside the main thread, and where a program handles the signal itself, nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = self.waiting = False
        self.before: Any = None

    def __enter__(self) -> Interruptible:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.waiting or self.asked:
            raise KeyboardInterrupt
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
