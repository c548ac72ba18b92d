"""Kernels by quadrature say how far off they are: errors of entries, warnings, and the same on the command
line; blocks of what fits."""

import json
import warnings

import numpy as np
import pytest

import tpc
from tpc.cli.main import main
from tpc.kernels.accuracy import KernelWarning, Worst, no_less, scale, worst
from tpc.kernels.blocks import BLOCK
from tpc.kernels.compiled import Compiled
from tpc.kernels.stream import stream
from tpc.machine.precision import precision

TEXT = "width n\nweight U : n x 2\nweight V : 1 x n\nnetwork f(x) = V @ tanh(tanh(U @ x))\n"
X = np.array([[0.1, 0.2], [20.0, 1.0], [50.0, 0.0], [0.3, -0.1]])


@pytest.fixture(scope="module")
def kernels():
    return tpc.parse(TEXT).kernels(block=2)


@pytest.fixture(scope="module")
def evaluated():
    """What there is of values, by module and inputs: the same blocks are asked for again and again."""
    return {}


@pytest.fixture
def rough(monkeypatch, evaluated):
    """Every value of a pair of norms a and b has the error |value|·(a + b)/10^5, whatever the quadrature is
    worth: the first of its rules alone is evaluated."""
    evaluate = Compiled.__call__

    def roughly(self, *arrays):
        if self.exact:
            return evaluate(self, *arrays)
        norms = [np.linalg.norm(a.reshape(len(a), -1), axis=1) for a in arrays]
        asked = self.module, *(a.tobytes() for a in arrays)
        if asked not in evaluated:
            with precision(self.module.DTYPE):
                done = [self.module.compiled(self._given(*arrays), *self.rules[0])]
                (evaluated[asked],) = self.module.outputs_of(done)
        values = [np.asarray(evaluated[asked][name]) for name in self.outputs]
        # a diagonal, or a matrix
        each = 2 * norms[0] if values[0].ndim % 2 else norms[0][:, None] + norms[-1]
        return [
            (value, np.abs(value) * each.reshape(*each.shape, *[1] * (value.ndim - each.ndim)) / 1e5)
            for value in values
        ]

    monkeypatch.setattr(Compiled, "__call__", roughly)


def test_an_error_covers_what_a_value_is_off(kernels):
    """The truth by a fine trapezium rule over u and what v has besides."""
    x = X / [[1], [10], [25], [1]]
    values, errors = kernels.nngp.with_error(x)
    z = np.arange(-9, 9, 0.003)
    weights = np.exp(-(z**2) / 2) * 0.003 / np.sqrt(2 * np.pi)
    for i in range(len(X)):
        truth = weights @ np.tanh(np.tanh(np.linalg.norm(x[i]) * z)) ** 2
        assert abs(values[i, i] - truth) <= errors[i, i] + 1e-12
    assert errors[0, 0] < 1e-10


def test_warnings_say_how_large_the_worst_error_is(kernels, rough):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernels(X[[0, 3]] / 10)
        kernels.ntk(X[:2] / 1000, X[2:] / 1000)
        kernels.ntk.with_error(X)
    (_, of_nngp), (theta, of_ntk) = kernels.with_errors(X)
    with pytest.warns(KernelWarning, match="TP640: in the ntk .* entries have an estimated error") as caught:
        kernels(X)
    found = {w.message.worst.kind: w.message.worst for w in caught}
    assert caught[0].filename == __file__
    size = np.sqrt(np.outer(np.diag(theta), np.diag(theta)))
    assert found["ntk"].relative == pytest.approx(np.max(of_ntk / size))
    assert (found["ntk"].row, found["ntk"].column) == np.unravel_index(np.argmax(of_ntk / size), size.shape)
    assert found["ntk"].count == np.count_nonzero(of_ntk > 1e-6 * size)
    assert np.all(of_nngp >= 0)
    with pytest.warns(KernelWarning):
        kernels.ntk(X, X[1:3] * 1.01)
    with pytest.warns(KernelWarning, match=r"at \[[12], [12]\]"):
        kernels.ntk.diagonal(X)


def test_closed_forms_have_no_errors():
    kernel = tpc.parse(TEXT.replace("tanh(tanh(U @ x))", "tanh(U @ x)")).kernels().ntk
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, errors = kernel.with_error(X * 1e3)
    assert errors is None
    assert np.all(np.linalg.eigvalsh(values) > 0)


def test_no_error_is_less_than_what_is_beyond_the_bound():
    values = np.array([[1.0, -84.6], [-84.6, 4.0]])
    of = scale(np.diag(values), np.diag(values))
    errors = no_less(np.zeros((2, 2)), values, of)
    assert errors.tolist() == [[0, 82.6], [82.6, 0]]
    assert worst("ntk", errors, of) == Worst("ntk", pytest.approx(41.3), 0, 1, 2)
    assert worst("ntk", np.zeros((2, 2)), of) is None


def test_positions_have_their_own_scales(rough):
    text = (
        "width n\n"
        "weight U : n x 1\n"
        "weight V : 1 x n\n"
        "network f(x):\n"
        "    z[p] = tanh(tanh(U @ x[p])) for p < 2\n"
        "    return V @ z\n"
    )
    kernel = tpc.parse(text).kernels(positions=(2,)).nngp
    x = np.array([[0.1, 60.0], [0.2, -0.1]])
    with pytest.warns(KernelWarning, match=r"at \[0, 0\]|at \[0, 1\]|at \[1, 0\]"):
        values = kernel(x)
    assert values.shape == (2, 2, 2, 2)
    with pytest.warns(KernelWarning, match=r"at \[0, 0\]"):
        kernel.diagonal(x)


def test_strips_keep_the_worst_error_when_they_are_resumed(kernels, rough, tmp_path):
    x = X[[0, 2, 1, 3]]
    whole = stream(kernels.ntk, x, out=tmp_path / "whole.npy", strip=2)
    assert whole.row < 2  # of the strip that is there when it is resumed

    def stop(rows, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream(kernels.ntk, x, out=tmp_path / "k.npy", strip=2, progress=stop)
    assert stream(kernels.ntk, x, out=tmp_path / "k.npy", strip=2) == whole
    assert whole.relative > 1e-4
    assert stream(kernels.ntk, X[:2] / 1000, out=tmp_path / "small.npy") is None


def test_the_command_notes_it(rough, tmp_path, capsys):
    program, x, out = tmp_path / "net.tp", tmp_path / "x.npy", tmp_path / "k.npy"
    program.write_text(TEXT)
    np.save(x, X)
    assert main(["kernel", str(program), "-x", str(x), "-o", str(out), "--json"]) == 0
    printed = capsys.readouterr()
    assert "warning[TP640]: in the ntk" in printed.err
    assert json.loads(printed.out)["error"]["relative"] > 1e-4
    program.write_text(TEXT.replace("tanh(tanh(U @ x))", "tanh(U @ x)"))
    out.unlink()
    assert main(["kernel", str(program), "-x", str(x), "-o", str(out), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert json.loads(printed.out)["error"] is None


def test_tables_as_inputs(tmp_path, capsys):
    """Numbers alone, or named columns, give what an .npy file gives; the matrix is in no table."""
    program, out = tmp_path / "net.tp", tmp_path / "k.npy"
    program.write_text(TEXT.replace("tanh(tanh(U @ x))", "relu(U @ x)"))
    names = {"a.npy": "", "b.csv": "", "c.csv": ",".join(f"x[{k}]" for k in range(X.shape[1]))}
    found = []
    for name, header in names.items():
        file = tmp_path / name
        np.save(file, X) if name == "a.npy" else np.savetxt(
            file, X, delimiter=",", header=header, comments=""
        )
        assert main(["kernel", str(program), "-x", str(file), "-o", str(out)]) == 0
        found.append(np.load(out))
        out.unlink()
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    capsys.readouterr()
    assert main(["kernel", str(program), "-x", str(file), "-o", str(tmp_path / "k.csv")]) == 2
    assert "its name ends in none of .npy" in capsys.readouterr().err
    file.write_text("a,b\n1,2\n")
    assert main(["kernel", str(program), "-x", str(file), "-o", str(out)]) == 2
    assert "it has a, b, and the columns x[0], x[1], … are due" in capsys.readouterr().err


def test_blocks_go_down_to_what_fits():
    """Images of which a pair of blocks is refused as too many for a program."""
    text = (
        "width n\n"
        "dim H = 12\n"
        "weight U[k < 3] : n x 1\n"
        "weight W[k < 3] : n x n\n"
        "weight V : 1 x n\n"
        "network f(x):\n"
        "    x0 = pad(x, 1, 0)\n"
        "    h[p, q] = sum(k < 3: U[k] @ x0[p+k, q]) for p < H for q < H\n"
        "    x1 = pad(relu(h), 1, 0)\n"
        "    g[p, q] = sum(k < 3: W[k] @ x1[p+k, q]) for p < H for q < H\n"
        "    return V @ (sum(p < H, q < H: relu(g[p, q]))/(H*H))\n"
    )
    program = tpc.parse(text)
    assert program.kernels().ntk.blocks._planned("cross", (12, 12))[0] < BLOCK
    x = np.random.default_rng(0).random((2, 12, 12))
    found = program.kernels().ntk(x)
    np.testing.assert_allclose(found, program.kernels(block=1).ntk(x), rtol=1e-12)
    wide = tpc.parse(text, dims={"H": 36}).kernels().ntk.blocks
    assert wide._planned("own", (36, 36))[0] < BLOCK  # a diagonal of so many is refused, too
    np.testing.assert_allclose(program.kernels().ntk.diagonal(x), np.diag(found), rtol=1e-12)
