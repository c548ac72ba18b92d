"""Corrections by derivatives in the weights of points."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tpc.cli.main import main
from tpc.core.inputs import bind_inputs
from tpc.corrections import predict
from tpc.corrections.differences import Weighted, signs
from tpc.machine.precision import precision

NET = """
width n
width m = 2*n
dim T = 2
input xi[T] = 1, y[T] = -1, eta = 0.5
weight U : n x 1
weight W : m x n
weight V : 1 x m
network f(x) = V @ tanh(W @ tanh(U @ x))
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update sgd(lr = eta)
output loss
output g = f(xi[0])
"""
# of opposite inputs, in rounds side by side
OPPOSITE = "output odd[i] = f[0](4*i - 2) for i < 2\n"


@pytest.fixture(scope="module")
def net():
    """The net, with its corrections."""
    program = tpc.parse(NET + OPPOSITE, name="net")
    return program, program.corrections(covariances=True)


def test_a_trained_net_of_two_widths_against_finite_width(net):
    program, found = net
    samples = program.simulate(width=48, seeds=1500)
    for name, own in found.outputs.items():
        values, expected = samples.outputs[name], own.at(48)
        error = values.std(axis=0) / 1500**0.5
        assert np.all(np.abs(values.mean(axis=0) - expected.mean) < 4 * error + expected.mean_stderr)
        ratio = values.std(axis=0) / expected.spread
        assert np.all(np.abs(ratio - 1) < 0.12 + 3 * own.fluctuation_stderr / own.fluctuation)
        assert np.all(own.variance_stderr < 0.1 * own.variance)
        assert np.all(own.bias_stderr < 0.1 * np.abs(own.bias) + 0.01)


def test_what_is_known_of_the_first_step(net):
    """Before training f = V·x has mean 0 and n Var f = E V² E x²/2, so E (f - y)²/2 = 1/2 + Var f/2."""
    _, found = net
    own = found["loss"]
    assert abs(own.bias[0] - own.variance[0] / 2) < 4 * (own.bias_stderr[0] + own.variance_stderr[0] / 2)
    table = found.covariances["loss", "loss"]
    np.testing.assert_allclose(np.diag(table), own.variance, rtol=1e-14)
    assert found.covariances["loss", "g"].shape == (2,)


def test_rounds_have_their_joint_law(net):
    """f(-x) = -f(x) in every network of tanh: rounds that each met directions of their own were not so."""
    table, both = net[1].covariances["odd", "odd"], np.array([[1, -1], [-1, 1]])
    np.testing.assert_allclose(table, table[0, 0] * both, rtol=1e-14)


def test_differences_are_derivatives():
    """The same by forward differentiation of forward differentiation: what is left out is of order t²."""
    plain = tpc.parse(NET.replace("width m = 2*n", "").replace("m x n", "n x n").replace("1 x m", "1 x n"))
    evaluator = plain.compile(method="nodes", samples=64, repeats=2)
    given = bind_inputs(plain, {})
    with precision("float64"):
        on = Weighted.of(evaluator, given).on_points(0, 0)
        chosen = on.directions(2, np.random.default_rng(0))
        steps = [on.differences(chosen, 2.0**-k) for k in (6, 7, 8)]
        inputs, points = evaluator.module.prepared(given), jnp.asarray(on.points)

        def losses(weights):
            return evaluator.module.limit(inputs, points, weights)[0]["loss"]

        @jax.jit
        def both(d):
            slope = lambda w: jax.jvp(losses, (w,), (d,))  # noqa: E731
            return jax.jvp(slope, (jnp.asarray(on.weights),), (d,))

        for k, d in enumerate(chosen[0]):
            (_, slope), (_, bend) = both(jnp.asarray(d))
            for part, exact in (("slope", slope), ("half_bend", bend / 2)):
                # to rounding of the largest: entries that nearly vanish have no more of it, nor less
                far, near, nearest = (getattr(own, part)["loss"][k] for own in steps)
                np.testing.assert_allclose(
                    (4 * nearest - near) / 3, exact, rtol=0, atol=1e-8 * np.abs(exact).max()
                )
                np.testing.assert_allclose((far - exact) / (near - exact), 4, rtol=1e-2)


@pytest.mark.parametrize("count", [8, 12])
def test_signs_are_orthogonal_where_they_can_be(count):
    found = signs(count, count, np.random.default_rng(3))
    assert found.shape == (count, count)
    assert set(np.unique(found)) == {-1, 1}
    if count == 8:
        assert np.array_equal(found @ found.T, 8 * np.eye(8))


SMOOTH = """
width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 4)
matrix W : n x n ~ N(0, 1/n)
q = mean(u*v)
output c = mean(tanh(u))
output s = mean(v^2)^2
output kink = relu(q)
output wild = mean(exp(u^2/3))
"""


def test_nothing_is_said_where_there_is_nothing_to_be_said():
    """E of (mean v²)² is 16 + 32/n; relu(q) is √n times as large as 1/n, and E exp(2u²/3) is infinite."""
    found = tpc.parse(SMOOTH).corrections()
    own = found["s"]
    assert abs(own.bias - 32) < 4 * own.bias_stderr
    assert abs(own.variance - 2 * 16 * 4 * 16) < 4 * own.variance_stderr
    for name in ("kink", "wild"):
        own = found[name]
        assert np.isnan([own.bias, own.variance, own.within(0.01)]).all()
        assert own.reason
        made = found.to_json()["outputs"][name]
        assert [made[key] for key in ("bias", "bias_stderr", "fluctuation", "width")] == [None] * 4
    assert "`kink`" in str(found)
    assert found["c"].reason is None


BENT = """
width n
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
h = W @ u
output share = mean(step(h - 1))
output k = mean(relu(h - 1)^2)
"""


def test_jumps_at_places_that_move():
    """h = s g, s² = mean u²: E P(s g > 1) and E s² E (g - 1/s)₊² to second order in s² - 1, Var s² = 2/n."""
    from scipy.integrate import quad
    from scipy.stats import norm

    def share(v):
        return norm.sf(v**-0.5)

    def square(v):
        return quad(lambda g: max(v**0.5 * g - 1, 0) ** 2 * norm.pdf(g), v**-0.5, 12)[0]

    found = tpc.parse(BENT).corrections(samples=1024, signs=128)
    d = 1e-3
    moments = {"share": share(1) * (1 - share(1))}
    moments["k"] = quad(lambda g: max(g - 1, 0) ** 4 * norm.pdf(g), 1, 12)[0] - square(1) ** 2
    for name, f in (("share", share), ("k", square)):
        slope, bend = (f(1 + d) - f(1 - d)) / (2 * d), (f(1 + d) + f(1 - d) - 2 * f(1)) / d**2
        own = found[name]
        assert abs(own.variance - moments[name] - 2 * slope**2) < 5 * own.variance_stderr
        assert abs(own.bias - bend) < 5 * own.bias_stderr
        assert own.variance_stderr < 0.1 * own.variance


# the command


def test_the_command(net, tmp_path, capsys, monkeypatch):
    file, picture = tmp_path / "net.tp", tmp_path / "net.png"
    file.write_text(NET, encoding="utf-8")
    monkeypatch.setattr("tpc.corrections.corrections", lambda *_, **__: net[1])
    assert main(["corrections", str(file), "--json", "--plot", str(picture)]) == 0
    own = json.loads(capsys.readouterr().out)["outputs"]["loss"]
    keys = ("value", "stderr", "bias", "bias_stderr", "fluctuation", "fluctuation_stderr", "width")
    keys += ("first_order_from",)
    assert set(own) == set(keys)
    assert [len(own[key]) for key in keys] == [2] * 8
    assert picture.stat().st_size > 10_000
    assert main(["corrections", str(file), "--json", "--width", "100", "--within", "5%"]) == 0
    at = json.loads(capsys.readouterr().out)["outputs"]["loss"]
    assert at["mean"][0] == pytest.approx(own["value"][0] + own["bias"][0] / 100)
    assert at["spread"][0] == pytest.approx(own["fluctuation"][0] / 10)
    assert at["width"][0] < own["width"][0] / 20
    assert main(["corrections", str(file), "--within"]) == 0
    assert "within 1 % from n = " in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--within=0", "--within=x", "--within=100%", "--width=0", "--signs=0"])
def test_options_that_mean_nothing(option, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["corrections", str(tmp_path / "net.tp"), option])
    assert option.split("=")[0] in capsys.readouterr().err


def test_an_interrupted_run_is_resumed_to_the_same_bits(tmp_path):
    """By the repeats that are kept; with two of them there is something to tell."""
    program, asked = tpc.parse("width n\nvector v : n ~ N(0, 1)\noutput q = mean(exp(v))\n", name="q"), {}
    asked |= {"samples": 64, "repeats": 4, "signs": 8, "method": "nodes"}
    seen = []

    def stop(done, total):
        seen.append((done, total))
        if len(seen) == 3:
            raise KeyboardInterrupt

    whole = program.corrections(**asked)
    part = program.corrections(**asked, checkpoint=tmp_path, progress=stop)
    assert part.interrupted
    assert "interrupted after 3 of 4 repeats" in part.notes
    assert part["q"].variance != whole["q"].variance
    with pytest.raises(KeyboardInterrupt):
        program.corrections(**{**asked, "seed": 1}, checkpoint=tmp_path, progress=lambda *_: stop_at_once())
    resumed = program.corrections(**asked, checkpoint=tmp_path, progress=lambda *at: seen.append(at))
    assert not resumed.interrupted
    assert seen == [(1, 4), (2, 4), (3, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    for name in ("bias", "bias_stderr", "variance", "variance_stderr"):
        np.testing.assert_array_equal(getattr(resumed["q"], name), getattr(whole["q"], name))


SIZED = """
width n
input size = 1
vector u : n ~ N(0, 1)
output nodes = size*(1 + 2*mean(tanh(u)) + mean(tanh(u))^2)
output squares = size*mean(u)^2
"""
LINEAR = SIZED.replace("tanh(u)", "u")


@pytest.mark.parametrize("size", [2.0**-664, 2.0**-530, 2.0**530, 2.0**664])
@pytest.mark.parametrize(("text", "method"), [(SIZED, "nodes"), (LINEAR, "linear")])
def test_squares_of_what_is_tiny_or_huge(text, method, size):
    """A power of two times an output has its corrections times that, be their squares no floats."""
    one, other = (tpc.parse(text).corrections({"size": s}, method=method) for s in (1, size))
    for name, own in other.outputs.items():
        like = one[name]
        for part in ("bias", "bias_stderr", "fluctuation", "fluctuation_stderr"):
            wanted = getattr(like, part)
            if wanted is None:
                assert getattr(own, part) is None
                continue
            np.testing.assert_allclose(getattr(own, part) / size, wanted, rtol=3e-16, atol=0)
        np.testing.assert_array_equal(own.first_order_from, like.first_order_from)
        np.testing.assert_array_equal(own.within(0.01), like.within(0.01))


def test_an_interruption_in_the_run_of_the_limit_ends_all(monkeypatch):
    program = tpc.parse("width n\nvector v : n ~ N(0, 1)\noutput q = mean(exp(v))\n", name="q")
    limit = replace(program.compile(samples=64, repeats=2)(), stopped=True)
    monkeypatch.setattr(predict, "compile_program", lambda *_: lambda *_, **__: limit)
    with pytest.raises(KeyboardInterrupt, match="run of the limit"):
        program.corrections(samples=64, repeats=2, signs=8, method="nodes")


def stop_at_once():
    raise KeyboardInterrupt


def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "net.tp").write_text("width n\nvector v : n ~ N(0, 1)\noutput q = mean(tanh(v)^2)\n")
    (tmp_path / "taken").write_text("")
    command = [
        "corrections",
        str(tmp_path / "net.tp"),
        "--method",
        "nodes",
        "--samples",
        "64",
        "--signs",
        "4",
    ]
    assert main([*command, "--checkpoint", str(tmp_path / "taken")]) == 2
    assert "TP606" in capsys.readouterr().err
