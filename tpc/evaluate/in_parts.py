"""A training loop run in parts.

Its state can be looked at between them, and kept, so that a long run goes on where it was interrupted.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.core.affine import Affine
from tpc.core.dependence import references
from tpc.core.program import For, MatMul, Program, instructions
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.evaluate.sharding import Carried, Points, Shares
from tpc.machine.files import digest, read_arrays, write_whole
from tpc.machine.interrupt import Interruptible
from tpc.machine.memory import refusing
from tpc.machine.precision import in_own_precision

if TYPE_CHECKING:
    from jax.sharding import Mesh


@dataclass(frozen=True, slots=True)
class State:
    """What a loop carries before a round."""

    round: int
    # a tree of arrays
    carried: Any


@dataclass(frozen=True)
class Training:
    """One loop of a program with its inputs and points.

    Where it is cut into parts does not change a bit of what it computes.
    """

    program: Program
    module: types.ModuleType = field(repr=False)
    inputs: Mapping[str, Any] = field(repr=False)
    shares: Shares = field(repr=False)
    # as it is run: the plan's
    loop: For = field(repr=False)
    # of all that its states depend on
    fingerprint: str

    @classmethod
    def of(
        cls,
        program: Program,
        module: types.ModuleType,
        inputs: Mapping[str, np.ndarray],
        points: Points | None,
        identity: str,
        loop: For,
        mesh: Mesh | None = None,
    ) -> Training:
        """The loop of an evaluator whose module can run in parts.

        points: None for coefficients. mesh: of devices.
        """
        import jax

        leaves = {str(k): np.asarray(a) for k, a in enumerate(jax.tree.leaves(points))}
        fingerprint = digest(digest(identity, inputs), leaves)
        out = cls(program, module, {}, Shares.of(module, mesh, points), loop, fingerprint)
        return replace(out, inputs=out.placed(inputs))

    def at(self, points: Points) -> Training:
        """The same loop on other points, with what is compiled for these."""
        made = replace(self, shares=Shares.of(self.module, self.shares.mesh, points), fingerprint="")
        made.__dict__["_functions"] = self._functions
        return made

    @property
    def points(self) -> Points:
        """Points and weights, as arrays."""
        return self.shares.at(self.shares.given)

    @property
    def dtype(self) -> str:
        return str(self.module.DTYPE)

    @property
    def rounds(self) -> int:
        return self.loop.count.const

    @in_own_precision
    def placed(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs on the device, in the precision of the points, so that no part of the run does it again."""
        import jax.numpy as jnp

        bound = {item.name for item in self.program.inputs if item.bound is not None}
        dtype = self.module.DTYPE
        return {
            name: self.shares.whole(jnp.asarray(value) if name in bound else jnp.asarray(value, dtype))
            for name, value in inputs.items()
        }

    @cached_property
    @in_own_precision
    def carried(self) -> Carried:
        """The shapes of what the loop carries, and how it lies on devices."""
        return Carried.of(self.shares, self.inputs)

    @cached_property
    def _functions(self) -> tuple[Any, Any, Any, Any]:
        import jax

        module, at = self.module, self.shares.at

        def begin(inputs: Any, points: Any) -> Any:
            return module.begin(inputs, *at(points))

        def advance(inputs: Any, points: Any, state: Any, start: Any, until: Any) -> Any:
            return module.advance(inputs, *at(points), state, start, until)

        def finish(inputs: Any, points: Any, state: Any, wanted: tuple[str, ...]) -> Any:
            return module.finish(inputs, *at(points), state, wanted)

        shared = self.shares.mesh is not None
        lie, whole = (self.carried.shardings, self.shares.along(None)) if shared else (None, None)
        return (
            jax.jit(begin, out_shardings=lie),
            jax.jit(advance, out_shardings=lie),
            jax.jit(finish, static_argnames="wanted", out_shardings=whole),
            jax.jit(advance, donate_argnames="state", out_shardings=lie),
        )

    @in_own_precision
    def lowered(self, wanted: Sequence[str], *, keep: bool = False) -> dict[str, Any]:
        """What begins the loop, runs it and gives the `wanted` outputs, lowered by JAX.

        It runs in the memory of the state before, unless that is to be kept. Nothing is computed.
        """
        begin, keeping, finish, using = self._functions
        advance = keeping if keep else using
        given, state = self.module.prepared(self.inputs), self.carried.abstract
        return {
            "begin": begin.lower(given, self.shares.given),
            "advance": advance.lower(given, self.shares.given, state, 0, self.rounds),
            "finish": finish.lower(given, self.shares.given, state, tuple(wanted)),
        }

    @in_own_precision
    def memory(self, wanted: Sequence[str], *, keep: bool = False) -> dict[str, int]:
        """Bytes that each of these takes on a device, besides inputs and points.

        That is the compiler's account; nothing else is allocated.
        """
        found = {
            name: part.compile().memory_analysis() for name, part in self.lowered(wanted, keep=keep).items()
        }
        besides = {
            name: part.temp_size_in_bytes + part.output_size_in_bytes - part.alias_size_in_bytes
            for name, part in found.items()
        }
        # all of which is there while outputs are computed from some
        state = besides["begin"] - found["begin"].temp_size_in_bytes
        return {
            "begin": besides["begin"],
            "advance": besides["advance"] + state,
            "finish": besides["finish"] + state,
        }

    # parts

    @in_own_precision
    def start(self) -> State:
        """The state before the first round."""
        with refusing(self.program.name, of_program=True):
            return State(0, self._functions[0](self.inputs, self.shares.given))

    @in_own_precision
    def advance(
        self, state: State, until: int, inputs: Mapping[str, Any] | None = None, *, keep: bool = True
    ) -> State:
        """The state before round `until`.

        inputs: other values of some inputs. keep: or else `state` is used up, its memory taken for the new
        one.
        """
        if not state.round <= until <= self.rounds:
            raise ValueError(
                f"the state is before round {state.round} of {self.rounds}: it cannot be brought to {until}"
            )
        given = (
            self.inputs if inputs is None else self.module.prepared({**self.inputs, **self.placed(inputs)})
        )
        with refusing(self.program.name, of_program=True):
            return State(
                until,
                self._functions[1 if keep else 3](
                    given, self.shares.given, state.carried, state.round, until
                ),
            )

    def again(self, state: State, inputs: Mapping[str, Any] | None = None, *, keep: bool = True) -> State:
        """All rounds once more, from a state after the last one.

        Some inputs may have other values: an epoch after another. keep: as in `advance`.

        Raises ValueError if a round needs more of those before it than what the last one has left.
        """
        if state.round != self.rounds:
            raise ValueError(
                f"the state is before round {state.round} of {self.rounds}, not after the last one"
            )
        if not self.repeatable:
            raise ValueError(
                f"the loop over {self.loop.variable} needs more of its past than the round before"
            )
        return self.advance(State(0, state.carried), self.rounds, inputs, keep=keep)

    @cached_property
    def repeatable(self) -> bool:
        """Whether a round takes from the others only what the one before has left."""
        inside = [op for op, _ in instructions(self.loop.body)]
        made = {op.out.name: op.out for op in inside}
        own = Affine.var(self.loop.variable)
        for op in inside:
            for ref, _ in references(op, ()):
                if ref.name in made:
                    axes = [
                        axis
                        for axis, index in enumerate(made[ref.name].index)
                        if isinstance(index, Affine) and own.variables <= index.variables
                    ]
                    if any(ref.index[axis] not in (own, own + 1) for axis in axes):
                        return False
        return not any(isinstance(op, MatMul) for op in inside)

    @in_own_precision
    def outputs(
        self, state: State, names: Sequence[str] | None = None, inputs: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """Outputs by name as if the loop ended here: of the network trained so far.

        All of them, or those of `names`, with no work for the others.

        What an output has of rounds to come is NaN; beyond the last one it is made after the loop. inputs:
        other values of some inputs, for what comes after the loop.
        """
        wanted = tuple(names if names is not None else self.program.reported)
        found, _ = self._finished(state, wanted, {**self.inputs, **self.placed(inputs or {})})
        return {name: self._so_far(name, np.array(found[name]), state.round) for name in wanted}

    @in_own_precision
    def ended(self, state: State) -> tuple[dict[str, Any], Any]:
        """What the module's `limit` gives: all outputs, and its status, if the loop ends here."""
        return self._finished(state, tuple(output.name for output in self.program.outputs), self.inputs)

    def _finished(
        self, state: State, wanted: tuple[str, ...], inputs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Any]:
        with refusing(self.program.name, of_program=True):
            found: tuple[dict[str, Any], Any] = self._functions[2](
                self.module.prepared(inputs), self.shares.given, state.carried, wanted
            )
            return found

    def _so_far(self, name: str, value: np.ndarray, rounds: int) -> np.ndarray:
        output = next(o for o in self.program.outputs if o.name == name)
        axes = [variable for variable, _ in output.axes]
        own = Affine.var(self.loop.variable)
        for op, _ in instructions(self.loop.body):
            if op.out.name == output.ref.name:
                for made, index in zip(op.out.index, output.ref.index, strict=True):
                    if (
                        made == own
                        and isinstance(index, Affine)
                        and len(index.terms) == 1
                        and index.terms[0][1] == 1
                    ):
                        axis = axes.index(index.terms[0][0])
                        to_come = slice(*(max(0, k - index.const) for k in (rounds, self.rounds)))
                        value[(slice(None),) * axis + (to_come,)] = np.nan
        return value

    # a whole run

    def run(self, every: int, folder: str | Path | None = None) -> Iterator[State]:
        """The state after every so many rounds, and at the end.

        Kept in `folder`, where an interrupted run goes on.

        Interrupted by Ctrl-C or killed, it loses the part that it was at. Raises TpcError: a folder that
        cannot be written (TP606).
        """
        path = None if folder is None else self.path(Path(folder))
        state = self.kept(path)
        if state is None:
            state = self.start()
        else:
            yield state
        running = Interruptible()
        while state.round < self.rounds:
            with running:
                state = self.advance(state, min(self.rounds, (state.round // every + 1) * every))
                running.wait(state.carried)
                if path is not None:
                    self.keep(state, path)
            running.check()
            yield state

    def path(self, folder: Path) -> Path:
        """Where a run keeps its state."""
        return folder / f"{self.program.name}-{self.fingerprint[:16]}.npz"

    @in_own_precision
    def keep(self, state: State, path: Path) -> None:
        """Writes a state, whole or not at all."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, {**self.leaves(state), "fingerprint": np.array(self.fingerprint)})
        except OSError as error:
            raise TpcError(
                [catalogue.running.cannot_write(str(path), error.strerror or str(error))],
                self.program.name,
                of_program=True,
            ) from None

    def kept(self, path: Path | None) -> State | None:
        """The state in a file; None if there is none of this run that can be read."""
        if path is None or not path.exists():
            return None
        try:
            arrays = read_arrays(path)
        except ValueError:
            return None
        if str(arrays.pop("fingerprint", "")) != self.fingerprint:
            return None
        return self.of_leaves(arrays)

    @in_own_precision
    def leaves(self, state: State) -> dict[str, np.ndarray]:
        """A state as arrays by name, which do not depend on the number of devices."""
        return {
            "round": np.array(state.round),
            **{str(k): array for k, array in enumerate(self.carried.stored(state.carried))},
        }

    @in_own_precision
    def of_leaves(self, arrays: Mapping[str, np.ndarray]) -> State:
        """The state that was written as these arrays."""
        return State(
            int(arrays["round"]), self.carried.placed([arrays[str(k)] for k in range(len(self.carried.like))])
        )
