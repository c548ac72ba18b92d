"""The devices that samples of a limit, or coordinates of a finite width, are shared out over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tpc.core.given import require_whole
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError

if TYPE_CHECKING:
    from jax.sharding import Mesh


def mesh_of(devices: int, name: str) -> Mesh:
    """A mesh of one axis of so many devices of every process, in the order of processes.

    Raises TpcError (TP611) if there are fewer.
    """
    devices = require_whole("--devices", devices, 1, name)
    import jax
    from jax.sharding import Mesh

    there = jax.local_device_count()
    if devices > there:
        raise TpcError(
            [catalogue.running.few_devices(devices, there, jax.default_backend())], name, of_program=True
        )
    chosen = [
        device
        for process in range(jax.process_count())
        for device in [d for d in jax.devices() if d.process_index == process][:devices]
    ]
    return Mesh(np.array(chosen), ("samples",))
