"""What `limit` makes room for, it writes."""

import ast
from collections import Counter
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
