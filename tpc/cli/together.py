"""One command in several processes, which work as one: the first of them prints and writes."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from tpc.cli.arguments import positive, seed

PATIENCE = 10.0  # seconds that a process in which something is wrong waits for the others
WAITING = "waiting for other processes"


class Interruption(Protocol):
    """What may be a part of what was asked for."""

    @property
    def interrupted(self) -> bool: ...


Found = TypeVar("Found", bound=Interruption)


def add_processes(made: argparse.ArgumentParser, shared: str) -> None:
    """shared: what devices and processes have shares of."""
    made.add_argument(
        "--devices",
        type=positive,
        metavar="N",
        help=f"share the {shared} among so many devices (of each process)",
    )
    made.add_argument(
        "--coordinator", metavar="HOST:PORT", help="run in several processes: the address of process 0"
    )
    made.add_argument("--processes", type=positive, metavar="N", help="how many there are")
    made.add_argument(
        "--process", type=seed, metavar="I", help="which one of them this is, 0 to N-1; process 0 prints"
    )


def joined(arguments: argparse.Namespace) -> bool:
    """Makes this process one of several if it is to be. Sets `silent` for all but the first.

    Returns whether there are several. Raises TpcError (TP602, TP612).
    """
    from tpc.machine import processes

    arguments.silent = bool(arguments.process)  # for what may go wrong before they have joined
    own = arguments.coordinator, arguments.processes, arguments.process
    together = processes.join(*own, str(arguments.file))
    if together:
        import jax

        arguments.silent = jax.process_index() > 0
    return together


def working(together: bool, work: Callable[[], Found]) -> Found:
    """What is found while processes work together, and what connects them prints nothing.

    At the end they wait for each other, and the first one goes on alone. One that is interrupted waits for
    none: the others may not be, and wait for it. Nor does one in which something is wrong, for long: mostly
    that is so in all, but a file cannot be written in one.
    """
    if not together:
        return work()
    try:
        with _alone_on_stdout():
            found = work()
    except Exception:
        waiting = threading.Thread(target=_wait, name=WAITING, daemon=True)
        waiting.start()
        waiting.join(PATIENCE)
        raise
    if not found.interrupted:
        _wait()
    return found


def _wait() -> None:
    import jax

    jax.distributed.shutdown()


def still_waits() -> bool:
    """Whether this process has waited in vain, and would again where it ends."""
    return any(thread.name == WAITING for thread in threading.enumerate())


@contextmanager
def _alone_on_stdout() -> Iterator[None]:
    """Keeps what the libraries that connect processes print out of standard output."""
    sys.stdout.flush()
    own, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(own, 1)
        os.close(own)
        os.close(nowhere)
