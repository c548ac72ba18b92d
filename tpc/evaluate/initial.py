"""Scalars that are random in the limit, such as the initial function in the kernel regime.

Their law, and their values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.evaluate.choice import Choice, Started
from tpc.expand.random_start import Initial
from tpc.machine.precision import is_traced

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator


def choice_of(initial: Any, program: str) -> Choice:
    """The choice that `initial` stands for: None (seed 0), a seed, "zero", "integrate", or arrays by name.

    Raises TpcError (TP602).
    """
    if initial is None:
        return Choice()
    if isinstance(initial, Mapping):
        return Choice("given", values=initial)
    if isinstance(initial, int) and not isinstance(initial, bool) and 0 <= initial < 2**32:
        return Choice(seed=initial)
    if initial in ("zero", "integrate"):
        return Choice("zero" if initial == "zero" else "integrated")
    why = f"must be seed=N, zero, integrate or a data file, not {initial}"
    raise TpcError([catalogue.running.bad_option("--initial", why)], program, of_program=True)


def require_none(initial: Any, program: str) -> None:
    """Refuses a choice where no scalar is random. Raises TpcError (TP602)."""
    if initial is not None:
        why = "no scalar is random in the limit of this program"
        remedy = "leave it out: there is one limit; `--seed` is of points and matrices"
        raise TpcError([catalogue.running.bad_option("--initial", why, remedy)], program, of_program=True)


@dataclass(frozen=True)
class Start:
    """The scalars of a limit's start."""

    initial: Initial
    choice: Choice
    # of the scalars' covariances
    evaluator: Evaluator = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.initial.scalars)

    def started(self, given: Mapping[str, np.ndarray], among: Collection[str] = ()) -> Started:
        """What a result for these inputs is conditioned on. among: the scalars that were among them."""
        scalars = {name: given[name] for name in self.names}
        if all(name in among for name in self.names):
            return Started(Choice("given", values=scalars), scalars)
        return Started(self.choice, scalars, tuple(name for name in self.names if name in among))

    def covariance(self, inputs: Mapping[str, Any], seed: int = 0) -> Any:
        """The covariance of all scalars, one family after the other, [N, N].

        A JAX function of the inputs, which are the program's.
        """
        names, at = tuple(self.initial.blocks.values()), None if is_traced(dict(inputs)) else inputs
        return self.assembled(self.evaluator.functions(names, seed=seed, at=at)(inputs))

    def assembled(self, blocks: Mapping[str, Any]) -> Any:
        """The table [N, N] of what the outputs of the covariances' program are, or their errors."""
        import jax.numpy as jnp

        slices, size = self.initial.slices, self.initial.size
        table = jnp.zeros((size, size), self.evaluator.plan.dtype)
        for (a, b), name in self.initial.blocks.items():
            at, to = slices[a], slices[b]
            block = blocks[name].reshape(at.stop - at.start, to.stop - to.start)
            table = table.at[to, at].set(block.T).at[at, to].set(block)
        return table

    def split(self, flat: Any) -> dict[str, Any]:
        """The families by name, of an array [N]."""
        slices = self.initial.slices
        return {s.name: flat[slices[s.name]].reshape(s.shape) for s in self.initial.scalars}

    def values(self, inputs: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
        """The scalars by name; where they are integrated over, 0, their mean.

        Raises TpcError (TP501) for one that is not given.
        """
        if self.choice.how == "given":
            return self._given()
        if self.choice.how in ("zero", "integrated"):
            return self.split(np.zeros(self.initial.size))
        return self.drawn(symmetric_root(self.covariance(inputs, seed)))

    def drawn(self, root: Any) -> dict[str, Any]:
        """The scalars that the choice's seed draws, by the root of their covariance."""
        return self.split(root @ np.random.default_rng(self.choice.seed).standard_normal(self.initial.size))

    def _given(self) -> dict[str, Any]:
        """Scalars are called by their own names, or by what they are the start of."""
        out, given = {}, dict(self.choice.values)
        for s in self.initial.scalars:
            called = next((name for name in s.called if name in given), None)
            if called is not None:
                out[s.name] = given[called]
        known = {name for s in self.initial.scalars for name in s.called}
        missing = [s.name for s in self.initial.scalars if s.name not in out]
        errors = [catalogue.scaling.missing_start(missing)] if missing else []
        errors += [
            catalogue.scaling.unknown_start(name, sorted(self.names)) for name in given if name not in known
        ]
        if errors:
            raise TpcError(errors, self.evaluator.program.name, of_program=True)
        return out


def symmetric_root(covariance: Any) -> Any:
    """The symmetric square root of what is a covariance to rounding."""
    import jax.numpy as jnp

    values, vectors = jnp.linalg.eigh((covariance + covariance.T) / 2)
    # what is no more is 0, whose root would not be small
    rounding = 2e-15 if covariance.dtype == "float64" else 1e-6
    least = rounding * len(covariance) * jnp.max(values, initial=0)
    return (vectors * jnp.sqrt(jnp.where(values > least, values, 0))) @ vectors.T
