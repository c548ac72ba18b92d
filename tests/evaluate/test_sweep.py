"""Sweeps: the limits at points of a grid are those of single runs; what diverges is marked; files."""

import csv
import json

import numpy as np
import pytest

import tpc
from tpc.cli.main import main
from tpc.evaluate.sweep import parse_sweep

# what a step of gradient descent does to a quadratic, exactly; V[t] = (1 - eta)^t at rate 1
TEXT = """width n
dim T = 40
input eta = 0.5, start = 1, y[2] = 1
vector V0 : n ~ N(0, 1)
a[0] = start
for t < T:
    a[t+1] = a[t] - eta*a[t]^3
output loss[t] = a[t]^2*mean(V0^2)*y[0] for t < T + 1
output last = a[T]
"""
CANCELLING = """width n
input s = 1
vector v : n ~ N(0, 1)
matrix A : n x n ~ N(0, 1/n)
x = A @ v
output d = (mean((s*x)^2) - 1)/(s - 1)
"""
ETAS = [0.1, 0.5, 40.0]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "p.tp"
    path.write_text(TEXT)
    return path


@pytest.fixture
def evaluator():
    return tpc.parse(TEXT).compile()


def test_a_sweep_is_single_runs(evaluator):
    seen = []
    found = evaluator.sweep(
        {"eta": ETAS, "start": [1, 0.5]}, {"y": [2, 1]}, progress=lambda *done: seen.append(done)
    )
    assert seen[-1] == (6, 6)
    assert found.outputs["loss"].value.shape == (3, 2, 41)
    for i, eta in enumerate(ETAS[:2]):
        for j, start in enumerate((1, 0.5)):
            single = evaluator({"eta": eta, "start": start, "y": [2, 1]})
            assert np.array_equal(found.outputs["loss"].value[i, j], single["loss"].value)
    assert found.diverged.tolist() == [[False, False], [False, False], [True, True]]
    assert np.isfinite(found.outputs["loss"].value[2, :, :3]).all()
    assert found.best() == {"eta": 0.5, "start": 0.5}
    assert found.best("last") == {"eta": 0.5, "start": 0.5}
    assert found.label("loss") == "loss[40]"
    assert str(found).count("diverged") == 4
    data = found.to_json()
    assert data["diverged"] == [[2, 0], [2, 1]]
    json.dumps(data, allow_nan=False)


def test_a_long_table_is_folded(evaluator):
    lines = str(evaluator.sweep({"eta": np.linspace(0.1, 0.9, 200)})).splitlines()
    assert len(lines) == 64
    assert lines[32] == "  … 140 more, which --save and --json have"
    assert lines[2].split()[0] == "0.1"
    assert lines[62].split()[0] == "0.9"


def test_sampled_limits_have_their_errors():
    program = tpc.parse("width n\ninput s = 1\nvector v : n ~ N(0, 1)\nvector w : n ~ N(0, 1)\n"
                        "output q = mean(tanh(s*v + w)^2/(1 + v^2))\n")  # fmt: skip
    evaluator = program.compile(method="nodes", samples=64, repeats=4)
    found = evaluator.sweep({"s": [0.5, 1.0]}, seed=3)
    for k, s in enumerate((0.5, 1.0)):
        single = evaluator({"s": s}, seed=3)["q"]
        assert found.outputs["q"].value[k] == single.value
        assert found.outputs["q"].stderr[k] == single.stderr


def test_what_is_exact_at_some_points_and_not_at_others():
    """Digits are lost where something is subtracted; the first point need not be like the others."""
    program = tpc.parse(CANCELLING)
    evaluator, near = program.compile(), 1 + 1e-13
    for values in ([0.5, near], [near, 0.5]):
        found = evaluator.sweep({"s": values})
        error = found.outputs["d"].stderr
        assert error[values.index(0.5)] == 0
        assert error[values.index(near)] == evaluator({"s": near})["d"].stderr > 0
        assert "±" in str(found)
        json.dumps(found.to_json(), allow_nan=False)
    assert evaluator.sweep({"s": [0.5, 2]}).outputs["d"].stderr is None


def test_an_interrupted_sweep_gives_what_is_done(evaluator):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # not in an evaluation: a defect of the caller's
        evaluator.sweep({"eta": ETAS}, progress=stop)
    calls = []

    class Stopping(type(evaluator)):
        def __call__(self, *given, **options):
            calls.append(given)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return super().__call__(*given, **options)

    stopping = Stopping(**{name: getattr(evaluator, name) for name in evaluator.__dataclass_fields__})
    found = stopping.sweep({"eta": ETAS})
    assert found.interrupted
    assert found.done == 1
    assert np.isnan(found.outputs["last"].value).tolist() == [False, True, True]
    assert "interrupted after 1 of 3 points" in found.notes


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"T": [1, 2]}, "TP663"),
        ({"y": [1, 2]}, "TP662"),
        ({"eta": []}, "TP662"),
        ({"eta": [1, 1]}, "TP662"),
        ({"eta": "abc"}, "TP662"),
        ({"eta": np.ones((2, 2))}, "TP662"),
        ({"eta": np.arange(101), "start": np.arange(100)}, "TP662"),
        ({"nothing": [1]}, "TP504"),
        ({"eta": [1, np.inf]}, "TP503"),
    ],
)
def test_what_cannot_be_swept(values, code, evaluator):
    with pytest.raises(tpc.TpcError, match=code):
        evaluator.sweep(values)


@pytest.mark.parametrize(
    ("text", "values"),
    [("η=1:4:log3", [1, 2, 4]), ("eta=0:1:3", [0, 0.5, 1]), ("eta = 3,-1", [3, -1]), ("eta=5", [5])],
)
def test_what_is_written_for_a_sweep(text, values):
    name, found = parse_sweep(text)
    assert name == "eta"
    assert np.allclose(found, values, rtol=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "eta",
        "=1:2:3",
        "eta=1:2",
        "eta=1:2:log",
        "eta=1:2:1",
        "eta=1:2:99999999999",
        "eta=-1:2:log3",
        "eta=a",
        "eta=nan",
        "eta=__import__('os')",
        "eta=1:inf:3",
        "eta=1:2:logx",
        "eta=,",
    ],
)
def test_what_is_no_sweep(text):
    with pytest.raises(tpc.TpcError, match="TP662"):
        parse_sweep(text)


@pytest.mark.parametrize("ending", ["npz", "csv", "tex"])
def test_files_of_a_sweep(ending, file, tmp_path, capsys):
    saved, figure = tmp_path / f"s.{ending}", tmp_path / "s.png"
    swept = ("--sweep", "eta=0.1,0.5,40", "--sweep", "start=0.5:1:2")
    assert main(["run", str(file), *swept, "--save", str(saved), "--plot", str(figure), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["best"] == {"eta": 0.5, "start": 0.5}
    assert figure.stat().st_size > 5000
    if ending == "npz":
        kept = dict(np.load(saved))
        assert kept["loss"].shape == (3, 2, 41)
        assert kept["eta"].tolist() == [0.1, 0.5, 40]
    elif ending == "tex":
        rows = [row.split(" & ") for row in saved.read_text(encoding="utf-8").splitlines() if "&" in row]
        assert rows[0][:3] == [r"$\eta$", r"$\mathit{start}$", r"$\mathit{loss}_{40}$"]
        assert len(rows) == 1 + 6
        assert float(rows[1][2].strip("$")) == pytest.approx(data["outputs"]["loss"]["value"][0][0][40])
        assert "diverged" in rows[-1][2]
    else:
        lines = list(csv.DictReader(saved.open(encoding="utf-8")))
        assert len(lines) == 6 * 42
        assert lines[0].keys() == {"eta", "start", "output", "index", "value", "stderr"}
        assert float(lines[1]["value"]) == data["outputs"]["loss"]["value"][0][0][1]
    assert main(["run", str(file), *swept[:2], "--save", str(saved), "--plot", str(figure)]) == 0  # ours
    assert "best: eta = 0.5, with loss[40] = " in capsys.readouterr().out


def test_results_with_widths_in_files(file, tmp_path, capsys):
    archive, table, paper = tmp_path / "r.npz", tmp_path / "r.csv", tmp_path / "r.tex"
    for saved in (archive, table, paper):
        assert main(["run", str(file), "--widths", "8,16", "--seeds", "3", "--save", str(saved)]) == 0
    kept, lines = dict(np.load(archive)), list(csv.DictReader(table.open(encoding="utf-8")))
    assert kept["loss_n16"].shape == (3, 41)
    assert kept["seeds_n8"].tolist() == [0, 1, 2]
    finite = [float(line["value"]) for line in lines if line["width"] == "16" and line["output"] == "loss"]
    assert np.array_equal(np.reshape(finite, (3, 41)), kept["loss_n16"])
    limit = [float(line["value"]) for line in lines if line["width"] == "inf" and line["output"] == "loss"]
    assert limit == kept["loss"].tolist()
    assert paper.read_text(encoding="utf-8").startswith("% written by tpc\n\\begin{tabular}")


def test_what_tpc_did_not_write_is_not_overwritten(file, tmp_path, capsys):
    table, archive = tmp_path / "mine.csv", tmp_path / "mine.npz"
    table.write_text("a,b\n1,2\n")
    np.savez(archive, loss=np.ones(3))
    paper = tmp_path / "mine.tex"
    paper.write_text("% my own\n")
    for path in (table, archive, paper):
        before = path.read_bytes()
        assert main(["run", str(file), "--save", str(path)]) == 2
        assert "tpc did not write it" in capsys.readouterr().err
        assert path.read_bytes() == before
    assert main(["run", str(file), "--save", str(tmp_path / "r.txt")]) == 2
    assert "its name ends in none of .npz, .csv" in capsys.readouterr().err
    (tmp_path / "empty.csv").touch()
    assert main(["run", str(file), "--save", str(tmp_path / "empty.csv")]) == 0


def test_a_sweep_in_latex_has_every_output_that_has_numbers():
    """Be one without entries among them, or two of them called alike."""
    text = """width n
dim K = 0, T = 60
input eta = 1
vector v : n ~ N(0, 1)
output none[k] = eta*k for k < K
output a[t] = eta*t for t < T
output b = eta*mean(v^2)
"""
    found = tpc.parse(text).compile().sweep({"eta": [1, 2]})
    tables = found.to_latex({"a": "q", "b": "q"}).split("\n\n")
    assert len(tables) == 1
    rows = [row.removesuffix(r" \\").split(" & ") for row in tables[0].splitlines() if "&" in row]
    assert rows == [[r"$\eta$", "${q}_{59}$", "${q}$"], ["$1$", "$59$", "$1$"], ["$2$", "$118$", "$2$"]]


RANDOM_START = """width n
dim N = 2
input eta = 0.5, xs[N] = 1
weight U : n x 1
weight V : 1 x n
parametrization ntp
network f(x) = V @ tanh(U @ x)
train f for t < 1:
    batch (1, 0.5)
    loss mse
    update sgd(lr = eta)
output squares[t, i] = f[t](xs[i])^2 for t < 2 for i < N
output end[i] = f(xs[i]) for i < N
"""


def test_what_is_over_the_start_is_kept(tmp_path):
    evaluator = tpc.parse(RANDOM_START, name="start").compile(initial="integrate")
    found = evaluator.sweep({"eta": [0.25, 0.5]}, {"xs": [1, -0.5]})
    single = evaluator({"eta": 0.5, "xs": [1, -0.5]})
    for name, outcome in found.outputs.items():
        for part in ("value", "covariance", "std", "std_error"):
            np.testing.assert_array_equal(getattr(outcome, part)[1], getattr(single[name], part))
    table = single["squares"].covariance.reshape(2, 2, 2, 2)[1, :, 1]
    assert found.summary("squares").std[1] == pytest.approx(table.mean() ** 0.5, rel=1e-12)
    assert found.summary("end").std[1] == pytest.approx(single["end"].std[-1], rel=1e-12)
    assert np.shape(found.to_json()["outputs"]["end"]["covariance"]) == (2, 2, 2)
    found.save(tmp_path / "s.npz")
    assert np.load(tmp_path / "s.npz")["squares_covariance"].shape == (2, 4, 4)
    assert f"over the start ± {single['end'].std[-1]:.3g}" in str(found)


def test_what_a_figure_does_not_reach_is_not_said_to_have_diverged(monkeypatch):
    program = tpc.parse("width n\ninput a\nvector v : n ~ N(0, 1)\noutput m = mean(a^20*v^2)\n")
    found = program.compile().sweep({"a": [1.0, 2.0, 10.0, 1e16]})
    figures = []
    monkeypatch.setattr("tpc.evaluate.sweep_plot.save", lambda figure, *_, **__: figures.append(figure))
    found.plot("unused.png")
    (axis,) = figures[0].axes
    marked = {line.get_label(): list(line.get_xdata()) for line in axis.lines}
    assert marked["diverged"] == [1e16]
    assert marked["beyond what is drawn"] == [10.0]
    assert axis.get_legend() is None  # which curves would go through
    assert {text.get_text() for text in figures[0].legends[0].get_texts()} == {
        "diverged",
        "beyond what is drawn",
    }


def test_errors_in_a_figure_are_those_of_the_table(monkeypatch):
    program = tpc.parse("width n\ninput a = 1\nvector v : n ~ N(0, 1)\noutput m = mean(tanh(a*v)*exp(v/9))\n")
    found = program.compile(method="nodes", samples=64, repeats=4).sweep({"a": [1.0, 1.2]})
    figures = []
    monkeypatch.setattr("tpc.evaluate.sweep_plot.save", lambda figure, *_, **__: figures.append(figure))
    found.plot("unused.png")
    (band,) = figures[0].axes[0].collections
    outline = band.get_paths()[0].vertices
    errors = found.outputs["m"].stderr
    at = outline[np.isclose(outline[:, 0], 1.2), 1]
    np.testing.assert_allclose(np.ptp(at), 2 * errors[1], rtol=1e-12)
