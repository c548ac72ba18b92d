"""Kernels by quadrature of many dimensions: as few as there are, or refused."""

import re

import numpy as np
import pytest

import tpc
from tpc.cli.main import main
from tpc.gram import Integral
from tpc.plan import plan_covariances

HEAD = "width n\ndim N = 2, d = 3\ninput X[N, d]\nweight U : n x d\nweight V : 1 x n\n"
TWICE = "network f(x) = V @ exp(-(U @ x)^2/(1 + (U @ x)^2))\n"
ONCE = "network f(x):\n    h = U @ x\n    return V @ exp(-h^2/(1 + h^2))\n"
OUTPUT = "output K[i, j] = nngp(f)(X[i], X[j]) for i < N for j < N\n"


def integrals_of(network):
    plan = tpc.parse(HEAD + network + OUTPUT).compile(method="gram").plan
    pieces = [piece.formula for d in plan.covariances.definitions for piece in d.pieces]
    return [x for x in pieces if isinstance(x, Integral)]


def test_a_product_that_is_written_twice_is_one_gaussian():
    assert [len(x.variables) for x in integrals_of(TWICE)] == [2]
    assert len(integrals_of(ONCE)) == 1


def test_what_would_take_too_long_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(plan_covariances, "COMPILING", 1.0)
    program = tpc.parse(HEAD + ONCE + OUTPUT)
    with pytest.raises(tpc.TpcError, match="TP601") as told:
        program.compile(method="gram")
    took = r"would take .* to evaluate, of [\d,]+ entries of arrays in all, and .* to compile"
    assert re.search(rf": .*1 expectation by quadrature, over 2 Gaussians at most, {took}\n", str(told.value))
    with pytest.raises(tpc.TpcError, match=r"TP726.* to compile"):
        program.kernels().nngp(np.eye(3))
    path = tmp_path / "f.tp"
    path.write_text(HEAD + ONCE)
    np.save(tmp_path / "X.npy", np.eye(3))
    files = ["-x", str(tmp_path / "X.npy"), "-o", str(tmp_path / "K.npy")]
    assert main(["kernel", str(path), *files, "--kind", "nngp"]) == 2
    assert "error[TP726]" in capsys.readouterr().err


def test_what_four_gaussians_would_take_is_refused():
    network = "weight W : n x d\n" + TWICE.replace("1 + (U @", "1 + (W @")
    with pytest.raises(tpc.TpcError, match=r"TP726.* over 4 Gaussians"):
        tpc.parse(HEAD + network + OUTPUT).kernels().nngp(np.eye(3))
