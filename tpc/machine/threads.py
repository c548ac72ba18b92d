"""Threads of NumPy's linear algebra.

Drawing points takes small products only. OpenBLAS shares even these out, and its threads then wait in loops
that take the processors from what JAX computes beside it: half of a run's processor time, and more on a busy
machine.
"""

from __future__ import annotations

import os
import sys

VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread_for_numpy() -> None:
    """If NumPy is not imported yet, and nothing is said of its threads."""
    if "numpy" not in sys.modules and not any(name in os.environ for name in (*VARIABLES, "OMP_NUM_THREADS")):
        os.environ |= dict.fromkeys(VARIABLES, "1")
