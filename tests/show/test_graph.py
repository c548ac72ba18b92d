"""The dependency graph: its edges, distances and ZDot back-links; its drawings."""

from __future__ import annotations

import re
from itertools import combinations, pairwise

import networkx as nx
import pytest

import tpc
from tests.simulate.programs import ONE_HIDDEN_LAYER, PROGRAMS, TWO_HIDDEN_LAYERS
from tpc.show.draw import draw, quoted, style_of, to_dot
from tpc.show.layered import Edge, layered

WISHART = """
width n
matrix A : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
u = A @ v
y = A.T @ u
t = A @ y
w = A @ v
output m = mean(v*t)
"""


def backlinks(graph):
    return {(tail, head) for tail, head, data in graph.edges(data=True) if data["zdot"]}


def test_nodes_tell_what_they_are():
    graph = tpc.parse(TWO_HIDDEN_LAYERS).graph
    kinds = {node: (data["kind"], data["op"]) for node, data in graph.nodes(data=True)}
    assert kinds["W"] == ("matrix", "Matrix")
    assert kinds["U0"] == ("vector", "Gaussians")
    assert kinds["xi"] == ("input", "Input")
    assert kinds["k$1[t]"] == ("vector", "MatMul")
    assert kinds["chi[t]"] == ("scalar", "Scalar")
    assert kinds["output f"] == ("output", "Output")
    assert graph.nodes["U[t+1, j]"]["loop"] == (("t", "4"), ("j", "3"))
    assert graph.nodes["x[t]"]["label"] == "x[t] = tanh(h[t])"


def test_edges_carry_their_distance():
    graph = tpc.parse(ONE_HIDDEN_LAYER).graph
    assert graph.edges["h[t]", "f[t]"]["distance"] == (0,)
    assert graph.edges["V[t+1]", "f[t]"]["distance"] == (1,)
    assert graph.edges["V[t+1]", "V[t+1]"]["distance"] == (1,)
    assert graph.edges["V[0]", "f[t]"]["distance"] == ()
    graph = tpc.parse(TWO_HIDDEN_LAYERS).graph
    assert graph.edges["dk[t]", "k[t]"]["distance"] == (None,)
    assert not graph.has_edge("V[0]", "g[i]")


def test_within_a_round_nothing_depends_on_itself():
    for text, _ in PROGRAMS.values():
        graph = tpc.parse(text).graph
        now = [
            (tail, head)
            for tail, head, data in graph.edges(data=True)
            if data["role"] != "zdot" and not any(d != 0 for d in data["distance"])
        ]
        assert nx.is_directed_acyclic_graph(nx.DiGraph(now))


def test_backlinks_go_from_a_product_to_later_ones_with_the_transpose():
    graph = tpc.parse(WISHART).graph
    assert backlinks(graph) == {("u", "y"), ("y", "t")}
    assert graph.edges["u", "y"]["role"] == "operand"
    assert backlinks(tpc.parse(TWO_HIDDEN_LAYERS).graph) == {
        ("k$1[t]", "dx$1[t]"),
        ("dx$1[t]", "k$1[t]"),
        ("dx$1[t]", "q$2[i]"),
    }


def test_backlinks_keep_to_one_member_of_a_family_of_matrices():
    graph = tpc.parse("""
width n
matrix B[k < 2] : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
x = B[0] @ v
y = B[1].T @ x
z = B[0].T @ y
output m = mean(v*z)
""").graph
    assert backlinks(graph) == {("x", "z")}
    assert graph.edges["x", "z"]["role"] == "zdot"


@pytest.mark.parametrize("name", PROGRAMS)
def test_pictures_are_made(name, tmp_path):
    program = tpc.parse(PROGRAMS[name][0])
    for suffix, head in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".dot", b"digraph")):
        path = tmp_path / f"graph{suffix}"
        draw(program, path)
        assert path.read_bytes().startswith(head)


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.svg, \.png or \.dot"):
        draw(tpc.parse(WISHART), tmp_path / "graph.gif")


def test_dot_has_every_node_and_line_and_quotes_what_it_must():
    graph = tpc.parse(TWO_HIDDEN_LAYERS).graph
    text = to_dot(graph)
    assert len(re.findall(r"^  \S.* -> ", text, re.M)) == sum(
        len(style_of(graph, *edge)) for edge in graph.edges
    )
    assert all(quoted(node) + " [" in text for node in graph)
    assert quoted('a "b" \\ c\nd') == '"a \\"b\\" \\\\ c\\nd"'


def test_letters_that_the_font_lacks_are_told_once(tmp_path):
    program = tpc.parse("width n\nvector 向量 : n ~ N(0, 1)\noutput 出 = mean(向量^2)\n")
    with pytest.warns(UserWarning, match="the font of figures has no 向 量 出: boxes") as caught:
        draw(program, tmp_path / "graph.svg")
    assert len(caught) == 1
    assert "向量" in (tmp_path / "graph.svg").read_text(encoding="utf-8")


def test_layout_keeps_boxes_apart_and_edges_out_of_them():
    sizes = {i: (40.0 + 7 * (i % 5), 20.0 + 3 * (i % 3)) for i in range(30)}
    edges = [Edge(i, j) for i, j in combinations(range(30), 2) if (i * 7 + j * 3) % 11 == 0]
    layout = layered(sizes, edges, node_gap=10)
    boxes = {
        i: (x - sizes[i][0] / 2, y - sizes[i][1] / 2, x + sizes[i][0] / 2, y + sizes[i][1] / 2)
        for i, (x, y) in layout.centres.items()
    }
    for a, b in combinations(boxes.values(), 2):
        assert a[2] <= b[0] + 1e-6 or b[2] <= a[0] + 1e-6 or a[3] <= b[1] + 1e-6 or b[3] <= a[1] + 1e-6
    assert all(end < start for (_, end), (start, _) in pairwise(layout.layers))
    for edge, route in zip(edges, layout.routes, strict=True):
        assert layout.layer_of[edge.tail] + len(route) + 1 == layout.layer_of[edge.head]
        for x, y in route:
            assert not any(
                left < x < right and top <= y <= bottom for left, top, right, bottom in boxes.values()
            )


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("back", [1, 2])
def test_rounds_between_are_those_of_the_loop_whatever_its_stride(stride: int, back: int) -> None:
    starts = "".join(f"x[{k}] = u\n" for k in range(stride * back))
    made = stride * back
    program = tpc.parse(
        f"width n\nvector u : n ~ N(0, 1)\n{starts}for t < 3:\n"
        f"    x[{stride}*t + {made}] = tanh(x[{stride}*t])\n"
        f"    y[t] = x[{stride}*t + {made}] + x[{stride}*t]\noutput m = mean(y[2]^2)\n"
    )
    edges = {(a, b): d["distance"] for a, b, d in program.graph.edges(data=True)}
    (loop,) = {a for a, _ in edges if a.startswith("x[") and "t" in a}
    assert edges[loop, loop] == (back,)
    assert edges[loop, "y[t]"] == (0,)
