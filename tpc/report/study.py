"""What a report is of: everything that is found out about one program, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tpc.core.program import Program
from tpc.corrections.powers import order_of
from tpc.derive.limit import Limit
from tpc.evaluate.evaluator import Evaluator
from tpc.evaluate.result import Result
from tpc.pipeline import compile_program, derive_limit
from tpc.plan.options import Options
from tpc.simulate.samples import Samples
from tpc.simulate.verify import Report, verify

if TYPE_CHECKING:
    import numpy as np

# a program at one width
Sampling = Callable[[int], Samples]


@dataclass
class Clock:
    """How long parts of the work took, in s."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timing(self, what: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[what] = time.perf_counter() - begin


@dataclass(frozen=True)
class Study:
    """A program and what was found out about it.

    Without outputs there are no numbers, and without widths no comparison.
    """

    program: Program
    limit: Limit
    evaluator: Evaluator | None
    result: Result | None
    samples: Sequence[Samples]
    comparison: Report | None
    # by what took them
    seconds: Mapping[str, float]


def study(
    program: Program,
    inputs: Mapping[str, np.ndarray],
    options: Options,
    *,
    seed: int = 0,
    widths: Sequence[int] = (),
    sample: Sampling,
    clock: Clock | None = None,
) -> Study:
    """Derives, evaluates, and compares with finite `widths`, which `sample` gives.

    clock: with what took time before. Raises TpcError as these stages do, and KeyboardInterrupt if evaluation
    or sampling is interrupted.
    """
    clock = Clock() if clock is None else clock
    with clock.timing("formulas"):
        limit = derive_limit(program)
    if not program.reported:
        return Study(program, limit, None, None, (), None, clock.seconds)
    with clock.timing("plan and code"):
        evaluator = compile_program(program, options)
    with clock.timing("numbers, compiling them included"):
        result = evaluator(inputs, seed=seed)
    samples = []
    for width in () if result.interrupted else widths:
        with clock.timing(f"width {width}"):
            samples.append(sample(width))
    if result.interrupted or any(s.interrupted for s in samples):
        raise KeyboardInterrupt
    random = result.start is not None
    comparison = verify(result.limits, samples, random=random, order=order_of(program)) if samples else None
    return Study(program, limit, evaluator, result, samples, comparison, clock.seconds)
