"""One command in several processes, which work as one: the first of them prints and writes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tpc.cli.arguments import positive, seed


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


@contextmanager
def working(together: bool) -> Iterator[None]:
    """While processes work together, what connects them prints nothing; then the first one goes on alone."""
    if not together:
        yield
        return
    try:
        with _alone_on_stdout():
            yield
    finally:
        if not isinstance(sys.exception(), KeyboardInterrupt):
            import jax

            jax.distributed.shutdown()  # process 0 goes on alone, the others end


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
