"""Powers of a width as factors: `n^(-1/4)*x`."""

import numpy as np
import pytest

import tpc

TEXT = """width n
width m = 2*n
vector u : n ~ N(0, 1)
vector w : m ~ N(0, 1)
s[t] = n^(-t/2 + 1)*mean(u*u) for t < 2
output s[t] for t < 2
"""


def test_powers_print_as_they_parse() -> None:
    text = "width n\nvector u : n ~ N(0, 1)\nx = n^(-1/4)*u/n\nf = n^(3/2)*mean(u*x)\noutput f\n"
    program = tpc.parse(text)
    assert "n^(-1/4)*u/n" in str(program)
    assert tpc.parse(str(program)) == program


@pytest.mark.parametrize("n", [64, 256])
def test_powers_are_of_the_width_that_is_simulated(n: int) -> None:
    text = (
        "width n\n"
        "width m = 2*n\n"
        "vector u : n ~ N(0, 1)\n"
        "one = n^(1/2)*mean(0*u + n^(-1/2))\n"
        "two = m/n\n"
        "output one\n"
        "output two\n"
    )
    samples = tpc.parse(text).simulate(width=n, seeds=2)
    assert np.allclose(samples.outputs["one"], 1, rtol=1e-12)
    assert np.allclose(samples.outputs["two"], 2, rtol=1e-12)


def test_only_rational_numbers_are_powers() -> None:
    with pytest.raises(tpc.TpcError, match="TP404"):
        tpc.parse(TEXT)
