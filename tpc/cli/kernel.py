"""`tpc kernel`: the matrix of a network's kernel for inputs in files."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.cli.arguments import add_command, positive
from tpc.cli.numbers import progress_line
from tpc.cli.shared import OK, load, require_writable, show

if TYPE_CHECKING:
    import numpy as np


def add_kernel(commands: Any) -> None:
    made = add_command(
        commands,
        "kernel",
        kernel,
        "write the matrix of a network's NNGP kernel or NTK to a file, resuming one that is begun",
    )
    made.add_argument(
        "-x", type=Path, required=True, metavar="X.npy|X.csv", help="inputs, one along the first axis"
    )
    made.add_argument(
        "-z", type=Path, metavar="Z.npy|Z.csv", help="inputs of the columns; those of the rows, if left out"
    )
    made.add_argument(
        "-o", "--output", type=Path, required=True, metavar="K.npy", help="the file of the matrix"
    )
    made.add_argument("--kind", choices=("nngp", "ntk"), default="ntk", help="which kernel")
    made.add_argument("--network", metavar="NAME", help="which one, if there are several")
    made.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="the precision")
    made.add_argument(
        "--strip", type=positive, metavar="N", help="rows that are computed and written at once"
    )


def kernel(arguments: argparse.Namespace) -> int:
    """Writes the matrix as an `.npy` file, in strips, and goes on with one that is begun."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.kernels.kernels import kernels
    from tpc.kernels.stream import OccupiedError, stream

    require_writable(arguments.output, (".npy",))
    program, given = load(arguments)
    x = _array(arguments.x)
    z = None if arguments.z is None else _array(arguments.z)
    found = kernels(program, arguments.network, inputs=given, dtype=arguments.dtype)
    chosen = found.ntk if arguments.kind == "ntk" else found.nngp
    progress = progress_line("rows") if sys.stderr.isatty() else None
    try:
        worst = stream(chosen, x, z, out=arguments.output, strip=arguments.strip, progress=progress)
    except (OccupiedError, OSError) as error:
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
    """Inputs from an `.npy` file, left on the disk as far as that is possible, or a `.csv` table.

    Raises TpcError (TP505).
    """
    return _table(path) if path.suffix == ".csv" else _mapped(path)


def _table(path: Path) -> np.ndarray:
    """The table as an array, or the columns `x[0]`, `x[1]`, … of one that names its columns."""
    from tpc.core.inputs import load_data
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    arrays = load_data(path)
    if len(arrays) == 1 or "x" in arrays:
        return arrays.get("x", next(iter(arrays.values())))
    why = f"it has {', '.join(sorted(arrays))}, and the columns x[0], x[1], … are due, or numbers alone"
    raise TpcError([catalogue.inputs.bad_data(path.name, why)], str(path))


def _mapped(path: Path) -> np.ndarray:
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
