"""What is no program is noticed between passes: each kind of damage that a pass could do."""

from dataclasses import replace

import pytest

import tpc
from tests.core.test_storage import random_program
from tpc.core.affine import Affine
from tpc.core.expr import Position, Ref, Sum, Value, add, mul
from tpc.core.program import For, MatMul, Moment, Nonlin, Scalar
from tpc.core.wellformed import InternalError, instances, verified

T = Affine.var("t")
U, X = Value(Ref("u"), True), Value(Ref("x", (T,)), True)
C = Value(Ref("c", (T,)), False)


@pytest.fixture(scope="module")
def program():
    return tpc.parse("""
width n
width m = 2*n
input a, k : index(3)
vector u : n ~ N(0, 1)
vector w : m ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
matrix V : m x n ~ N(0, 1/n)
x[0] = u
for t < 3:
    h[t] = W @ x[t]
    x[t+1] = tanh(h[t]) + a*x[0]
    c[t] = mean(x[t+1]*x[t])
y = V @ x[k]
output c
""")


def damaged(program, name, **fields):
    """The program with another instruction in the place of the one in the loop that makes `name`."""
    loop = next(op for op in program.body if isinstance(op, For))
    body = tuple(replace(op, **fields) if op.out.name == name else op for op in loop.body)
    assert body != loop.body
    return replace(program, body=tuple(replace(op, body=body) if op is loop else op for op in program.body))


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("h", {"operand": Ref("z")}, "z is no family"),
        ("h", {"operand": Ref("x")}, "x has 0 indices, and the family 1"),
        ("h", {"operand": Ref("x", (Affine.var("s"),))}, "out of scope"),
        ("h", {"operand": Ref("w")}, "the sides do not fit"),
        ("h", {"matrix": Ref("A")}, "A is no matrix"),
        ("h", {"matrix": Ref("V")}, "the sides do not fit"),
        ("h", {"matrix": Ref("V"), "transposed": True}, "the sides do not fit"),
        ("h", {"out": Ref("g", (T,))}, "g is no family"),
        ("h", {"out": Ref("c", (T,))}, "the sides do not fit"),
        ("x", {"phi": Value(Ref("z"), True)}, "wrong kind"),
        ("x", {"phi": Value(Ref("u"), False)}, "wrong kind"),
        ("x", {"phi": Value(Ref("w"), True)}, "widths are mixed"),
        ("x", {"phi": add(U, Value(Ref("w"), True))}, "widths are mixed"),
        ("x", {"phi": mul(U, Position(Affine.var("s")))}, "s is out of scope"),
        ("x", {"phi": Sum("t", Affine(2), X)}, "the bound variable t is not free"),
        ("x", {"phi": Sum("s", Affine.var("r"), U)}, "the bound variable s is not free"),
        ("x", {"out": Ref("x", (T,))}, "is made twice"),
        ("x", {"phi": Value(Ref("x", (T + 1,)), True)}, "is used before it is made"),
        ("x", {"phi": Sum("s", T + 2, Value(Ref("x", (Affine.var("s"),)), True))}, "used before it is made"),
        ("c", {"phi": C}, "widths are mixed, or a kind is wrong"),
    ],
)
def test_damage_is_noticed(program, name, fields, why):
    assert verified(program) is program
    with pytest.raises(InternalError, match=why):
        verified(damaged(program, name, **fields))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"transposed": True}, "the sides do not fit"),
        ({"operand": Ref("u")}, "the sides do not fit"),
        ({"out": Ref("z")}, "the sides do not fit"),
        ({"operand": Ref("A")}, "a kind is wrong"),
        ({"table": Ref("v")}, "a kind is wrong"),
        ({"table": Ref("B")}, "B is no family"),
    ],
)
def test_damage_of_products_with_tables_is_noticed(fields, why):
    program = tpc.parse(
        "width n\nwidth m = 2*n\nvector u : m ~ N(0, 1)\nvector v : n ~ N(0, 1)\n"
        "table A : m x n = tanh(outer(u, v))\ny = A @ v\nz = A.T @ u\noutput c = mean(y*u) + mean(z*v)\n"
    )
    (product,) = (op for op in program.body if op.out.name == "y")
    body = tuple(replace(op, **fields) if op is product else op for op in program.body)
    with pytest.raises(InternalError, match=why):
        verified(replace(program, body=body))


@pytest.mark.parametrize("kind", [Nonlin, Scalar])
def test_the_kind_of_an_instruction_is_that_of_its_family(program, kind):
    loop = next(op for op in program.body if isinstance(op, For))
    moment = loop.body[-1]
    assert isinstance(moment, Moment)
    body = (*loop.body[:-1], kind(moment.out, moment.phi))
    with pytest.raises(InternalError):
        verified(replace(program, body=(program.body[0], replace(loop, body=body), *program.body[2:])))


def test_the_instruction_is_named(program):
    with pytest.raises(InternalError, match=r"in `h\[t\] = A @ x\[t\]`"):
        verified(damaged(program, "h", matrix=Ref("A")))


def test_what_an_input_chooses_is_not_looked_for(program):
    """y = V @ x[k] may read any member."""
    last = program.body[-1]
    assert isinstance(last, MatMul)
    assert verified(replace(program, body=program.body)) is not None


@pytest.mark.parametrize("seed", range(12))
def test_instructions_are_counted_as_if_written_out(seed):
    """An instruction for each round, and its references; in triangles at most."""
    program = random_program(seed)
    flat = program.unroll()
    assert instances(program.body) >= instances(flat.body)
    rectangles = tpc.parse(f"""
width n
vector u : n ~ N(0, 1)
for t < {seed}:
    for s < 3:
        c[t, s] = mean(sum(k < 2: u)*u)
output d = mean(u)
""")
    assert instances(rectangles.body) == seed * 3 * (1 + 2 + 1) + 2
