"""Evaluation of limits: plan, emit, and run just the emitted source."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tpc.core.program import Program
from tpc.emit.module import emit, planned
from tpc.hilbert.plan import Plan, UnrepresentableError
from tpc.inputs import bind_inputs, require_memory
from tpc.result import Outcome, Result
from tpc.syntax import catalogue
from tpc.syntax.diagnostic import TpcError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluator:
    """A program's limit as code. `source` is a module that stands alone; calling the evaluator runs just that."""

    program: Program
    plan: Plan
    source: str = field(repr=False)

    @cached_property
    def module(self) -> types.ModuleType:
        """The emitted module, executed."""
        import jax
        if self.plan.dtype == "float64":
            jax.config.update("jax_enable_x64", True)
        made = types.ModuleType(f"tpc_{self.program.name}")
        exec(compile_source(self.source, self.program.name), made.__dict__)
        return made

    def __call__(self, inputs: Mapping[str, Any] | None = None, *, seed: int = 0, progress: Progress | None = None) -> Result:
        """Evaluates the limit.

        inputs: arrays by name; those with a default may be left out. progress: called with the repeats done and all.
        Returns every output with its standard error (None where exact). Raises TpcError for inputs that do not fit (TP50x, TP406) and for values
        that are not finite (TP603).
        """
        if not self.program.outputs:
            raise TpcError([catalogue.nothing_to_run(self.program.name)], self.program.name, of_program=True)
        require_memory(self.plan.memory, self.program.name, of_program=True)
        given = bind_inputs(self.program, inputs or {})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            found = self.module.run(given, seed=seed, progress=progress)
        outputs = {}
        for output in self.program.outputs:                        # in the program's order; jit sorts by name
            value, stderr = found[output.name]
            outputs[output.name] = Outcome(np.asarray(value), None if stderr is None else np.asarray(stderr))
        bad = [name for name, outcome in outputs.items() if not np.all(np.isfinite(outcome.value))]
        if bad:
            raise TpcError([catalogue.diverged(bad)], self.program.name, of_program=True)
        return Result(self.program.name, self.plan, outputs, tuple(str(w.message) for w in caught if issubclass(w.category, UserWarning)))


def compile_source(source: str, name: str) -> types.CodeType:
    return compile(source, f"<limit of {name}>", "exec")


def compile_program(program: Program, *, method: str = "auto", samples: int | None = None, repeats: int | None = None, dtype: str = "float64",
                    max_rank: int | None = None) -> Evaluator:
    """The evaluator of a program's limit.

    method: "auto" (the cheapest exact one, else nodes), "linear" or "nodes". samples: points of a repeat (nodes), at least 2. repeats: independent
    randomisations, at least 2. dtype: "float64" or "float32". max_rank: the most directions kept for one side of a matrix.
    Raises TpcError: a method that cannot represent the program (TP601), options out of range (TP602).
    """
    for option, value, least in (("--samples", samples, 2), ("--repeats", repeats, 2), ("--max-rank", max_rank, 1)):
        if value is not None and value < least:
            raise TpcError([catalogue.bad_option(option, f"must be at least {least}, not {value}")], program.name, of_program=True)
    if dtype not in ("float64", "float32"):
        raise TpcError([catalogue.bad_option("--dtype", f"must be float64 or float32, not {dtype}")], program.name, of_program=True)
    if method not in ("auto", "linear", "nodes"):
        raise TpcError([catalogue.bad_option("--method", f"must be auto, linear or nodes, not {method}")], program.name, of_program=True)
    try:
        plan, parts, layout = planned(program, method=method, samples=samples, repeats=repeats, dtype=dtype, max_rank=max_rank)
    except UnrepresentableError as error:
        raise TpcError([catalogue.not_representable(method, str(error))], program.name, of_program=True) from None
    return Evaluator(program, plan, emit(program, plan, parts, layout))
