"""Processes that work together, among which JAX's own sharding shares out samples of a limit, or coordinates
of a finite width."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.machine.files import write_npz


def join(coordinator: str | None, processes: int | None, process: int | None, file: str) -> bool:
    """Makes this process one of several. Returns whether there are several.

    It follows options, or else JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID.

    What neither gives is asked of the cluster (Slurm, MPI, …) by JAX. Returns whether there are several; to
    be called before anything is computed. Raises TpcError (TP602, TP612).
    """
    coordinator = coordinator or os.environ.get("JAX_COORDINATOR_ADDRESS")
    if coordinator is None:
        if processes is not None or process is not None:
            raise TpcError(
                [
                    catalogue.running.bad_option(
                        "--processes", "needs `--coordinator HOST:PORT`, the address of process 0"
                    )
                ],
                file,
            )
        return False
    processes = _number("JAX_NUM_PROCESSES", file) if processes is None else processes
    process = _number("JAX_PROCESS_ID", file) if process is None else process
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise TpcError(
            [catalogue.running.bad_option("--coordinator", f"`{coordinator}` is not of the form HOST:PORT")],
            file,
        )
    if processes is not None and process is not None and not 0 <= process < processes:
        why = f"must be 0 … {processes - 1}, as there are {processes} processes, not {process}"
        raise TpcError([catalogue.running.bad_option("--process", why)], file)
    import jax

    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (RuntimeError, ValueError) as error:
        raise TpcError(
            [catalogue.running.not_joined(coordinator, str(error).splitlines()[0][:200])], file
        ) from None
    return True


def _number(variable: str, file: str) -> int | None:
    text = os.environ.get(variable)
    if text is not None and not text.isdigit():
        raise TpcError([catalogue.running.bad_option(variable, f"`{text}` is not a whole number")], file)
    return None if text is None else int(text)


def several() -> bool:
    import jax

    return bool(jax.process_count() > 1)


def is_first() -> bool:
    """Whether this process is the one that reads and writes for all."""
    import jax

    return bool(jax.process_index() == 0)


def require_agreement(fingerprint: str, name: str) -> None:
    """Raises TpcError (TP613) if processes run different things."""
    from jax.experimental import multihost_utils

    own = np.frombuffer(fingerprint.encode(), dtype=np.uint8)
    if not np.all(np.asarray(multihost_utils.process_allgather(own)) == own):
        raise TpcError([catalogue.running.different_runs()], name, of_program=True)


def arrays_of_first(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What process 0 has, for all processes. arrays: by name; of the others they do not count."""
    if is_first():
        file = io.BytesIO()
        write_npz(file, arrays)
        data = file.getvalue()
    else:
        data = b""
    length = int(_from_first(np.array(len(data))))
    received = _from_first(np.frombuffer(data.ljust(length, b"\0"), dtype=np.uint8))
    with np.load(io.BytesIO(received.tobytes()), allow_pickle=False) as stored:
        return dict(stored.items())


def least(number: float) -> float:
    """The least of the numbers that processes have."""
    from jax.experimental import multihost_utils

    return float(np.min(np.asarray(multihost_utils.process_allgather(np.array(number)))))


def _from_first(array: np.ndarray) -> np.ndarray:
    from jax.experimental import multihost_utils

    found: Any = multihost_utils.broadcast_one_to_all(array)
    return np.asarray(found)
