"""What takes more memory than is free is made smaller, and says so, or is refused beforehand with what would
fit."""

import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

import tpc
from tests.bench.memory import CASES, DEEP, inputs_of, measured, of_run, of_simulation
from tpc.cli.main import main
from tpc.evaluate.fit import of_repeat
from tpc.simulate import finite_program, seeds

KINKED = "width n\nvector v[i < 6] : n ~ N(0, 1)\noutput a = mean(relu(sum(i < 6: v[i])))\n"
MATRIX = "width n\nmatrix A : n x n ~ N(0, 1/n)\nvector v : n ~ N(0, 1)\noutput a = mean(tanh(A @ v)^2)\n"
NAMES = {case.name: case for case in CASES}


def test_fewer_points_where_less_is_free(monkeypatch):
    evaluator = tpc.parse(KINKED).compile(method="nodes")
    first = evaluator.plan
    whole, half = (
        of_repeat(evaluator.module, plan, {}) for plan in (first, replace(first, samples=first.samples // 2))
    )
    assert 1.8 < whole / half < 2.2
    monkeypatch.setattr("tpc.evaluate.fit.free_of_devices", lambda: 1.2 * half)
    fitted = evaluator()
    assert fitted.plan.samples == first.samples // 2
    assert f"{first.samples // 2} points instead of {first.samples}" in " ".join(fitted.notes)
    again = tpc.parse(KINKED).compile(method="nodes", samples=first.samples // 2, repeats=first.repeats)()
    assert np.array_equal(fitted["a"].value, again["a"].value)
    with pytest.raises(tpc.TpcError, match=f"--samples {first.samples // 2} would fit"):
        tpc.parse(KINKED).compile(method="nodes", samples=first.samples)()
    monkeypatch.setattr("tpc.evaluate.fit.free_of_devices", lambda: 1000.0)
    with pytest.raises(tpc.TpcError, match="TP604"):
        evaluator()


def test_fewer_seeds_where_less_is_free(monkeypatch):
    program = tpc.parse(MATRIX)
    alone = program.simulate(width=16, seeds=12)
    three = finite_program.FiniteProgram.of(program, {}, 16, "float64", "auto").memory(3)
    monkeypatch.setattr(finite_program, "free_of_devices", lambda devices=1: 1.2 * three)
    groups, real = [], seeds.SeedCheckpoint.add

    def add(self, seeds, outputs):
        groups.append(len(seeds))
        real(self, seeds, outputs)

    monkeypatch.setattr(seeds.SeedCheckpoint, "add", add)
    assert np.array_equal(program.simulate(width=16, seeds=12).outputs["a"], alone.outputs["a"])
    assert 1 <= max(groups) <= 3
    monkeypatch.setattr(finite_program, "free_of_devices", lambda devices=1: three / 6)
    with pytest.raises(tpc.TpcError, match=r"a width of \d+ would fit"):
        program.simulate(width=16, seeds=2)


def test_widths_seeds_repeats_samples_and_tasks_that_cannot_be(tmp_path, capsys):
    path = tmp_path / "p.tp"
    path.write_text(KINKED)
    huge = str(10**9)
    for arguments, says in (
        (["simulate", str(path), "--width", str(10**11)], "a width of"),
        (["simulate", str(path), "--width", "8", "--seeds", str(4 * 10**9)], "use fewer seeds"),
        (["run", str(path), "--method", "nodes", "--repeats", str(10**10)], "use fewer --repeats"),
        (["run", str(path), "--method", "nodes", "--samples", str(5 * 10**11)], "--samples"),
        (["verify", str(path), "--widths", f"8,{10**11}", "--seeds", "2"], "a width of"),
        (["run", str(path), "--widths", f"8,{10**11}", "--seeds", "2"], "a width of"),
        (["experiment", "maml", "--set", f"test_tasks={huge}"], "use fewer test_tasks"),
        (["experiment", "maml", "--set", f"validation_tasks={huge}"], "use fewer validation_tasks"),
        (["experiment", "maml", "--set", f"batches={huge}"], "use fewer batches or tasks"),
    ):
        assert main(arguments) == 2, arguments
        printed = capsys.readouterr()
        assert "error[TP604]" in printed.err, arguments
        assert says in printed.err
    with pytest.raises(tpc.TpcError, match="TP604"):
        tpc.parse(KINKED).simulate(width=10**11)


def test_a_kernel_that_does_not_fit(monkeypatch):
    kernels = tpc.parse(
        "width n\nweight U : n x 2\nweight V : 1 x n\nnetwork f(x) = V @ relu(U @ x)\noutput a = 1\n"
    ).kernels()
    x = np.random.default_rng(0).standard_normal((300, 2))
    whole = kernels.ntk(x)
    with pytest.raises(tpc.TpcError, match="`tpc kernel` writes it to a file"):
        kernels.ntk(np.broadcast_to(np.ones(2), (10**6, 2)))
    one, needed = kernels.ntk.blocks._work(x, x, same=True)
    monkeypatch.setattr("tpc.kernels.blocks.require_memory", lambda *_, **__: None)
    monkeypatch.setattr("tpc.kernels.blocks.free_memory", lambda: needed / 2)
    fewer, each = kernels.ntk.blocks._work(x, x, same=True)
    assert len(fewer) > len(one)
    assert each < needed / 2
    np.testing.assert_allclose(kernels.ntk(x), whole, rtol=1e-12)


def test_rounds_with_bases_of_their_own_come_in_turns(monkeypatch):
    """All at once, one by one and two at a time they give the same."""
    shallow = DEEP.replace("T = 40, N = 64, B = 16, d = 10, S = 64", "T = 3, N = 4, B = 2, d = 2, S = 2")
    program = tpc.parse(
        shallow.replace("weight W2 : n x n\n", "").replace("W2 @ relu(W1 @ relu(U @ ξ))", "W1 @ relu(U @ ξ)")
    )
    inputs = inputs_of(program)
    found = {}
    for most, line in (
        (4, "jax.vmap(each_t)("),
        (1, "lax.map(lambda own: each_t(*own), (jnp.arange(4), U, V))"),
        (2, "lax.map(lambda own: each_t(*own), (jnp.arange(4), U, V), batch_size=2)"),
    ):
        monkeypatch.setattr(
            "tpc.emit.parallel.Parallel._at_once",
            lambda self, region, inner, most=most: most if inner.chains else region.greatest,
        )
        evaluator = program.compile(samples=256, repeats=2, method="nodes")
        assert line in evaluator.source
        outputs, _ = evaluator.module.evaluated(
            evaluator.module.prepared(inputs), *evaluator.module.draw(0, 0)
        )
        found[most] = np.asarray(outputs["err"])
    np.testing.assert_allclose(found[1], found[4], rtol=1e-9)
    np.testing.assert_allclose(found[2], found[4], rtol=1e-9)


def test_deep_test_errors_at_every_step_take_what_the_plan_says():
    """29 GB at these sizes, before: rounds that are run at once have bases of their own."""
    program = tpc.parse(DEEP)
    evaluator = program.compile()
    module, plan = evaluator.module, evaluator.plan
    assert "lax.map(lambda own: each_t(*own)" in evaluator.source
    assert plan.memory < 4e9
    assert module.SAMPLES == plan.samples == 32768


@pytest.mark.skipif(sys.platform != "linux", reason="the mark of the most memory is reset by Linux")
@pytest.mark.parametrize("name", ["simulate: vectors, width 5,000,000"])
def test_predicted_is_what_is_measured(name):
    found = measured(NAMES[name])
    assert 0.7 < found["predicted"] / found["measured"] < 1.5


def test_nothing_is_computed_to_predict():
    jax.config.update("jax_enable_x64", True)
    predicted, _ = of_simulation(tpc.parse(MATRIX), 64)
    assert predicted > 64 * 64 * 8
    predicted, _ = of_run(tpc.parse(KINKED), method="nodes", samples=1024, repeats=2)
    assert predicted > 6 * 1024 * 8
