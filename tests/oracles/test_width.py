"""TP4 Thm 7.4 for every program shipped: at its default inputs, finite width tends to the limit."""

import re
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.values import values_only
from tpc.expand import random_in_the_limit

PROGRAMS = Path(__file__).parents[2] / "programs"
# digits.tp: test_digits.py
SHIPPED = [path for folder in ("paper", "matrices") for path in sorted((PROGRAMS / folder).glob("*.tp"))]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_finite_width_tends_to_the_limit(path):
    program = tpc.load(path)
    random = random_in_the_limit(program)  # then means over it are compared
    result = program.compile(initial="integrate" if random else None)({})
    if not random:
        require_small_errors(result)
    report = tpc.verify(
        result.limits, [program.simulate(width=width, seeds=32) for width in (128, 256, 512)], random=random
    )
    assert report.agrees, str(report)


def require_small_errors(result):
    for name, outcome in result.outputs.items():
        if outcome.stderr is not None:
            assert np.all(outcome.stderr <= 0.02 * np.maximum(0.1, np.abs(outcome.value))), name


def test_every_other_program_has_small_standard_errors_by_default():
    """Of those that need data, and of kernels, there are tests of their own."""
    for path in sorted(PROGRAMS.glob("*/*.tp")):
        outputs = re.findall(r"^output (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if set(outputs) == {"S", "Θ"}:
            continue
        program = tpc.load(path)
        shown = path in SHIPPED and not random_in_the_limit(program)
        if not shown and all(given.default is not None for given in program.inputs):
            require_small_errors(values_only(program.compile())({}))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_program_says_where_it_is_from_and_runs_without_data(path):
    assert path.read_text(encoding="utf-8").startswith("# ")
    program = tpc.load(path)
    assert all(given.default is not None for given in program.inputs)
