"""What the paper derives by hand, found symbolically in the limits of the programs shipped."""

from pathlib import Path

import pytest

import tpc
from tpc.core.expr import MINUS_ONE, ONE, Ref, Value, add, call, mul, number, power
from tpc.derive import ZDot
from tpc.derive.nodes import Affine, Expectation, Ring, Z

PROGRAMS = Path(__file__).parents[2] / "programs"


def at(name, *index):
    return Ref(name, tuple(map(Affine, index)))


def slope(x):
    """tanh'(x), written out."""
    return add(ONE, mul(MINUS_ONE, power(call("tanh", x), number(2))))


def product_of(limit, left):
    """The product with a matrix that is shown as `left`."""
    return next(f for f in limit.formulas if str(f).lstrip().startswith(f"Z^{{{left}}} ="))


def test_tp4_thm_6_4_first_zdot():
    """Ż^{W x_1(ξ)} = −χ_0 ξ_0 ξ Z^{dh_0} E φ'(Z^{h_1(ξ)}) φ'(Z^{h_0}), where the first layer's h_t(ξ) = ξ
    U_t; the ξ_1 of the program is any ξ."""
    limit = tpc.load(PROGRAMS / "paper/thm_6_4.tp", dims={"T": 2}).derive().unroll()
    dot = product_of(limit, "W x[1]").dot
    assert isinstance(dot, ZDot)
    xi = [Value(at("xi", t), False) for t in range(2)]
    layer = [mul(xi[t], Z(at("U", t))) for t in range(2)]
    rate = Value(at("eta"), False)  # 1 in the paper
    assert set(dot.value.factors) - {rate} == {
        MINUS_ONE,
        *xi,
        Ring(at("chi", 0)),
        Z(at("dh", 0)),
        Expectation(mul(slope(layer[1]), slope(layer[0]))),
    }
    assert product_of(limit, "W x[0]").dot.terms == ()


def test_tp4_thm_6_4_zdot_of_a_later_time_stays_a_sum_over_the_past():
    rolled = str(tpc.load(PROGRAMS / "paper/thm_6_4.tp", dims={"T": 1000}).derive())
    assert "Ż^{W x[t]} = Σ_{s<t} " in rolled
    assert "Ż^{Wᵀ dh[t]} = Σ_{s≤t} " in rolled
    assert rolled.count("\n") < 60


def test_tp4_thm_6_3_has_no_zdot():
    limit = tpc.load(PROGRAMS / "paper/thm_6_3.tp").derive()
    assert "Ż" not in str(limit)


def test_tp4_remark_f_1_dots():
    """Ż^{Wᵀ x1} has one term, by ∂/∂Ẑ^{W(y+z)}, and Ż^{Wᵀ x2} two, by ∂/∂Ẑ^{Wy} and ∂/∂Ẑ^{Wz}; both are (Z^y
    + Z^z) E φ'."""
    limit = tpc.load(PROGRAMS / "paper/remark_f_1.tp").derive()
    one, two = limit.dot("u1"), limit.dot("u2")
    assert (len(one.terms), len(two.terms)) == (1, 2)
    assert str(one).split("  (")[0].rstrip() == "Ż^{u1} = E[tanh'(Z^{W (y + z)})]·(Z^y + Z^z)"
    assert (
        str(two).split("  (")[0].rstrip()
        == "Ż^{u2} = E[tanh'(Z^{W y} + Z^{W z})]·Z^y + E[tanh'(Z^{W y} + Z^{W z})]·Z^z"
    )


@pytest.mark.parametrize(
    ("name", "values"), [("wishart", [1, 1, 2, 5, 14, 42]), ("semicircle", [1, 0, 1, 0, 2, 0, 5, 0, 14])]
)
def test_moments_of_matrices_are_shown_closed(name, values):
    limit = tpc.load(PROGRAMS / f"matrices/{name}.tp").derive().unroll()
    assert [str(limit.closed[f"c[{k}]"]) for k in range(len(values))] == [str(v) for v in values]


def test_tp3_marchenko_pastur_is_closed_too():
    limit = tpc.load(PROGRAMS / "matrices/marchenko_pastur.tp", dims={"K": 3}).derive().unroll()
    assert [str(limit.closed[f"c[{k}]"]) for k in range(4)] == ["1", "1/2", "3/4", "11/8"]
