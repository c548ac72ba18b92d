"""What is not finite is refused with the step at which it begins, and what came before is kept."""

import json

import numpy as np
import pytest

import tpc
from tests.evaluate.programs import TWO_LAYERS, same_bits
from tpc.cli.main import main

# f[t+1] = f[t]·(1 - η(f[t] - 2)f[t])²: with η = 3 it overflows within a few steps, with η = 0.1 it tends to 2
TRAINING = """
width n
dim T = 12
input eta = 3
vector V0 : n ~ N(0, 1)
V[0] = V0
for t < T:
    f[t] = mean(V[t]^2)
    V[t+1] = V[t] - eta*(f[t] - 2)*f[t]*V[t]
output f
output both[t, i] = f[t] + i for t < T for i < 2
output first = f[0]
"""


def by_hand(eta, steps=12):
    f = [1.0]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps - 1):
            f.append(f[-1] * np.square(1 - eta * (f[-1] - 2) * f[-1]))
    return np.array(f)


def strict(text):
    """JSON without the tokens NaN and Infinity, which it does not have."""
    return json.loads(text, parse_constant=lambda token: pytest.fail(f"{token} in JSON"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "training.tp"
    path.write_text(TRAINING)
    return path


def test_the_error_carries_what_came_before():
    program = tpc.parse(TRAINING)
    with pytest.raises(tpc.TpcError) as caught:
        program.compile()()
    assert caught.value.diagnostics[0].code == "TP603"
    partial, expected = caught.value.partial, by_hand(3)
    at = int(np.argmin(np.isfinite(expected)))
    assert 2 < at < 8
    assert {name: (end.at, end.entry) for name, end in partial.diverged.items()} == {
        "f": (at, f"[{at}]"),
        "both": (at, f"[{at}, :]"),
    }
    np.testing.assert_allclose(partial["f"].value[:at], expected[:at], rtol=1e-12)
    assert partial["first"].value == 1
    assert (
        f"`f` is not finite from `f[{at}]` on, `both` is not finite from `both[{at}, :]` on"
        in caught.value.diagnostics[0].message
    )


def test_what_stays_finite_is_no_error():
    result = tpc.parse(TRAINING).compile()({"eta": 0.1})
    np.testing.assert_allclose(result["f"].value, by_hand(0.1), rtol=1e-12)
    assert not result.diverged


def test_a_single_entry_that_is_not_finite():
    program = tpc.parse(
        "width n\ninput a[4]\nvector v : n ~ N(0, 1)\nm = mean(v^2)\noutput c[t] = log(a[t])*m for t < 4\n"
    )
    with pytest.raises(tpc.TpcError, match=r"`c` is not finite at `c\[1\]`: `log\(a\[1\]\)`"):
        program.compile()({"a": [1, -1, 2, 3]})
    with pytest.raises(tpc.TpcError, match=r"`c` is not finite from `c\[2\]` on: `log\(a\[2\]\)`"):
        program.compile()({"a": [1, 1, -2, 0]})


def test_the_command_prints_saves_and_draws_what_came_before(file, tmp_path, capsys):
    saved, figure = tmp_path / "out.npz", tmp_path / "out.png"
    assert main(["run", str(file), "--save", str(saved), "--plot", str(figure), "--widths", "16"]) == 2
    printed = capsys.readouterr()
    assert "  f[1] = 16\n" in printed.out
    assert "is not finite; " in printed.out
    assert "error[TP603]" in printed.err
    expected = by_hand(3)
    kept = np.isfinite(expected)
    np.testing.assert_allclose(np.load(saved)["f"][kept], expected[kept], rtol=1e-12)
    assert figure.stat().st_size > 5000


@pytest.mark.parametrize(
    "command",
    [
        ["run"],
        ["run", "--method", "nodes", "--samples", "64"],
        ["verify", "--widths", "16,32"],
        ["simulate", "--width", "32", "--seeds", "3"],
    ],
)
def test_json_has_null_for_what_is_not_finite_and_the_errors(file, command, capsys):
    assert main([command[0], str(file), "--json", *command[1:]]) == 2
    data = strict(capsys.readouterr().out)
    assert data["errors"][0]["code"] == "TP603"
    assert data["errors"][0]["file"] == str(file)
    f = data["outputs"]["f"]["mean" if command[0] == "simulate" else "value"]
    assert f[0] is not None
    assert f[-1] is None


def test_finite_width_alone_may_diverge(tmp_path, capsys):
    """log(m + 0.02) , m of mean 0, is finite in the limit, and at width 8 for about half of the seeds."""
    file = tmp_path / "log.tp"
    file.write_text("width n\nvector v : n ~ N(0, 1)\noutput c[t] = log(mean(v) + 1/50 + t) for t < 3\n")
    for command in (
        ["verify", str(file), "--widths", "8,16", "--seeds", "12"],
        ["run", str(file), "--widths", "8", "--seeds", "12"],
        ["simulate", str(file), "--width", "8", "--seeds", "12"],
    ):
        assert main([*command, "--json"]) == 2
        printed = capsys.readouterr()
        data = strict(printed.out)
        assert "at width 8, `c` is not finite at `c[0]`" in data["errors"][0]["message"]
        assert "at width 8, `c` is not finite at `c[0]`" in printed.err
    samples = tpc.load(file).simulate(width=8, seeds=12)
    assert set(samples.diverged) == {"c"}
    assert "c[0] is not finite; 2 more not shown" in str(samples)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_is_not_finite_is_refused(tmp_path, capsys, bad):
    path = tmp_path / "data.npz"
    np.savez(path, xi=np.array([1.0, bad, 1.0]))
    assert main(["run", str(TWO_LAYERS), "--data", str(path)]) == 2
    assert "error[TP503]: the input `xi` is not finite at [1]" in capsys.readouterr().err


def test_a_kept_run_that_diverged_diverges_again(tmp_path):
    evaluator = tpc.parse(TRAINING).compile(method="nodes", samples=64)
    partials = []
    for _ in range(2):
        with pytest.raises(tpc.TpcError) as caught:
            evaluator(checkpoint=tmp_path)
        partials.append(caught.value.partial)
    assert same_bits(*partials)
