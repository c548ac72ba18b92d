"""TP4 Thm 7.4 for every program shipped: at its default inputs, finite width tends to the limit."""

from pathlib import Path

import pytest

import tpc
from tpc.expand import random_in_the_limit

PROGRAMS = Path(__file__).parents[2] / "programs"
# digits.tp: test_digits.py
SHIPPED = [path for folder in ("paper", "matrices") for path in sorted((PROGRAMS / folder).glob("*.tp"))]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_finite_width_tends_to_the_limit(path):
    program = tpc.load(path)
    random = random_in_the_limit(program)  # then means over it are compared
    result = program.compile(initial="integrate" if random else None)({})
    report = tpc.verify(
        result.limits, [program.simulate(width=width, seeds=32) for width in (128, 256, 512)], random=random
    )
    assert report.agrees, str(report)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_program_says_where_it_is_from_and_runs_without_data(path):
    assert path.read_text(encoding="utf-8").startswith("# ")
    program = tpc.load(path)
    assert all(given.default is not None for given in program.inputs)
