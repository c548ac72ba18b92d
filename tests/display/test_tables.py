"""Outputs as data frames and in LaTeX, and drawn into axes of one's own."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import tpc
from tpc.display.latex_tables import TabledOutput, latex_number, latex_tables
from tpc.show.figures import with_error
from tpc.simulate import verify

TEXT = """width n
dim T = 3, K = 2
vector v[j < K] : n ~ N(0, 1)
output m[t] = mean(v[0]^(2*t)) for t < T
output g[i, t] = mean(v[i]*v[0])*t for i < K for t < T
output c = mean(tanh(v[0])^2)
output o[value] = mean(v[value]^2) for value < K
"""


@pytest.fixture(scope="module")
def program():
    return tpc.parse(TEXT)


@pytest.fixture(scope="module")
def result(program):
    return program.compile()()


def test_a_result_as_a_frame(result):
    frame = result.to_pandas()
    assert list(frame.columns) == ["output", "t", "i", "value_", "value", "stderr"]
    assert len(frame) == 3 + 6 + 1 + 2
    g = frame[(frame["output"] == "g") & (frame["i"] == 0) & (frame["t"] == 2)]
    assert g["value"].item() == pytest.approx(2.0)
    assert frame[frame["output"] == "c"]["t"].isna().all()
    own = result.to_pandas("m")
    assert own.index.name == "t"
    np.testing.assert_array_equal(own["value"], result["m"].value)
    assert result.to_pandas("g").loc[(0, 1), "value"] == pytest.approx(1.0)
    assert result.to_pandas("c")["value"].item() == pytest.approx(float(result["c"].value))
    with pytest.raises(KeyError, match="no output other; there are m, g, c, o"):
        result.to_pandas("other")
    assert result.get("other") is None


def test_samples_and_reports_as_frames(program, result):
    samples = [program.simulate(width=n, seeds=[3, 5]) for n in (8, 16)]
    frame = samples[0].to_pandas()
    assert set(frame["seed"]) == {3, 5}
    row = frame[(frame["output"] == "m") & (frame["seed"] == 5) & (frame["i0"] == 1)]
    assert row["value"].item() == samples[0].outputs["m"][1, 1]
    report = verify(result.limits, samples).to_pandas()
    assert set(report["width"]) == {8, 16}
    assert {"mean", "stderr", "spread", "limit", "limit_stderr"} <= set(report.columns)


def test_a_frame_without_pandas(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(tpc.TpcError, match="pandas") as error:
        result.to_pandas()
    assert error.value.diagnostics[0].code == "TP615"
    assert "pip install" in str(error.value)


def test_a_result_in_latex(result):
    latex = result.to_latex({"g": "G", "t": "\\tau", "c": "C_0"})
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 4
    assert r"${C_0}$" in latex
    assert r"${G}_{i, {\tau}}$" in latex
    for line in latex.split("\n"):
        assert line.count("$") % 2 == 0
    with pytest.raises(ValueError, match="3 rows"):
        result.to_latex(rows=2)


def test_a_report_in_latex(program, result):
    samples = [program.simulate(width=n, seeds=[3, 5]) for n in (8, 16)]
    report = verify(result.limits, samples)
    tables = report.to_latex({"m": "M"}).split("\n\n")
    rows = [[row.removesuffix(r" \\").split(" & ") for row in t.split("\n") if "&" in row] for t in tables]
    assert [len(r) for r in rows] == [1 + 1, 1 + 3, 1 + 6, 1 + 2]
    assert rows[0][0] == ["", r"$n = \infty$", "$n = 8$", "$n = 16$"]
    assert rows[0][1][0] == "$c$"
    assert rows[1][0][:2] == ["$i$", r"${M}_{i},\ n = \infty$"]
    assert rows[2][0][:3] == ["$i_0$", "$i_1$", r"$g_{i_0, i_1},\ n = \infty$"]
    mean = samples[1].outputs["m"].mean(axis=0)[1]
    assert float(rows[1][2][3].strip("$").split(r" \pm")[0]) == pytest.approx(mean, rel=1e-2)
    assert r"\vdots" in report.to_latex(rows=3)


def test_long_and_many_families_fit_a_page():
    def number(index):
        return "0.5 ± 0.1"

    outputs = [TabledOutput(f"y_{k}", ("t",), (1000,), number) for k in range(9)]
    latex = latex_tables(outputs)
    assert latex.count("tabular}{rllll}") == 2
    assert latex.count("tabular}{rl}") == 1
    tables = latex.split("\n\n")
    assert all(len(t.split("\n")) <= 46 for t in tables)
    assert all(r"\vdots" in t for t in tables)
    assert r"$999$" in latex


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("0.4999 ± 0.0012", r"$0.4999 \pm 0.0012$"),
        ("1.2e-16 ± 3e+20", r"$1.2 \cdot 10^{-16} \pm 3 \cdot 10^{20}$"),
        ("0.5, no finite error", "$0.5$, no finite error"),
        ("0.5 ± 0.1, over the start ± 2", r"$0.5 \pm 0.1$, over the start $\pm$ 2"),
        ("-inf", r"$-\infty$"),
    ],
)
def test_numbers_in_latex(text, latex):
    assert latex_number(text) == latex


def test_finite_widths_beside_the_limit_in_latex(program, result, tmp_path):
    samples = [program.simulate(width=n, seeds=3) for n in (8, 16)]
    single, *families = result.to_latex({"m": "M", "c": "C"}, samples=samples).split("\n\n")
    mean, std = samples[0].mean, samples[0].std
    lines = single.splitlines()
    assert lines[2] == r" & $n = \infty$ & $n = 8$ & $n = 16$ \\"
    assert lines[4].startswith("${C}$ & $0.394")
    assert latex_number(with_error(float(mean["c"]), float(std["c"]), 12, 15)) in lines[4]
    assert len(families) == 3  # each output has a table of its own
    head, _, *rows = families[0].splitlines()[2:-2]
    assert head == r"$t$ & ${M}_{t},\ n = \infty$ & $n = 8$ & $n = 16$ \\"
    for t, row in enumerate(rows):
        if std["m"][t]:
            assert latex_number(with_error(float(mean["m"][t]), float(std["m"][t]), 12, 15)) in row
    result.save(tmp_path / "r.tex", samples)
    assert (tmp_path / "r.tex").read_text() == f"% written by tpc\n{result.to_latex(samples=samples)}\n"


def test_drawn_into_axes_of_ones_own(result, tmp_path):
    figure = Figure()
    axes = figure.subplots(2, 2)
    drawn = result.plot(axes=axes)
    assert list(drawn) == list(axes.ravel())
    assert drawn[0].get_xlabel() == "t"
    assert drawn[0].lines
    ticks = drawn[0].get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))
    with pytest.raises(ValueError, match=r"4 panels are drawn \(m, g, o, single numbers\), and axes has 1"):
        result.plot(axes=figure.add_subplot())
    assert len(result.plot(tmp_path / "figure.png")) == 4
    assert (tmp_path / "figure.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="ends in"):
        result.plot(tmp_path / "figure.xyz")


@pytest.mark.parametrize(("count", "panels"), [(2, 3), (3, 4), (4, 2)])
def test_few_single_numbers_have_panels_of_their_own(count, panels):
    """Losses and accuracies are of different sizes. One's own axes may have one for all of them."""
    lines = "".join(f"output c{k} = 10^{k}*mean(v^2)\n" for k in range(count))
    head = "width n\nvector v : n ~ N(0, 1)\noutput m[t] = mean(v^2)*t for t < 3\n"
    result = tpc.parse(f"{head}{lines}").compile()()
    assert len(result.plot(axes=Figure().subplots(1, panels))) == panels
    assert len(result.plot(axes=Figure().subplots(1, 2))) == 2


def test_two_indices_are_a_map_or_curves_beside_finite_widths(program, result, tmp_path):
    """Finite widths are seen beside the limit wherever its panel can show them; where not, it says so."""
    from tpc.evaluate import result_plot

    (_, alone, *_) = result.plot(axes=Figure().subplots(2, 2).ravel())
    assert len(alone.images) == 1
    assert (alone.get_ylabel(), alone.get_xlabel()) == ("i", "t")
    for ticks in (alone.get_xticks(), alone.get_yticks()):
        np.testing.assert_array_equal(ticks, np.round(ticks))
    samples = [program.simulate(width=8, seeds=3)]
    figure = result_plot.figure_of_result(result, samples)
    beside = figure.axes[1]
    assert not beside.images
    limit, narrow = beside.lines[0::2], beside.lines[1::2]
    for t in range(3):  # a curve for each value of the second index
        np.testing.assert_array_equal(limit[t].get_ydata(), result["g"].value[:, t])
        np.testing.assert_array_equal(narrow[t].get_ydata(), samples[0].mean["g"][:, t])
    assert [text.get_text() for text in beside.texts] == [" t = 0", " t = 1", " t = 2"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["n = ∞", "n = 8"]
    panel = Figure().subplots()
    result_plot._map(panel, "g", np.ones((4, 9)), ("i", "t"), beside=True)
    assert panel.get_title() == "g, n = ∞"


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_legends_below_panels_are_read_row_by_row(count):
    """matplotlib fills column by column."""
    from tpc.simulate import plot

    panel = Figure().subplots()
    for k in range(count):
        panel.plot([0, 1], [k, k], label=f"n = {k}")
    plot._legend(panel)
    columns = panel.get_legend()._ncols
    shown = [text.get_text() for text in panel.get_legend().get_texts()]
    by_column = np.array_split(shown, columns)
    rows = [column[r] for r in range(len(by_column[0])) for column in by_column if r < len(column)]
    assert rows == [f"n = {k}" for k in range(count)]
    assert columns == (count if count <= 4 else 3)


def test_a_new_figure_is_one_that_notebooks_show(result):
    mpl.use("agg")
    from matplotlib import pyplot

    drawn = result.plot()
    assert drawn[0].figure.number in pyplot.get_fignums()
    pyplot.close(drawn[0].figure)
