"""Layers that are alike as rounds of loops: which are found, and that modules with and without loops give the
same numbers."""

import inspect
import os
import sys
from random import Random

import jax
import numpy as np
import pytest

import tpc
from tpc.core.affine import Affine
from tpc.core.expr import Call, Ref, Sum, Value, add, mul, number, replace, values
from tpc.gram import NotGramError, TooDearError, covariance_program
from tpc.gram.alike import runs
from tpc.gram.ir import Definition, Piece
from tpc.gram.write import emit_gram
from tpc.plan.plan_covariances import plan_covariances

COUNT = int(os.environ.get("TPC_LAYERS", "4"))  # random networks


def definition(name, formula):
    return Definition(name, (2,), (Piece((0,), (2,), ("i%2%",), formula),), name)


def member(name):
    return Value(Ref(name, (Affine.var("i%2%"),)), False)


def formula(kind, names, variable):
    """An expression of one of a few kinds, with the names in their places, the variable of its sum
    anything."""
    parts = [mul(number(k + 2), member(name)) for k, name in enumerate(names)]
    return add(
        Call(kind, (add(*parts),)), Sum(variable, Affine(3), Value(Ref("x", (Affine.var(variable),)), False))
    )


def some_definitions(random):
    """Layers whose places are made of those of the same layer, of the one before, of a fixed array, and of
    what earlier layers left, in order or backwards; with other definitions between them."""
    out = [definition(f"E${k}", number(k)) for k in range(3)]
    left = []  # of earlier layers, place by place

    def new(text):
        out.append(definition(f"E${len(out)}", text))
        return out[-1].name

    for _ in range(random.randint(1, 3)):
        period, rounds = random.randint(1, 4), random.randint(3, 9)
        plan = [
            (
                random.choice(["tanh", "sin", "erf"]),
                [random.choice(["own", "before", "fixed", "series", "back"]) for _ in range(2)],
            )
            for _ in range(period)
        ]
        picks = [
            [(random.randrange(max(1, place)), random.choice(left) if left else None) for _ in ways]
            for place, (_, ways) in enumerate(plan)
        ]
        before, made = [random.choice(out).name for _ in range(period)], []
        for k in range(rounds):
            row = []
            for (kind, ways), own in zip(plan, picks, strict=True):
                names = []
                for way, (place, series) in zip(ways, own, strict=True):
                    if way in ("series", "back") and series is not None:
                        names.append(
                            series[k if way == "series" else -1 - k] if k < len(series) else out[0].name
                        )
                    else:
                        names.append(
                            row[place]
                            if way == "own" and place < len(row)
                            else before[place]
                            if way == "before"
                            else out[1].name
                        )
                row.append(new(formula(kind, names, f"k%{random.randrange(100)}")))
            before, made = row, [*made, row]
        left += [list(column) for column in zip(*made, strict=True)]
        if random.random() < 0.5:
            new(formula("exp", [random.choice(out).name], "s"))
    return out


def test_every_round_is_the_first_one_in_other_names():
    found = 0
    for seed in range(60):
        definitions = some_definitions(Random(seed))
        by_name = {d.name: d for d in definitions}
        stop = 0
        for run in runs(definitions, least=3):
            assert run.start >= stop
            stop, found = run.stop, found + 1
            made = {d.name for d in definitions[: run.start + run.period]}
            assert [name for row in run.names for name in row] == [
                d.name for d in definitions[run.start : run.stop]
            ]
            for k in range(1, len(run.names)):
                meaning = run.meaning(k)
                for template, name in zip(run.names[1], run.names[k], strict=True):
                    moved = replace(
                        by_name[template].pieces[0].formula,
                        lambda x, meaning=meaning: (
                            Value(Ref(meaning.get(x.ref.name, x.ref.name), x.ref.index), x.vector)
                            if isinstance(x, Value)
                            else None
                        ),
                    )
                    own = by_name[name].pieces[0].formula
                    assert moved.terms[0] == own.terms[0]
                    assert moved.terms[1].count == own.terms[1].count
            used = {v.ref.name for name in run.names[1] for v in values(by_name[name].pieces[0].formula)} - {
                "x"
            }
            assert used <= made | set(run.names[1])
            assert all(set(of) <= {d.name for d in definitions[: run.start]} for of in run.series.values())
    assert found > 60


def test_long_runs_are_found_whole():
    definitions = [definition("E$0", number(1))]
    for k in range(20):
        definitions.append(definition(f"E${2 * k + 1}", formula("tanh", [f"E${2 * k}"], "s")))
        definitions.append(definition(f"E${2 * k + 2}", formula("sin", [f"E${2 * k + 1}"], f"s{k}")))
    backwards = [
        definition(f"B${k}", formula("exp", [f"B${k - 1}" if k else "E$0", f"E${40 - k}"], "s"))
        for k in range(30)
    ]
    forward, back = runs([*definitions, *backwards])
    assert (forward.period, len(forward.names), forward.before) == (2, 20, (1,))
    assert (back.period, len(back.names), back.series) == (
        1,
        30,
        {"E$39": tuple(f"E${40 - k}" for k in range(1, 30))},
    )


HEAD = (
    "width n\n"
    "dim N = 2, L = 9\n"
    "input x[N, 2], s = 1\n"
    "weight U : n x 2\n"
    "weight W[l < L] : n x n, std = 2^(1/2)\n"
    "weight Y[l < L] : n x n\n"
    "weight V : 1 x n\n"
    "bias b[l < L] : n, std = 1/2\n"
)
TAIL = (
    "\n"
    "output S[i, j] = nngp(f)(x[i], x[j]) for i < N for j < N\n"
    "output T[i, j] = ntk(f)(x[i], x[j]) for i < N for j < N"
)


def layers(step, first="U @ x"):
    return (
        f"{HEAD}network f(x):\n"
        f"    h[0] = {first}\n"
        "    for l < L:\n"
        f"        h[l+1] = {step}\n"
        f"    return V @ h[L]{TAIL}"
    )


NETS = {
    "tanh": layers("s*(W[l] @ tanh(h[l])) + b[l]/3"),
    "relu": layers("W[l] @ relu(h[l])"),
    "relu, biases": layers("s*(W[l] @ relu(h[l])) + b[l]"),
    "leaky": "def leaky(z) = max(z, z/10)\n" + layers("W[l] @ leaky(h[l])"),
    "abs": layers("W[l] @ abs(h[l])"),
    "erf, residual": layers("h[l] + s*(W[l] @ erf(h[l]))/3"),
    "relu, residual": layers("h[l] + (W[l] @ relu(h[l]))/3"),
    "relu of erf": layers("h[l]/2 + W[l] @ relu(Y[l] @ erf(h[l]))"),
    "relu of tanh": layers("h[l]/2 + W[l] @ relu(Y[l] @ tanh(h[l]))"),
    "relu of softplus": layers("h[l] + W[l] @ relu(Y[l] @ softplus(h[l]))/3"),
    "sin and cos in turn": layers("(W[l] @ (sin(h[l]) + cos(h[l])))/2"),
}
NOT_IN_LOOPS = ("abs", "leaky", "relu, residual", "relu of tanh", "relu of softplus")


def value(source, inputs, points):
    """The outputs of a module's limit."""
    made = {"__name__": "module"}
    exec(compile(source, "module", "exec"), made)
    nodes = np.linspace(-4, 4, points)
    weights = np.exp(-(nodes**2) / 2)
    return jax.jit(lambda given: made["limit"](given, nodes[None], weights / weights.sum())[0])(inputs)


@pytest.mark.parametrize("net", NETS)
def test_modules_with_loops_give_the_same_numbers(net):
    jax.config.update("jax_enable_x64", True)
    program = tpc.parse(NETS[net])
    plan = plan_covariances(program, "float64", None)
    inputs = {"x": np.array([[0.3, 1.1], [-0.8, 0.5]]), "s": 0.9}
    rolled, flat = (emit_gram(plan, rolled=rolled) for rolled in (True, False))
    assert ("lax.scan(layer" in rolled) == (net not in NOT_IN_LOOPS) == (rolled != flat)
    assert "lax.scan(layer" not in flat
    if net in NOT_IN_LOOPS:
        return
    one, other = (value(source, inputs, 5) for source in (rolled, flat))
    for name in ("S", "T"):
        assert np.allclose(one[name], other[name], rtol=1e-14, atol=0)


def some_layer(random):
    def of(x):
        return f"{random.choice(['tanh', 'softplus', 'relu', 'relu', 'erf', 'abs'])}({x})"

    skip = random.choice(["", "h[l] + ", "h[l]/2 + ", "U @ x + ", "s*h[l] - "])
    inner = random.choice(["", "h[l]/3 + "]) + f"Y[l] @ {of('h[l]')}"
    return f"{skip}(W[l] @ {of(inner)})/2{random.choice(['', ' + b[l]'])}"


@pytest.mark.parametrize("seed", range(COUNT))
def test_random_layers_in_loops_give_the_same_numbers(seed):
    jax.config.update("jax_enable_x64", True)
    program = tpc.parse(layers(some_layer(Random(seed))).replace(TAIL, TAIL.rsplit("\n", 1)[0]))
    plan = plan_covariances(program, "float64", None)
    inputs = {"x": np.array([[0.3, 1.1], [-0.8, 0.5]]), "s": 0.9}
    rolled, flat = (emit_gram(plan, rolled=rolled) for rolled in (True, False))
    if rolled == flat:
        return
    one, other = (value(source, inputs, 5)["S"] for source in (rolled, flat))
    assert np.allclose(one, other, rtol=1e-14, atol=0)


def test_arrays_that_lie_side_by_side_are_one_part_of_an_array():
    for net, part in (
        ("relu, biases", "(h3_S_sq_all[0:7],), 7)"),
        ("sin and cos in turn", "_all[0:5][::-1],"),
    ):
        assert part in emit_gram(plan_covariances(tpc.parse(NETS[net]), "float64", None))


def test_names_of_a_module_can_be_names_of_inputs():
    names = ("inputs", "points", "weights", "dtype", "rule", "limit")

    def found(names):
        scale = " + ".join(f"{k}*{name}" for k, name in enumerate(names, 1))
        text = (
            f"width n\ninput {', '.join(names)}\nvector u : n ~ N(0, 1)\n"
            f"x = tanh(({scale})*u)\noutput c = mean(x^2)\n"
        )
        source = emit_gram(plan_covariances(tpc.parse(text), "float64", None))
        return value(source, {name: 1 / k for k, name in enumerate(names, 2)}, 5)["c"]

    assert found(names) == found([f"a{k}" for k in range(6)])


def test_an_array_that_is_two_things_has_the_shorter_name():
    source = emit_gram(
        plan_covariances(
            tpc.parse(
                "width n\ninput x[3, 2]\nvector u[k < 2] : n ~ N(0, 1)\nvector v[k < 2] : n ~ N(0, 1)\n"
                "hidden[i] = sum(k < 2: x[i, k]*u[k]) for i < 3\ng[i] = sum(k < 2: x[i, k]*v[k]) for i < 3\n"
                "output a[i, j] = mean(relu(hidden[i])*relu(hidden[j])) for i < 3 for j < 3\n"
                "output b[i, j] = mean(tanh(g[i])*tanh(g[j])) for i < 3 for j < 3\n"
            ),
            "float64",
            None,
        )
    )
    assert 'g_g = contract("it,jt->ij", x, x)' in source
    assert "hidden_hidden" not in source


def test_a_sum_inside_a_product_is_over_slices_too():
    """An index beside that of an axis is no gather, however deep its sum is."""
    text = (
        "width n\ninput c[i < 2]\nvector u[p < 4] : n ~ N(0, 1)\nx[p] = relu(u[p] + u[0]) for p < 4\n"
        "output s[p] = sum(i < 2: c[i]*sum(j < 2: mean(x[p+j]*x[i]))) for p < 3\n"
    )
    source = emit_gram(plan_covariances(tpc.parse(text), "float64", None))
    assert 's = sum(contract("t,it->i", c, x_x[t:t + 3, :2]) for t in range(2))' in source


def test_a_loop_can_be_differentiated_and_mapped_over():
    jax.config.update("jax_enable_x64", True)
    program = tpc.parse(NETS["erf, residual"])
    plan = plan_covariances(program, "float64", None)
    x = np.array([[0.3, 1.1], [-0.8, 0.5]])

    def last(rolled):
        made = {"__name__": "module"}
        exec(compile(emit_gram(plan, rolled=rolled), "module", "exec"), made)
        return jax.value_and_grad(lambda s: made["run"]({"x": x, "s": s})["T"][0][0, 1])

    one, slope = jax.jit(jax.vmap(last(True)))(np.array([0.5, 1.0]))
    with jax.disable_jit():
        other = last(False)(1.0)
    assert np.allclose((one[1], slope[1]), other, rtol=1e-12, atol=0)


DEEP = """width n
dim L = {L}
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix W[l < L] : n x n ~ N(0, 1/n)
h[0] = u
for l < L:
    h[l+1] = {residual}W[l] @ {f}(h[l])
g[0] = v
for l < L:
    g[l+1] = (W[L-1-l].T @ g[l])*{f}'(h[L-1-l])
output q = mean(h[L]^2)
output k = mean(g[L]^2)
"""


@pytest.mark.parametrize("residual", ["", "h[l]/2 + "])
def test_depth_is_not_depth_of_calls(residual):
    """100 layers forwards and backwards, with room for some 300 calls."""
    program = tpc.parse(DEEP.format(L=100, f="erf", residual=residual))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 300)
    try:
        covariances = covariance_program(program)
        assert sys.getrecursionlimit() == len(inspect.stack()) + 300
    finally:
        sys.setrecursionlimit(limit)
    assert len(covariances.definitions) >= 200
    q, k, qs = 1.0, 1.0, []
    for _ in range(100):
        qs.append(q)
        q = (q / 4 if residual else 0) + 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q))
    for own in reversed(qs):
        k *= 4 / np.pi / np.sqrt(1 + 4 * own)
    result = program.compile()({})
    assert result.plan.method == "gram"
    assert result["q"].value == pytest.approx(q, rel=1e-12)
    assert result["k"].value == pytest.approx(k, rel=1e-11)


def test_what_takes_too_long_is_given_up_and_said():
    program = tpc.parse(DEEP.format(L=100, f="erf", residual=""))
    with pytest.raises(TooDearError, match=r"takes more than 0 s"):
        covariance_program(program, seconds=0.01)
    circular = tpc.parse(
        DEEP.format(L=4, f="erf", residual="").replace("W[L-1-l].T @ g[l]", "W[L-1-l].T @ h[L]")
    )
    with pytest.raises(NotGramError, match="Ż"):
        covariance_program(circular)
