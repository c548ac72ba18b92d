"""`tpc kernel`: the matrix of a network's kernel for inputs in files."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import TYPE_CHECKING

from tpc.cli.numbers import progress_line
from tpc.cli.shared import OK, load, show

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


def kernel(arguments: argparse.Namespace) -> int:
    """Writes the matrix as an `.npy` file, in strips, and goes on with one that is begun."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.kernels.stream import stream

    program, given = load(arguments)
    x = _array(arguments.x)
    z = None if arguments.z is None else _array(arguments.z)
    found = program.kernels(arguments.network, inputs=given, dtype=arguments.dtype)
    chosen = found.ntk if arguments.kind == "ntk" else found.nngp
    progress = progress_line("rows") if sys.stderr.isatty() else None
    try:
        worst = stream(chosen, x, z, out=arguments.output, strip=arguments.strip, progress=progress)
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TpcError(
            [catalogue.running.cannot_write(str(arguments.output), why)], str(arguments.output)
        ) from None
    if worst is not None:
        print(
            f"warning[{worst.diagnostic.code}]: {worst.diagnostic.message}\n  help: {worst.diagnostic.help}",
            file=sys.stderr,
        )
    shape = [len(x), len(x if z is None else z)]
    show(
        arguments,
        f"{arguments.output}: {arguments.kind} of {found.network}, {shape[0]} x {shape[1]}, "
        f"{arguments.dtype}",
        {
            "program": program.name,
            "network": found.network,
            "kind": arguments.kind,
            "shape": shape,
            "output": str(arguments.output),
            "error": None if worst is None else worst.to_json(),
        },
    )
    return OK


def _array(path: Path) -> np.ndarray:
    """Inputs from an `.npy` file, left on the disk as far as that is possible. Raises TpcError (TP505)."""
    import numpy as np

    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.machine.files import open_regular, read_header

    try:
        with open_regular(path) as file:
            if file.read(2) == b"PK":
                raise ValueError("it holds several arrays, and an .npy file of one is due")
            file.seek(0)
            shape, fortran, dtype = read_header(file)
            if dtype.kind not in "biuf":
                raise ValueError("it holds no numbers")
            if not shape:
                raise ValueError("it holds one number, and inputs are due, one along the first axis")
            if math.prod(shape) * dtype.itemsize != os.fstat(file.fileno()).st_size - file.tell():
                raise ValueError("it is not as long as its header says")
            start = file.tell()
        if not math.prod(shape):
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
    except OSError as error:
        why = error.strerror or "it cannot be read"
    except ValueError as error:
        why = str(error)
    raise TpcError([catalogue.inputs.bad_data(path.name, why)], str(path))
