"""Limits in any parametrization: what stays the same, what vanishes, what grows, and the scaled differences
by hand (TP4 Sec 3, App H.3–H.5)."""

import re

import numpy as np
import pytest

import tpc
from tests.scaling.kernels import TEXT, program
from tests.scaling.test_kernel_regime import data, oracle
from tpc.expand import expand


def limit(name, layers=2, phi="tanh", **dims):
    return expand(program(layers, phi, name, **dims))


def same(one, other):
    def text(program):
        # `r` is no free variable in a file that says `uniform(r = …)`
        return re.sub(r"\b[qr]\b", "s", str(program))

    return (
        text(one.limit) == text(other.limit)
        and one.initial is not None
        and text(one.initial.covariances) == text(other.initial.covariances)
    )


def test_mup_passes_through_unchanged():
    for name in ("mup", "uniform(r = 0)"):
        text = program(2, "tanh", name)
        assert expand(text).limit is text
        assert expand(text).initial is None


def test_uniform_ends_at_ntp():
    assert same(limit("uniform(r = 1/2)"), limit("ntp"))


@pytest.mark.parametrize("theta", ["1/4", "-1/3", "2"])
def test_tp4_sec3_a_plus_b_minus_c_minus_2_theta_changes_nothing(theta):
    a, b = "a = [{0}, 1/2 + {0}, 1/2 + {0}]", "b = [-({0}), -({0}), -({0})], c = -2*({0})"
    assert same(
        limit(f"abc({a.format(0)}, {b.format(0)})"), limit(f"abc({a.format(theta)}, {b.format(theta)})")
    )


def test_tp4_thm_3_6_between_mup_and_ntp_it_is_the_kernel_regime_from_zero():
    """UP_r with 0 < r < 1/2: f_0 → 0, and the NTK decides the rest."""
    given = data(3, 2)
    found = limit("uniform(r = 1/4)", 2, "id")
    assert found.initial is None
    result = program(2, "id", "uniform(r = 1/4)").compile()(given)
    np.testing.assert_allclose(result["start"].value, 0, atol=0)
    losses, end = oracle(given, 2, (lambda s: s, np.ones_like), np.zeros(3), np.zeros(2))
    np.testing.assert_allclose(result["loss"].value, losses, rtol=1e-10)
    np.testing.assert_allclose(result["end"].value, end, rtol=1e-10)


def test_layers_may_stay_fixed_while_others_learn_features():
    """μP with the rate of the middle weight lower, by its own a and b: the limit is that of the net whose
    middle weight is frozen."""
    given = data(3, 2)
    fixed, learned = (
        program(2, "id", name).compile()(given)
        for name in ("abc(a = [-1/2, 1/4, 1/2], b = [1/2, 1/4, 1/2], c = 0)", "mup")
    )
    frozen = tpc.parse(
        TEXT.replace("PHI", "id")
        .replace("WEIGHTS", "weight W1 : n x n, frozen")
        .replace("BODY", "W1 @ phi(U @ x)")
        .replace("NAME", "mup")
    ).compile()(given)
    for name in ("loss", "end"):
        np.testing.assert_allclose(fixed[name].value, frozen[name].value, rtol=1e-12)
    assert np.max(np.abs(fixed["loss"].value - learned["loss"].value)) > 1e-3


@pytest.mark.parametrize(
    ("name", "layers", "what", "power"),
    [
        ("sp(c = 0)", 1, "f", "n"),
        ("abc(a = [0, 1/2, 1/2], b = [0, 0, -1/4], c = 0)", 2, "f", "n^(1/4)"),
        ("abc(a = [-1/4, 0, 1/2], b = [0, 1/2, 1/2], c = 0)", 2, "h1", "n^(1/4)"),
        ("abc(a = [-1/2, -1/4, 1/2], b = [1/2, 3/4, 1/2], c = 0)", 2, "h1", "n^(1/2)"),
    ],
)
def test_unstable_ones_are_refused_with_what_grows(name, layers, what, power):
    with pytest.raises(tpc.TpcError) as caught:
        program(layers, "tanh", name).compile()
    message = caught.value.diagnostics[0].message
    assert caught.value.diagnostics[0].code == "TP801"
    assert message.startswith(f"`{what}[t]` grows like {power} as n → ∞"), message


def test_trivial_ones_stay_at_the_start():
    """NTP at a rate n^{-1}: f_t = f_0."""
    result = program(1, "id", "abc(a = [0, 1/2], b = [0, 0], c = 1)").compile(initial=3)(data(3, 2))
    assert np.array_equal(result["start"].value, result["end"].value)
    assert np.min(np.abs(result["start"].value)) > 1e-3


def test_the_scaled_differences_of_two_steps_by_hand():
    """NTP, φ(s) = s², d = 1: Z^{δU_1} = -η χ_0 ξ_0 V 2 ξ_0 U, Z^{δV_1} = -η χ_0 (ξ_0 U)², so that f_1(ξ) =
    f_0(ξ) - η χ_0 7 ξ² ξ_0².

    With two layers, Σ = 3 ξ² ξ_0², then 27 ξ⁴ ξ_0⁴, with slopes 4 ξ ξ_0, 12 ξ² ξ_0²: Θ = 27 + 7·12 = 111
    times ξ⁴ ξ_0⁴.
    """
    xi, y, eta, start = (
        np.array([0.7, -1.2]),
        np.array([1.0, -0.5]),
        0.05,
        {"f0": [0.3, -0.1], "f_start0": [0.2]},
    )
    for layers, constant, power in ((1, 7, 2), (2, 111, 4)):
        result = program(layers, "square", "ntp", d=1, T=2, N=1).compile(initial=start)(
            {"xi": xi[:, None], "y": y, "xs": [[0.4]], "eta": eta}
        )
        chi = [0.3 - y[0]]
        chi.append(-0.1 - eta * chi[0] * constant * (xi[0] * xi[1]) ** power - y[1])
        end = 0.2 - eta * constant * sum(c * (x * 0.4) ** power for c, x in zip(chi, xi, strict=True))
        np.testing.assert_allclose(result["loss"].value, np.square(chi) / 2, rtol=1e-10)
        np.testing.assert_allclose(result["end"].value, [end], rtol=1e-10)


def test_the_formulas_of_the_differences_are_those_of_the_paper():
    formulas = program(1, "tanh", "ntp", d=1).derive()
    assert str(formulas["δV[t+1]"]).startswith("Z^{δV[t+1]} = Z^{δV[t]} - η·χ̊[t]·Z^{x1[t]}")
    assert "dh1: the limit of n^(-1/2)·dh1." in formulas.notes
