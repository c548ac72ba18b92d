"""The command line: exit statuses, JSON, files, and what is imported."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tpc.cli.main import main

PROGRAMS = Path(__file__).parents[2] / "programs"
ONE, TWO, LINEAR = (
    str(PROGRAMS / name) for name in ("paper/thm_6_1.tp", "paper/thm_6_4.tp", "matrices/wishart.tp")
)


def run(capsys, *arguments, status=0):
    assert main([str(a) for a in arguments]) == status
    return capsys.readouterr()


def as_json(capsys, *arguments, status=0):
    return json.loads(run(capsys, *arguments, "--json", status=status).out)


def test_run_prints_one_object(capsys):
    data = as_json(
        capsys,
        "run",
        TWO,
        "--samples",
        256,
        "--repeats",
        4,
        "--set",
        "T=2",
        "--set",
        "y=[1, -1/2]".replace("-1/2", "-0.5"),
    )
    assert set(data) >= {"program", "plan", "outputs"}
    assert data["plan"]["method"] == "nodes"
    assert data["plan"]["exact"] is False
    assert len(data["outputs"]["f"]["value"]) == len(data["outputs"]["f"]["stderr"]) == 2
    exact = as_json(capsys, "run", LINEAR)
    assert exact["plan"]["exact"] is True
    assert exact["outputs"]["c"]["stderr"] is None
    np.testing.assert_allclose(exact["outputs"]["c"]["value"], [1, 1, 2, 5, 14, 42], rtol=1e-12)


def test_run_saves_and_draws(capsys, tmp_path):
    saved, figure = tmp_path / "out.npz", tmp_path / "out.png"
    printed = run(
        capsys,
        "run",
        TWO,
        "--samples",
        256,
        "--save",
        saved,
        "--plot",
        figure,
        "--widths",
        "32,64",
        "--seeds",
        2,
    )
    assert "at n = ∞" in printed.out
    assert "at width 64" in printed.out
    widths = {f"{name}_n{width}" for name in ("f", "loss", "seeds") for width in (32, 64)}
    assert set(np.load(saved)) == {"f", "f_stderr", "loss", "loss_stderr", *widths}
    assert figure.stat().st_size > 5000


def test_seed_repeats(capsys):
    first, again = (run(capsys, "run", TWO, "--samples", 256, "--seed", 5).out for _ in range(2))
    assert first == again


def test_simulate_prints_mean_and_spread(capsys):
    data = as_json(capsys, "simulate", ONE, "--width", 64, "--seeds", 4)
    assert (data["width"], data["seeds"]) == (64, 4)
    assert len(data["outputs"]["f"]["mean"]) == len(data["outputs"]["f"]["std"]) == 3


def test_verify_agrees(capsys, tmp_path):
    figure = tmp_path / "verify.png"
    data = as_json(capsys, "verify", ONE, "--widths", "64,128,256", "--seeds", 8, "--plot", figure)
    assert data["agrees"] is True
    assert figure.stat().st_size > 5000


def test_verify_has_status_1_if_they_disagree(capsys, tmp_path, monkeypatch):
    import tpc.evaluate.evaluator

    honest = tpc.evaluate.evaluator.Evaluator.__call__

    def wrong(self, *arguments, **options):
        result = honest(self, *arguments, **options)
        for outcome in result.outputs.values():
            outcome.value.setflags(write=True)
            outcome.value[...] += 0.5
        return result

    monkeypatch.setattr(tpc.evaluate.evaluator, "np", _Writable)
    monkeypatch.setattr(tpc.evaluate.evaluator.Evaluator, "__call__", wrong)
    assert "DISAGREES" in run(capsys, "verify", ONE, "--widths", "64,128,256", "--seeds", 8, status=1).out


class _Writable:
    """NumPy, with arrays that can be changed."""

    asarray = staticmethod(np.array)
    all, isfinite = np.all, np.isfinite


@pytest.mark.parametrize("command", ["check", "lower", "derive"])
def test_commands_that_print(command, capsys):
    assert run(capsys, command, TWO).out.strip()
    assert as_json(capsys, command, TWO)["program"] == "thm_6_4"


def test_derive_in_other_formats(capsys):
    latex = run(capsys, "derive", TWO, "--format", "latex").out
    assert "\\hat" in latex
    assert latex == run(capsys, "derive", TWO, "--format", "latex", "--columns", "1").out
    narrow = run(capsys, "derive", TWO, "--format", "latex", "--columns", "2").out
    assert narrow.count("\\\\") > latex.count("\\\\")
    assert "TP602" in run(capsys, "derive", TWO, "--columns", "2", status=2).err
    assert json.loads(run(capsys, "derive", TWO, "--format", "json").out)["formulas"]
    assert "h[2]" in run(capsys, "derive", TWO, "--unroll").out
    assert "TP602" in run(capsys, "derive", TWO, "--unroll", "--set", "T=5000", status=2).err


@pytest.mark.parametrize("ending", ["svg", "png", "dot"])
def test_graph(ending, capsys, tmp_path):
    path = tmp_path / f"graph.{ending}"
    run(capsys, "graph", TWO, "-o", path)
    assert path.stat().st_size > 500


def test_graph_of_another_ending_is_refused(capsys, tmp_path):
    assert "TP606" in run(capsys, "graph", TWO, "-o", tmp_path / "graph.xyz", status=2).err


def test_compile_writes_what_run_runs(capsys, tmp_path):
    path = tmp_path / "limit.py"
    run(capsys, "compile", LINEAR, "-o", path)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
    assert "42." in done.stdout
    source = path.read_text(encoding="utf-8")
    assert (
        source
        == run(capsys, "compile", LINEAR, "-o", "-").out
        == as_json(capsys, "compile", LINEAR, "-o", "-")["source"]
    )


def test_wrong_use_has_status_2(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["run", ONE, "--samples", "-3"])
    assert caught.value.code == 2


def test_a_defect_has_status_70_and_no_traceback(capsys, monkeypatch):
    monkeypatch.setattr("tpc.pipeline.verified", lambda program: 1 / 0)
    printed = run(capsys, "check", ONE, status=70)
    assert "defect of tpc" in printed.err
    assert "Traceback" not in printed.err


def test_a_package_that_is_not_installed_is_named():
    """It is not a defect; of tpc's own modules it would be one."""
    code = "import sys; sys.modules[sys.argv.pop(1)] = None; from tpc.cli.main import entry; entry()"

    def without(package, *command):
        run = [sys.executable, "-c", code, package, *command, ONE, "--json"]
        return subprocess.run(run, capture_output=True, text=True)

    for package, command in (("lark", "check"), ("jax", "run")):
        done = without(package, command)
        assert done.returncode == 2
        assert f"error[TP615]: the Python package {package}" in done.stderr
        assert json.loads(done.stdout)["errors"][0]["code"] == "TP615"
    done = without("tpc.lower", "check")
    assert done.returncode == 70
    assert "defect of tpc" in done.stderr


def test_settings_take_greek_names(capsys):
    plain, greek = (
        as_json(capsys, "run", ONE, "--set", f"{name}=[1, 0.5, 1]")["outputs"] for name in ("xi", "ξ")
    )
    assert plain == greek


def imported(*arguments):
    """The modules that a command imports, in a process of its own."""
    code = (
        "import sys; from tpc.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print('\\n"
        "'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stderr.split()}


def test_what_is_imported():
    assert not imported("--help") & {"jax", "sympy", "numpy", "lark", "scipy", "matplotlib", "networkx"}
    assert not imported("check", TWO) & {"jax", "sympy", "scipy", "matplotlib", "networkx"}


def test_progress_tells_what_is_left(capsys, monkeypatch):
    from tpc.cli import numbers as cli_numbers

    clock = iter([0.0, 3.0, 7.0, 11.0])
    monkeypatch.setattr(cli_numbers.time, "monotonic", lambda: next(clock))
    progress = cli_numbers.progress_line("repeat")
    for done in range(1, 4):
        progress(done, 3)
    shown = [text.replace("\033[K", "") for text in capsys.readouterr().err.split("\r")]
    assert shown == [
        "",
        "repeat: 1 of 3, about 6 s left",
        "repeat: 2 of 3, about 4 s left",
        "repeat: 3 of 3",
        "",
    ]
