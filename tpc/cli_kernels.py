"""`tpc kernel`: the matrix of a network's kernel for inputs in files."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tpc.cli_numbers import progress_line
from tpc.cli_shared import OK, load, show

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


def kernel(arguments: argparse.Namespace) -> int:
    """Writes the matrix as an `.npy` file, in strips, and goes on with one that is begun."""
    from tpc.kernels.stream import stream
    from tpc.syntax import catalogue
    from tpc.syntax.diagnostic import TpcError
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
        raise TpcError([catalogue.cannot_write(str(arguments.output), why)], str(arguments.output)) from None
    if worst is not None:
        print(f"warning[{worst.diagnostic.code}]: {worst.diagnostic.message}\n  help: {worst.diagnostic.help}", file=sys.stderr)
    shape = [len(x), len(x if z is None else z)]
    show(arguments, f"{arguments.output}: {arguments.kind} of {found.network}, {shape[0]} x {shape[1]}, {arguments.dtype}",
         {"program": program.name, "network": found.network, "kind": arguments.kind, "shape": shape, "output": str(arguments.output),
          "error": None if worst is None else worst.to_json()})
    return OK


def _array(path: Path) -> np.ndarray:
    """Inputs from an `.npy` file, left on the disk as far as that is possible. Raises TpcError (TP505)."""
    import numpy as np

    from tpc.syntax import catalogue
    from tpc.syntax.diagnostic import TpcError
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("it holds several arrays, and an .npy file of one is due")
        return found
    except OSError as error:
        why = error.strerror or "it cannot be read"
    except (ValueError, EOFError) as error:
        why = "it holds pickled objects, or is no .npy file" if "pickle" in str(error).lower() else str(error).splitlines()[0]
    raise TpcError([catalogue.bad_data(path.name, why)], str(path))
