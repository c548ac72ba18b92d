"""What `limit` makes room for, it writes."""

import ast
import builtins
import symtable
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import tpc

CASES = sorted((Path(__file__).parent / "structures").glob("*.tp"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_arrays_that_begin_as_zeros_are_written(path):
    tree = ast.parse(tpc.load(path).compile(samples=64).source)
    (limit,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "limit")
    assigned = [node for node in ast.walk(limit) if isinstance(node, ast.Assign)]
    times = Counter(node.targets[0].id for node in assigned if isinstance(node.targets[0], ast.Name))
    zeros = [
        node.targets[0].id
        for node in assigned
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "jnp.zeros"
    ]
    assert all(times[name] > 1 for name in zeros), zeros


MODULES = sorted((Path(__file__).parent / "golden").glob("*.py.txt"))
ELEMENTWISE = {"jnp.tanh", "jnp.where", "jnp.exp", "jnp.maximum", "jnp.full", "jnp.power", "jnp.sqrt", "root"}


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for inner in table.get_children():
        yield from scopes(inner)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_name_of_a_module_is_defined(path):
    table = symtable.symtable(path.read_text(encoding="utf-8"), path.name, "exec")
    defined = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    defined |= {"__name__", *dir(builtins)}
    read = {s.get_name() for scope in scopes(table) for s in scope.get_symbols() if s.is_global()}
    assert read <= defined, read - defined


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_loop_of_a_module_is_pointwise(path):
    """`vmap` of a function of numbers alone is the function of the whole array."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (limit,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "limit")
    mapped = [
        node.args[0].body
        for node in ast.walk(limit)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "jax.vmap"
        if isinstance(node.args[0], ast.Lambda)
    ]
    assert not [ast.unparse(body) for body in mapped if is_pointwise(body)]


def is_pointwise(body: ast.expr) -> bool:
    return all(
        ast.unparse(node.func) in ELEMENTWISE if isinstance(node, ast.Call) else not isinstance(node, APART)
        for node in ast.walk(body)
    )


APART = ast.MatMult | ast.Subscript


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_condition_that_is_used_often_has_a_name(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (limit,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "limit")
    for line in (node for node in ast.walk(limit) if isinstance(node, ast.Assign)):
        calls = [node for node in ast.walk(line) if isinstance(node, ast.Call)]
        conditions = [node.args[0] for node in calls if ast.unparse(node.func) == "jnp.where"]
        longer = [ast.unparse(x) for x in conditions if sum(1 for _ in ast.walk(x)) > LONG]
        assert all(count < 3 for count in Counter(longer).values()), longer


LONG = 20  # nodes, names in brackets among them


def test_a_bracket_is_one_comparison():
    source = tpc.load(CASES[0].parents[3] / "programs/architectures/batchnorm.tp").compile(samples=64).source
    assert "jnp.where(jnp.arange(4)[:, None] == jnp.arange(4)[:, None, None], 1.0, 0.0)" in source
