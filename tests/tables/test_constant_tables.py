"""Functions of tables that are the same everywhere, between unequal widths."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tests.values import values_only

TEXT = """
width n
width m = 2*n
vector u : n ~ N(0, 1)
vector v : m ~ N(0, 1)
table A : n x m = outer(u, v)
table L : n x n = outer(u + 1, u + 1)
table R : m x m = outer(v + 1, v + 1)
table P : n x m = {function}
y = P @ (v + 1)
output r = mean(y)
output q = mean(u*y)
"""
NAMED = TEXT.replace("table L", "table B : n x m = 3\ntable M : n x n = 2\ntable S : m x m = 2\ntable L")
# what a line says that B, M and S are, of whose sides it tells nothing
INLINE = {"B": "(0*A + 3)", "M": "(0*L + 2)", "S": "(0*R + 2)"}


@pytest.mark.parametrize(
    "function",
    [
        "preconditioned({B}, L, {S}, 1/2, 1/4)",
        "preconditioned({B}, {M}, R, 1/2, 1/4)",
        "preconditioned({B}, left_gram(A), {S}, 1/2, 1/4)",
        "preconditioned({B}, {M}, {S}, 1/2, 1/4)",
        "preconditioned({B}, {M}, R, 1/2, 1/4) + polar({B})",
        "polar(preconditioned({B}, {M}, R, 1/2, 1/4))",
        "newton_schulz({B}, 2, 2, -3/2, 1/2)",
        "newton_schulz({B}, 1, 3/2, -1/3, 0)",
    ],
)
def test_they_are_what_they_are_under_a_name(function: str) -> None:
    texts = (
        NAMED.format(function=function.format(B="B", M="M", S="S")),
        TEXT.format(function=function.format(**INLINE)),
    )
    wanted, found = (values_only(tpc.parse(text).compile(samples=64, repeats=2))() for text in texts)
    for name in "rq":
        np.testing.assert_allclose(found[name].value, wanted[name].value, rtol=1e-12, atol=1e-12)


def test_a_side_that_a_number_has_is_that_of_the_line() -> None:
    text = TEXT.format(function="polar(outer(u, 1))")
    found = values_only(tpc.parse(text).compile(samples=64, repeats=2))()
    np.testing.assert_allclose([found["r"].value, found["q"].value], [0, 1], atol=1e-12)
