"""The plan of the house: which room may know which, and how large a circle of modules may be.

All imports count, those inside functions and of types alone, too.
"""

import ast
import re
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "tpc" / "docs" / "architecture.md"
# its table of rooms: a room knows those above it and, where several share a line, those beside it
TABLE = PAGE.read_text(encoding="utf-8").split("## Rooms")[1].split("\n## ")[0]
ROOMS = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in TABLE.splitlines() if line.startswith("| `")]
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
MOST_IN_CIRCLE = 6
MOST_AT_TOP = 6


@cache
def imports() -> nx.DiGraph:
    """Every module of tpc, with an edge to each that it imports."""
    paths = sorted((ROOT / "tpc").rglob("*.py"))
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    for module, path in names.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module} has a relative import"
                members = [f"{node.module}.{alias.name}" for alias in node.names]
                found = [member if member in names else node.module for member in members]
            graph.add_edges_from((module, other) for other in found if other in names and other != module)
    return graph


def room(module: str) -> str:
    return module.split(".")[1]


def test_imports_are_found():
    graph = imports()
    assert graph.has_edge("tpc.cli.main", "tpc.diagnostics.diagnostic")  # inside a function
    assert graph.has_edge("tpc.simulate.plot", "tpc.simulate.verify")  # for types alone
    assert graph.number_of_nodes() > 200


def test_circles_are_small():
    circles = [sorted(c) for c in nx.strongly_connected_components(imports()) if len(c) > MOST_IN_CIRCLE]
    assert not circles


def test_every_room_has_its_place():
    assert {room(module) for module in imports() if module != "tpc"} == set(FLOOR)


@pytest.mark.parametrize("own", FLOOR)
def test_a_room_knows_only_what_is_above_it(own):
    wrong = [
        f"{module} imports {other}"
        for module, other in imports().edges
        if module != "tpc" and room(module) == own
        if other == "tpc" or FLOOR[room(other)] > FLOOR[own]
    ]
    assert not wrong


def test_the_top_level_is_small():
    top = sorted(path.name for path in (ROOT / "tpc").glob("*.py"))
    assert len(top) <= MOST_AT_TOP, top
