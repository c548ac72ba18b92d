"""The rules of TP4 Def 7.3, against what the paper and TP3 derive by hand."""

import subprocess
import sys

import numpy as np
import pytest

import tpc
from tpc.core.expr import MINUS_ONE, ONE, ZERO, Ref, Sum, Value, add, delta, mul, number, power, summed
from tpc.derive import Limit, ZDot, ZHat, ZMatMul, ZMoment, ZNonlin, derive
from tpc.derive.evaluate import cholesky
from tpc.derive.nodes import Affine, Expectation, Ring, Z
from tpc.derive.partials import IndexRange, simplified

from .programs import two_layers, wishart


def limit(text: str) -> Limit:
    return derive(tpc.parse(text))


def z(name: str, *index: int) -> Z:
    return Z(Ref(name, tuple(map(Affine, index))))


def tanh_prime(x: Z) -> object:
    from tpc.core.expr import call

    return add(ONE, mul(MINUS_ONE, power(call("tanh", x), number(2))))


def test_tp4_theorem_6_4_zdot_of_the_first_step_is_the_hand_derived_one() -> None:
    """Ż^{W x_1} = −χ_0 ξ_0 ξ_1 Z^{dh_0} E φ'(Z^{h_1}) φ'(Z^{h_0})."""
    unrolled = limit(two_layers(2)).unroll()
    dot = unrolled.dot("h$1[1]")

    def xi(t: int) -> Value:
        return Value(Ref("xi", (Affine(t),)), False)

    expected = {
        MINUS_ONE,
        xi(0),
        xi(1),
        Ring(Ref("chi", (Affine(0),))),
        z("dh", 0),
        Expectation(mul(tanh_prime(z("h0", 1)), tanh_prime(z("h0", 0)))),
    }  # type: ignore[arg-type]
    assert set(dot.value.factors) == expected  # type: ignore[attr-defined]
    assert (
        str(dot).split("  (")[0].rstrip()
        == "Ż^{W x[1]} = -ξ[1]·χ̊[0]·ξ[0]·E[tanh'(Z^{h0[1]})·tanh'(Z^{h0[0]})]·Z^{dh[0]}"
    )
    assert unrolled.dot("h$1[0]").terms == ()


def test_tp4_theorem_6_4_for_general_t_is_derived_with_t_a_symbol() -> None:
    rolled = limit(two_layers(5))
    assert "Ż^{W x[t]} = Σ_{s<t} " in str(rolled.dot("h$1"))
    assert "·Z^{dh[s]}" in str(rolled.dot("h$1"))
    assert "Ż^{Wᵀ dh[t]} = Σ_{s≤t} E[∂Z^{dh[t]}/∂Ẑ^{W x[s]}]·Z^{x[s]}" in str(rolled.dot("dx$1"))
    assert "∂Z^{U[t+1]}/∂Ẑ^{Wᵀ dh[s]} = ∂Z^{U[t]}/∂Ẑ^{Wᵀ dh[s]} + " in str(rolled.partial("U", "dx$1"))


def test_derivation_does_not_grow_with_the_number_of_rounds() -> None:
    few, many = (limit(two_layers(rounds)) for rounds in (3, 1000))
    assert len(few.formulas) == len(many.formulas)
    assert str(few).replace("< 3", "< 1000").split() == str(many).split()


def test_tp4_remark_f1_derivatives_by_symbol_differ_and_zdot_does_not() -> None:
    """x = φ(W(y+z)) and x = φ(Wy + Wz): Ż^{Wᵀx} = (Z^y + Z^z) E φ'."""
    head = "width n\nmatrix W : n x n ~ N(0, 1/n)\nvector y : n ~ N(0, 1)\nvector z : n ~ N(0, 1)\n"
    one = limit(head + "s = y + z\nh = W @ s\nx = tanh(h)\ng = W.T @ x\noutput m = mean(g*y)")
    two = limit(head + "a = W @ y\nb = W @ z\nh = a + b\nx = tanh(h)\ng = W.T @ x\noutput m = mean(g*y)")
    slope = Expectation(tanh_prime(z("h")))  # type: ignore[arg-type]
    assert one.dot("g").value == mul(slope, z("s"))
    assert two.dot("g").value == add(mul(slope, z("y")), mul(slope, z("z")))
    values = [found.evaluate(samples=1 << 14)["m"] for found in (one, two)]
    assert values[0] == pytest.approx(values[1], abs=2e-3)


def test_rules_are_kept_in_program_order() -> None:
    found = limit(wishart(1))
    assert [f.rule for f in found.formulas] == ["ZInit", "ZMatMul", "ZMatMul", "ZMoment"]
    assert [str(f.of) for f in found.formulas] == ["v", "y0", "z0", "m"]
    product = found["z0"]
    assert isinstance(product, ZMatMul)
    assert isinstance(product.hat, ZHat)
    assert isinstance(product.dot, ZDot)
    assert isinstance(found["m"], ZMoment)


@pytest.mark.parametrize(("k", "catalan"), [(1, 1), (2, 2), (3, 5)])
def test_tp3_wishart_moments_by_the_formulas(k: int, catalan: int) -> None:
    assert limit(wishart(k)).evaluate(samples=1 << 14)["m"] == pytest.approx(catalan, rel=2e-3)


WIDTHS = """
width n
input c = 2
width m = c*n
matrix W : n x m ~ N(0, 3/m)
vector x : m ~ N(0, 1)
vector y : n ~ N(0, 1)
a = W.T @ y
b = W @ a
p = W @ x
q = W.T @ p
output wwt = mean(y*b)
output wtw = mean(x*q)
output wx = mean(p^2)
output wty = mean(a^2)
"""


def test_width_ratios_as_in_tp3() -> None:
    """With ρ = rows/columns = 1/c: WWᵀy holds σ²y, WᵀWx holds ρσ²x; variances σ² and ρσ²."""
    found = limit(WIDTHS)
    assert found.dot("b").value == mul(number(3), z("y"))
    values = found.evaluate({"c": 2.0}, samples=1 << 14)
    assert [values[k] for k in ("wwt", "wtw", "wx", "wty")] == pytest.approx([3, 1.5, 3, 1.5], rel=5e-3)
    assert [str(found.closed[k]) for k in ("wwt", "wtw", "wx", "wty")] == ["3", "3/c", "3", "3/c"]


STEIN = """
width n
width m = 2*n
matrix W : n x m ~ N(0, 3/m)
vector v : m ~ N(0, 1)
vector u : n ~ N(0, 1)
y = W @ v
y2 = W @ {second}
x = {phi}
z = W.T @ x
output p = mean(z*v)
a = W.T @ u
b = W @ (tanh(a){where})
output q = mean(b*u)
"""


@pytest.mark.parametrize("second", ["v", "(v + v^2)"])
def test_stein_agrees_with_the_derivative_form(second: str) -> None:
    """Remark F.2: a = C⁺b, with factor ρ for Wᵀ and 1/ρ for W, also where C is singular. A `where` that
    changes nothing makes it Stein's."""
    smooth = limit(STEIN.format(phi="tanh(y + y2)", where="", second=second))
    stein = limit(
        STEIN.format(
            phi="tanh(y + y2) + 0*step(y) + 0*step(y2)", where=" + where(a < 0, 0, 0)", second=second
        )
    )
    assert (smooth.dot("z").form, smooth.dot("b").form) == ("derivative", "derivative")
    one, two = (found.evaluate(samples=1 << 14) for found in (smooth, stein))
    assert stein.dot("z").form == "stein" or stein.dot("b").form == "stein"
    assert one["p"] == pytest.approx(two["p"], rel=4e-3)
    assert one["q"] == pytest.approx(two["q"], rel=4e-3)


def test_relu_has_the_derivative_form_and_its_derivative_steins() -> None:
    text = (
        "width n\n"
        "matrix W : n x n ~ N(0, 1/n)\n"
        "vector v : n ~ N(0, 1)\n"
        "y = W @ v\n"
        "x = {}\n"
        "z = W.T @ x\n"
        "output m = mean(z*v)"
    )
    assert limit(text.format("relu(y)")).dot("z").form == "derivative"
    found = limit(text.format("step(y)"))
    assert found.dot("z").form == "stein"
    assert str(found.closed["m"]) == "sqrt(2)/(2*sqrt(pi))"
    assert found.evaluate(samples=1 << 14)["m"] == pytest.approx(1 / np.sqrt(2 * np.pi), rel=5e-3)


def test_what_does_not_depend_on_a_product_owes_it_nothing() -> None:
    found = limit(wishart(1) + "u = A @ v\n")
    assert found.dot("u").terms == ()


def test_names_as_the_user_writes_them() -> None:
    found = limit(two_layers(3).replace("chi", "χ"))
    assert found["χ"] == found["chi"] == found["chi[t]"]
    assert found["χ[1]"].of == Ref("chi", (Affine(1),))
    assert [str(f.of) for f in found["V"]] == ["V[0]", "V[t+1]"]  # type: ignore[union-attr]
    assert isinstance(found["V[t+1]"], ZNonlin)
    assert str(found["V[2]"].of) == "V[2]"
    assert "Z^{h[1]} = Z^{W x[1]} - χ̊[0]·E[Z^{x[0]}·Z^{x[1]}]·Z^{dh[0]}" in str(found["h[1]"])
    with pytest.raises(KeyError, match="no h\\[7\\] in this limit"):
        found["h[7]"]
    with pytest.raises(KeyError, match="no hh in this limit"):
        found["hh"]


def test_deriving_does_not_load_sympy() -> None:
    program = "width n\nvector v : n ~ N(0, 1)\noutput m = mean(v^2)"
    code = (
        f"import sys, tpc, tpc.derive; tpc.derive.derive(tpc.parse({program!r})); assert 'sympy' not in "
        "sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_gauss_hermite_points_are_exact_for_polynomials() -> None:
    text = (
        "width n\n"
        "matrix W : n x n ~ N(0, 1/n)\n"
        "vector v : n ~ N(0, 1)\n"
        "y = W @ v\n"
        "z = W.T @ (y^3)\n"
        "output m = mean(z*v)\n"
        "output q = mean(z^2)"
    )
    assert limit(text).evaluate(samples=12, method="hermite") == pytest.approx({"m": 3, "q": 24}, abs=1e-9)
    with pytest.raises(ValueError, match="at most 3 Gaussians"):
        limit(wishart(2)).evaluate(samples=12, method="hermite")


@pytest.mark.parametrize("size", range(2, 5))
@pytest.mark.parametrize("lost", range(2))
def test_initial_vectors_have_the_covariances_of_their_law(size: int, lost: int) -> None:
    """Of full rank, and with one that the others make."""
    root = np.random.default_rng(size).integers(-3, 4, (size, size - lost)) + 4 * np.eye(size, size - lost)
    law = (root @ root.T).astype(int)
    np.testing.assert_allclose(cholesky(law) @ cholesky(law).T, law, atol=1e-12)
    names = ", ".join(f"u{k}" for k in range(size))
    text = f"width n\nvector ({names}) : n ~ N([{', '.join('0' * size)}], {law.tolist()})\n"
    text += "".join(f"output m{i}{j} = mean(u{i}*u{j})\n" for i in range(size) for j in range(size))
    values = limit(text).evaluate(samples=1 << 12)
    found = [[float(values[f"m{i}{j}"]) for j in range(size)] for i in range(size)]
    np.testing.assert_allclose(found, law, atol=0.02 * np.trace(law))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("offset", range(-5, 8))
def test_a_bracket_leaves_one_term_of_a_sum_where_that_is_certain(offset: int, sign: int) -> None:
    """`Σ_{s<5} [s = ±t + c] x_s` for t < 3: that term if it is always there, 0 if never, or else a sum."""
    s, at = Affine.var("s"), Affine.of(offset, {"t": sign})
    x = summed("s", Affine(5), mul(delta(s, at), Value(Ref("x", (s,)), False)))
    places = [offset + sign * t for t in range(3)]
    found = simplified(x, (IndexRange("t", Affine(3)),))
    if all(0 <= k < 5 for k in places):
        assert found == Value(Ref("x", (at,)), False)
    elif not any(0 <= k < 5 for k in places):
        assert found == ZERO
    else:
        assert isinstance(found, Sum)
