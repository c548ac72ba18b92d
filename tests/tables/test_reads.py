"""Tables that are read step by step are read in the loop that makes them, and what tables print is parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

import tpc
from tpc.core.program import For, OuterMul, instructions
from tpc.core.storage import analyse, build
from tpc.core.table_reads import read_while_there

PROGRAMS = sorted((Path(__file__).parents[2] / "programs" / "optimisers").glob("*.tp"))
NET = """
width n
dim T = 3
input xi[T], y[T], xs[2]
weight U : n x 1
weight W : n x n
weight V : 1 x n
network f(x):
    z = tanh(U @ x)
    return V @ tanh(W @ z)
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update adam(lr = 0.1)
output g[i, t] = f[t](xs[i]) for i < 2 for t < T + 1
output k[t] = mean(f[t+1].z(xs[0])*f[t].z(xs[1])) for t < T
output last = f(xs[0])
"""


def kept_tables(program: tpc.Program) -> list[str]:
    """The tables of which a run keeps an array of members."""
    found = analyse(program, build(program.body))
    return [name for name, s in found.items() if name in program.tables and s.kept]


def test_one_step_of_a_table_is_kept() -> None:
    program = tpc.parse(NET)
    assert kept_tables(program) == ["W_moved"]
    joined = read_while_there(program)
    assert kept_tables(joined) == []
    after = next(k for k, op in enumerate(joined.body) if isinstance(op, For) and op.count.constant == 3)
    last = [op for op, _ in instructions(joined.body[after + 1 :]) if isinstance(op, OuterMul)]
    assert last
    assert all(str(op.table) == "W_moved[3]" for op in last)


GROWING = """
width n
vector u : n ~ N(0, 1)
table A[0] : n x n = 0
for t < 3:
    table A[t+1] : n x n = A[t] + outer(u, u)
"""
WAITING = f"""{GROWING}s = mean((A[3] @ u)^2)
x[t] = s*(A[t] @ u) for t < 4
output q[t] = mean(x[t]*u) for t < 4
"""


def test_what_needs_the_last_step_waits_for_it() -> None:
    program = tpc.parse(WAITING)
    assert read_while_there(program).body == program.body
    assert kept_tables(program) == ["A"]
    assert kept_tables(read_while_there(tpc.parse(WAITING.replace("s*(A", "2*(A")))) == []


CHAIN = f"""{GROWING}x[t] = A[t] @ u for t < 4
{{more}}output q = mean(x[3]*u)
"""


@pytest.mark.parametrize("steps", [3, 4])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_what_one_loop_has_read_the_next_ones_may_read_in_the_same_round(length: int, steps: int) -> None:
    """Of its own step, or of one before; not of a later one, where what would be read is not there yet."""
    links = [f"x{k}[t] = A[t] @ {f'x{k - 1}[t]' if k else 'x[t]'} for t < {steps}\n" for k in range(length)]
    program = tpc.parse(CHAIN.format(more="".join(links)))
    assert kept_tables(program) == ["A"]
    assert kept_tables(read_while_there(program)) == []
    ahead = "z[t] = A[t] @ x[t+1] for t < 3\n"
    assert kept_tables(read_while_there(tpc.parse(CHAIN.format(more="".join(links) + ahead)))) == ["A"]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_what_is_printed_is_the_same_program(path: Path) -> None:
    program = tpc.load(path)
    again = tpc.parse(str(program))
    assert str(again) == str(program)
    assert {o.check for o in again.outputs} == {o.check for o in program.outputs}
