"""Emitted modules: their recorded text, and that they stand alone, can be jitted, vmapped and
differentiated."""

import ast
import dataclasses
import itertools
import subprocess
import symtable
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.values import values_only

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "programs").glob("*/*.tp"))
GOLDEN = Path(__file__).parent / "golden"
ALLOWED = {"warnings", "typing", "jax", "math", "numpy", "scipy"}


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def module(program, **options):
    made = types.ModuleType("limit")
    exec(program.compile(**options).source, made.__dict__)
    return made


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_text_is_as_recorded(path, request):
    source = tpc.load(path).compile().source
    recorded = GOLDEN / f"{path.stem}.py.txt"
    if request.config.getoption("--update-golden"):
        recorded.parent.mkdir(exist_ok=True)
        recorded.write_text(source, encoding="utf-8")
    assert source == recorded.read_text(encoding="utf-8")
    tree = ast.parse(source)
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= ALLOWED
    assert all(
        ast.get_docstring(node) or node.name.startswith(("inner", "mean", "round_", "each_"))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    )


SOURCES = sorted(GOLDEN.glob("*.py.txt"))
OF_THE_EVALUATOR = {"coefficients", "points_of"}  # what it calls besides `limit` and `run`


def top_level(tree):
    """What a module defines, name by name, and what it imports, with the statements."""
    defined, imported = {}, set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign):
            names = [n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            defined |= dict.fromkeys(names, node)
    return defined, imported


def loaded(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name.split(".")[0])
def test_a_module_has_what_it_needs_and_nothing_else(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined, imported = top_level(tree)
    reached, waiting = set(), {"limit", "run", *OF_THE_EVALUATOR} | loaded(tree.body[-1])
    while waiting:
        name = waiting.pop()
        reached.add(name)
        if name in defined:
            own = [node for node in tree.body if name in loaded_by_decorators(node)]
            waiting |= set().union(*map(loaded, (defined[name], *own))) - reached
    derivatives = {node.name for node in tree.body if loaded_by_decorators(node) & reached}
    assert defined.keys() - derivatives <= reached
    assert imported <= reached


def loaded_by_decorators(node):
    """The functions whose derivative a definition is."""
    decorators = getattr(node, "decorator_list", ())
    return {d.value.id for d in decorators if isinstance(d, ast.Attribute) and d.attr == "defjvp"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name.split(".")[0])
def test_a_module_is_laid_out_as_a_person_would(path):
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert max(map(len, source.splitlines())) <= 120
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    names |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    names |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    assert not [name for name in names if name.strip("_") and name.endswith("_") and not name.endswith("__")]
    order = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    assert order[0] == "limit"
    for node in ast.walk(tree):  # a blank line in front of functions within functions, and behind them
        if isinstance(node, ast.FunctionDef):
            for before, after in itertools.pairwise(node.body):
                nested = isinstance(before, ast.FunctionDef) or isinstance(after, ast.FunctionDef)
                assert not nested or after.lineno - before.end_lineno > 1, (node.name, after.lineno)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name.split(".")[0])
def test_what_limit_names_it_reads(path):
    table = symtable.symtable(path.read_text(encoding="utf-8"), path.name, "exec")
    (limit,) = (child for child in table.get_children() if child.get_name() == "limit")
    for function in scopes(limit):
        inside = {name for child in scopes(function) for name in child.get_frees() if child is not function}
        own = {s.get_name() for s in function.get_symbols() if s.is_assigned() and not s.is_referenced()}
        assert own - inside <= {"_"}, function.get_name()


def scopes(function):
    """A function and those in it, lambdas and comprehensions left out."""
    yield function
    for child in function.get_children():
        if isinstance(child, symtable.Function):
            yield from scopes(child)


def test_a_module_runs_where_tpc_cannot_be_imported(tmp_path):
    path = tmp_path / "limit.py"
    path.write_text(tpc.load(ROOT / "programs/matrices/wishart.tp").compile().source)
    code = (
        "import sys; sys.modules['tpc'] = None; sys.path.insert(0, sys.argv[1]); import jax; "
        "jax.config.update('jax_enable_x64', True); "
        "import limit; print(limit.run()['c'][0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "42." in done.stdout
    main = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert main.stdout.startswith("c = ")


def test_precision_other_than_planned_is_refused(tmp_path):
    path = tmp_path / "limit.py"
    path.write_text(tpc.load(ROOT / "programs/matrices/wishart.tp").compile().source)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import limit; limit.run()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert "jax_enable_x64" in done.stderr


TWO_LAYERS = tpc.load(ROOT / "programs/paper/thm_6_4.tp")
INPUTS = {"xi": np.array([1.0, -1.0, 1.0]), "y": np.array([-1.0, 1.0, 0.5])}


@pytest.fixture(scope="module")
def limit():
    """Of the two layers, as a module whose values are looked at, and not what rounding does to them."""
    jax.config.update("jax_enable_x64", True)
    made = module(TWO_LAYERS, samples=256, repeats=2)
    made.REPLAYED = False
    return made


def test_jit_and_vmap_over_inputs_give_the_same_numbers(limit):
    plain = limit.run(INPUTS, seed=3)["f"][0]
    jitted = jax.jit(lambda inputs: limit.run(inputs, seed=3)["f"][0])(INPUTS)
    batch = {name: jnp.stack([value, 0.5 * value]) for name, value in INPUTS.items()}
    mapped = jax.vmap(lambda inputs: limit.run(inputs, seed=3)["f"][0])(batch)
    np.testing.assert_allclose(jitted, plain, rtol=1e-10)
    np.testing.assert_allclose(mapped[0], plain, rtol=1e-8)


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_derivatives_are_those_of_the_numbers(mode, limit):
    def last(xi):
        return limit.run({**INPUTS, "xi": xi}, seed=3)["f"][0][2]

    slope = mode(last)(jnp.asarray(INPUTS["xi"]))
    step = 1e-5
    for k in range(3):
        shift = step * np.eye(3)[k]
        difference = (last(INPUTS["xi"] + shift) - last(INPUTS["xi"] - shift)) / (2 * step)
        np.testing.assert_allclose(slope[k], difference, rtol=1e-5, atol=1e-7)


def test_a_singular_covariance_has_finite_derivatives():
    program = tpc.parse(
        "width n\n"
        "input rho = 1\n"
        "vector (a, b) : n ~ N([0, 0], [[1, rho], [rho, 1]])\n"
        "matrix W : n x n ~ N(0, 1/n)\n"
        "output c = mean((W @ a)*tanh(W @ b))\n"
    )
    limit = module(program, samples=256, repeats=2)
    assert np.isfinite(jax.grad(lambda rho: limit.run({"rho": rho})["c"][0])(1.0))


def test_source_does_not_grow_with_rounds():
    text = (ROOT / "programs/paper/thm_6_4.tp").read_text()
    short, long = (tpc.parse(text, dims={"T": rounds}).compile(samples=64) for rounds in (50, 5000))
    assert len(short.source.splitlines()) == len(long.source.splitlines())


def test_seeds_repeat_bit_for_bit_and_differ():
    evaluator = values_only(TWO_LAYERS.compile(samples=256, repeats=2))
    first, again, other = (evaluator(INPUTS, seed=seed)["f"].value for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_single_precision():
    result = TWO_LAYERS.compile(dtype="float32")(INPUTS)
    double = TWO_LAYERS.compile()(INPUTS)
    assert result["f"].value.dtype == np.float32
    assert np.all(
        np.abs(result["f"].value - double["f"].value) < 5 * np.hypot(result["f"].stderr, double["f"].stderr)
    )


def test_a_rank_that_is_too_small_is_reported():
    result = values_only(TWO_LAYERS.compile(max_rank=1, samples=256, repeats=2))(INPUTS)
    assert any("rank" in note for note in result.notes)


def test_comments_say_the_line_once_and_what_the_code_does_not():
    source = tpc.load(ROOT / "programs/paper/thm_6_4_network.tp").compile().source
    body = source.split("def limit(")[1].split("\n\n\n")[0]
    assert body.count("# line 13: h = W @ x; Z^h_1 = Ẑ^h_1 + Ż^h_1") == 1
    assert body.count("# line 13: ") == 1
    assert "Z^dx_1 = Ẑ^dx_1 + Ż^dx_1" in body
    assert "sum over s < t" in body
    assert "$" not in body


POINTWISE = """
width n
input c[i < 3] = 0.5, d[i < 2, j < 3] = 0.3
input k[i < 3] : index(2)
vector u[i < 3] : n ~ N(0, 1)
vector v[i < 2] : n ~ N(0, 1)
vector w : n ~ N(0, 1)
for i < 3:
    a[i] = tanh(u[i])*w + c[i]
for i < 2:
    for j < 3:
        b[i, j] = v[i]*a[j] + d[i, j]*w + i - 2*j
for j < 3:
    for i < 2:
        r[j, i] = b[i, j]*where(i < j, 1, 2)
for i < 2:
    g[i] = a[i+1] - a[i] + k[i+1]*w
for i < 2:
    for j < 3:
        s[i, j] = c[j]*d[i, j] + i
for i < 3:
    h[i] = c[i] - c[k[i]] + c[k[0]]
    o[i] = u[i] - v[k[i]]*u[0]
for i < 2:
    x[i] = mean(g[i]*g[i]) + h[i] + mean(o[i]*o[i+1])
for i < 2:
    for j < 3:
        y[i, j] = mean(b[i, j]^2)
        z[i, j] = mean(r[j, i]*w)
output x
output y
output z
output s
"""


def test_pointwise_rules_on_whole_arrays_are_those_of_every_member():
    program = tpc.parse(POINTWISE)
    options = {"method": "nodes", "samples": 64, "repeats": 2}
    whole, each = program.compile(**options), program.unroll().compile(**options)
    body = whole.source.split("def limit(")[1].split("\n\n\n")[0]
    assert "a = jnp.tanh(u)*w + c[:, None]" in body
    inputs = {"k": [0, 1, 1], "c": [0.5, 1.0, -2.0], "d": [[0.3, 1.0, 2.0], [-1.0, 0.1, 0.2]]}
    modules = []
    for evaluator in (whole, each):
        modules.append(types.ModuleType("limit"))
        exec(evaluator.source, modules[-1].__dict__)
    values = [made.limit(made.prepared(inputs), *map(jnp.asarray, made.draw(0, 0)))[0] for made in modules]
    for name in "xyzs":
        np.testing.assert_allclose(values[0][name], values[1][name], rtol=1e-13, atol=1e-14)


HOSTILE = """program os
width n
vector lambda : n ~ N(0, 1)
vector import : n ~ N(0, 1)
vector jnp : n ~ N(0, 1)
matrix None : n x n ~ N(0, 1/n)
matrix limit : n x n ~ N(0, 1/n)
input points = 1                   # \"\"\"; __import__("os").system("true")
for state < 3:
    class[state] = None @ jnp + points*(limit @ import)
    weights[state] = mean(class[state]*lambda)
output exec = mean(class[2]^2)
output inner[dtype] = weights[dtype] for dtype < 3
"""


def test_names_that_are_python_are_fine():
    program = tpc.parse(HOSTILE)
    result = program.compile()({})
    assert abs(result["exec"].value - 2) < 1e-12
    assert np.allclose(result["inner"].value, 0)
    tree = ast.parse(program.compile().source)
    assert "__import__" not in loaded(tree)
    assert '__import__("os")' in ast.get_docstring(tree)


@pytest.mark.parametrize(
    "remark",
    [
        '""" + 1',
        "\\",
        '\\"""',
        '""""""""',
        "\\N{BULLET} \\x \\u12",
        'ends in "',
        "x" * 500,
        "\u202e\u2028 right to left",
    ],
)
def test_the_docstring_has_the_program_whatever_stands_in_it(remark):
    text = f"width n\nvector v : n ~ N(0, 1)\noutput c = mean(v^2)  # {remark}"
    source = tpc.parse(text).compile().source
    tree = ast.parse(source)
    assert isinstance(tree.body[1], ast.Import)
    shown = ast.get_docstring(tree, clean=False)
    assert "".join(text.split()) in "".join(shown.split())
    assert max(map(len, source.splitlines())) <= 120


def test_of_a_program_that_is_too_long_the_docstring_has_the_beginning():
    lines = [
        "width n",
        "vector v : n ~ N(0, 1)",
        *(f"x{k} = mean(v^2)" for k in range(1000)),
        "output c = x1",
    ]
    shown = ast.get_docstring(ast.parse(tpc.parse("\n".join(lines)).compile().source))
    assert "x300 = mean(v^2)" in shown
    assert "603 more lines" in shown


def test_the_docstring_of_a_program_without_text_has_its_core_program():
    program = tpc.parse("width n\nvector v : n ~ N(0, 1)\noutput c = mean(v^2)")
    source = dataclasses.replace(program, source=None).compile().source
    assert "c = mean(v^2)" in ast.get_docstring(ast.parse(source))
