"""The kernels of a network at initialisation as functions of arrays of inputs.

`program.kernels().ntk(X, Z)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tpc.core.given import require_whole
from tpc.core.inputs import check_given
from tpc.core.program import Program
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.kernels.accuracy import Worst
from tpc.kernels.blocks import KernelBlocks
from tpc.kernels.compiled import Pair
from tpc.kernels.kernel_program import tree_of
from tpc.syntax import tree

KINDS = ("nngp", "ntk")


@dataclass(frozen=True, repr=False)
class Kernels:
    """`nngp` and `ntk` of one network."""

    # its name
    network: str
    nngp: Kernel
    ntk: Kernel
    # one program for the two
    both: KernelBlocks

    def __call__(self, x: Any, z: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Both, NNGP first, in the time of the NTK. Shapes and errors as of each."""
        nngp, ntk = self.both.values(x, z)
        return nngp, ntk

    def with_errors(self, x: Any, z: Any = None) -> tuple[Pair, Pair]:
        """(values, errors) of both, as `Kernel.with_error`."""
        (nngp, ntk), _ = self.both.measured(x, z)
        return nngp, ntk

    def __repr__(self) -> str:
        return (
            f"<the kernels of {self.network} in {self.both.program.name}: nngp, ntk, both, {self.both.dtype}>"
        )

    def _repr_html_(self) -> str:
        from tpc.display.html_tables import facts, titled

        return titled(
            f"Kernels of {self.network} in {self.both.program.name}",
            "functions of arrays of inputs",
            facts([*self.nngp.said("nngp"), *self.ntk.said("ntk"), ("dtype", self.both.dtype)]),
        )


@dataclass(frozen=True, repr=False, eq=False)  # scikit-learn looks kernels up in tables
class Kernel:
    """A kernel of a network, as a function of arrays of inputs.

    `kernel(X, Z)` is the array [len(X), len(Z), *positions, *positions] of every input in X with every one in
    Z.

    X and Z are of one shape but for the first axis; without Z it is X, and the entries of an input with
    itself are exact. Where integrals are by quadrature, a `KernelWarning` (TP640) says so if an entry's
    estimated error is more than 1e-6 of √(K(x, x)·K(z, z)).
    """

    blocks: KernelBlocks

    def __call__(self, x: Any, z: Any = None) -> np.ndarray:
        """Raises TpcError for inputs of another shape than the network takes (as for `f(x)`).

        The same for those that are not finite (TP503), and a kernel that does not follow from covariances
        (TP726).
        """
        (found,) = self.blocks.values(x, z)
        return found

    def with_error(self, x: Any, z: Any = None) -> Pair:
        """The array and an estimate of every entry's error, None if all follow in closed form; no warning."""
        (found,), _ = self.blocks.measured(x, z)
        return found

    def function(self) -> Callable[..., Any]:
        """The kernel as a JAX function `f(X, Z)`, or `f(X)`, to be jitted, vmapped and differentiated.

        Shapes are those of a call, and values, too, to rounding; errors are not looked at, and all of X and Z
        is one block. Of one input and another it is `f(x[None], z[None])[0, 0]`. It is in the kernel's
        precision as outputs are (`Evaluator.function`): what JAX transforms is in float32, with a warning,
        where JAX's 64 bits are off. Derivatives of kernels with a kink (the NTK of relu, where an input meets
        itself) are those of the formula beside it, and need not be finite on it.
        Raises TpcError as a call does for shapes that do not fit.
        """
        from tpc.kernels.kernel_functions import kernel_function

        return kernel_function(self.blocks)

    def measured(self, x: Any, z: Any = None) -> tuple[np.ndarray, Worst | None]:
        """The array and its worst entry, if that has an error which is not small."""
        ((values, _),), worst = self.blocks.measured(x, z)
        return values, worst[0] if worst else None

    def diagonal(self, x: Any) -> np.ndarray:
        """The kernel of every input with itself, [len(X), *positions, *positions]."""
        (found,) = self.blocks.diagonals(x)
        return found

    def __repr__(self) -> str:
        blocks = self.blocks
        return f"<the {', '.join(blocks.kinds)} of {blocks.network} in {blocks.program.name}, {blocks.dtype}>"

    def _repr_html_(self) -> str:
        from tpc.display.html_tables import facts, titled

        (kind,) = self.blocks.kinds
        return titled(repr(self)[1:-1], "a function of arrays of inputs", facts(self.said(kind)))

    def said(self, kind: str) -> list[tuple[str, str]]:
        """What a notebook shows of it: how it is called, and the shape of what it gives."""
        positions = "".join(f", {extent}" for extent in (*self.positions, *self.positions))
        return [
            (f"{kind}(X)", f"[len(X), len(X){positions}]"),
            (f"{kind}(X, Z)", f"[len(X), len(Z){positions}]"),
        ]

    @property
    def dtype(self) -> str:
        return self.blocks.dtype

    @property
    def positions(self) -> tuple[int, ...]:
        """The extents of the axes of the network's output."""
        return self.blocks.positions

    @property
    def identity(self) -> str:
        """What its values depend on besides the inputs, as text."""
        return self.blocks.identity


def kernels(
    program: Program,
    network: str | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    dtype: str = "float64",
    positions: Sequence[int] = (),
    block: int | None = None,
) -> Kernels:
    """The kernels of a network of `program` at initialisation, in the NTK parametrization.

    The `std`, `scale` and `lr` of its weights are as declared.

    network: its name; may be left out if there is one only. inputs: those that the network mentions besides
    its argument. dtype: "float64" or "float32". positions: the extents of the axes of the network's output,
    if it has any. Raises TpcError: no such network, or one of several inputs (TP709), a dtype that is neither
    (TP602), inputs that the program does not have or that do not fit (TP50x).
    """
    if dtype not in ("float64", "float32"):
        raise TpcError(
            [catalogue.running.bad_option("dtype", f"must be float64 or float32, not {dtype}")],
            program.name,
            of_program=True,
        )
    if block is not None:
        block = require_whole("block", block, 1, program.name)
    positions = tuple(require_whole("positions", extent, 0, program.name) for extent in positions)
    if inputs is not None:
        check_given(program, inputs)
    statements = () if program.source is None else tree_of(program).statements
    there = {s.name.name: len(s.parameters) for s in statements if isinstance(s, tree.Network)}
    chosen = network if network is not None else next(iter(there)) if len(there) == 1 else ""
    if chosen not in there:
        raise TpcError([catalogue.networks.no_such_network(chosen, [*there])], program.name, of_program=True)
    if there[chosen] != 1:
        raise TpcError(
            [catalogue.networks.several_inputs(chosen, there[chosen])], program.name, of_program=True
        )
    nngp, ntk, both = (
        KernelBlocks(program, chosen, kinds, dtype, positions, dict(inputs or {}), block)
        for kinds in (("nngp",), ("ntk",), KINDS)
    )
    return Kernels(chosen, Kernel(nngp), Kernel(ntk), both)
