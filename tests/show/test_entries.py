"""Entries of arrays as they are printed and written, and drawings of graphs: nothing is lost unsaid."""

import json
import random
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import tpc
from tests.core.test_storage import random_program
from tpc.show.draw import LONGEST, NODES, label_lines, quoted, style_of, to_dot
from tpc.show.entries import MOST_SHOWN, End, end_of, plain, print_entries, print_finite
from tpc.show.layered import Edge, layered

quick = settings(max_examples=60, deadline=None)
shapes = arrays.array_shapes(min_dims=0, max_dims=3, max_side=5)
floats = arrays.arrays(np.float64, shapes, elements=st.sampled_from([1.0, -2.5, np.nan, np.inf]))


@quick
@given(shapes)
def test_entries_are_shown_in_order_or_counted(shape):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    lines = print_entries("m", shape, lambda i: str(values[i]))
    shown = [int(line.split(" = ")[1]) for line in lines if " = " in line]
    left_out = [int(line.split()[1]) for line in lines if "more" in line]
    assert len(shown) + sum(left_out) == values.size
    assert shown == sorted(shown)
    assert len(lines) <= MOST_SHOWN + 1
    assert values.size > MOST_SHOWN + 1 or not left_out
    columns = {line.index(" = ") for line in lines if " = " in line}
    assert len(columns) <= 1


def test_entries_are_named_by_their_index():
    assert print_entries("m", (), lambda i: "1.5") == ["  m = 1.5"]
    assert print_entries("m", (2, 1), lambda i: "x") == ["  m[0, 0] = x", "  m[1, 0] = x"]
    assert print_entries("m", (0,), lambda i: "x") == []
    lines = print_entries("m", (20,), str)
    assert lines[6] == "  … 8 more"
    assert lines[0].startswith("  m[0]  = ")
    assert lines[-1].startswith("  m[19] = ")


@quick
@given(floats)
def test_json_has_what_is_finite_and_null_else(array):
    text = json.dumps(plain(array), allow_nan=False)
    back = np.array(json.loads(text), dtype=float).reshape(array.shape)
    np.testing.assert_array_equal(np.isfinite(array), np.isfinite(back))
    np.testing.assert_array_equal(array[np.isfinite(array)], back[np.isfinite(array)])


def test_json_of_nothing_is_null():
    assert plain(None) is None
    assert plain(np.float32(1.5)) == 1.5


@quick
@given(floats)
def test_where_an_array_leaves_the_finite_range(array):
    end = end_of(array, np.ones_like(array))
    if end is None:
        assert np.all(np.isfinite(array))
        return
    if not array.ndim:
        assert end == End(0, "", True, 0)
        return
    rows = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    assert rows[: end.at].all()
    assert not rows[end.at]
    assert end.lasting == (not rows[end.at :].any())
    assert end.after == len(array) - end.at - 1
    assert end.entry == f"[{', '.join([str(end.at)] + [':'] * (array.ndim - 1))}]"
    assert end_of(np.ones_like(array), array) == end


def test_what_is_not_finite_is_said():
    array = np.array([1.0, 2.0, np.nan, 4.0])
    end = end_of(array)
    assert print_finite("loss", (4,), end, lambda i: f"{array[i]:g}") == [
        "  loss[0] = 1",
        "  loss[1] = 2",
        "  loss[2] is not finite; 1 more not shown",
    ]
    assert print_finite("m", (), end_of(np.array(np.inf)), str) == ["  m is not finite"]
    assert print_finite("m", (1,), None, lambda i: "7") == ["  m[0] = 7"]


# drawings


@pytest.mark.parametrize("seed", range(6))
def test_dot_is_the_graph(seed):
    """A node each, told by its kind's shape; an edge for each dependency and each back-link."""
    graph = random_program(seed).graph
    text = to_dot(graph)
    lines = text.splitlines()
    assert lines[0] == f"digraph {quoted(graph.name)} {{"
    assert lines[-1] == "}"
    for node, data in graph.nodes(data=True):
        (own,) = [line for line in lines if line.startswith(f"  {quoted(node)} [")]
        assert f"shape={NODES[data['kind']].dot}" in own
        assert quoted(data["label"]) in own
    for tail, head in graph.edges:
        own = [line for line in lines if line.startswith(f"  {quoted(tail)} -> {quoted(head)} ")]
        assert len(own) == len(style_of(graph, tail, head)) >= 1
        assert ("style=dotted" in "".join(own)) == graph.edges[tail, head]["zdot"]


def test_edges_of_earlier_rounds_are_dashed():
    graph = tpc.parse(
        "width n\nvector u : n ~ N(0, 1)\nmatrix W : n x n ~ N(0, 1/n)\nx[0] = u\n"
        "for t < 3:\n    h[t] = W @ x[t]\n    x[t+1] = tanh(h[t])\noutput m = mean(x[3]*u)\n"
    ).graph
    assert style_of(graph, "x[t+1]", "h[t]") == ["carried"]
    assert style_of(graph, "h[t]", "x[t+1]") == ["operand"]
    assert style_of(graph, "W", "h[t]") == ["matrix"]


def test_long_labels_are_cut_and_loops_are_told():
    graph = nx.DiGraph()
    graph.add_node("x", label="y" * 100, loop=(("t", "4"), ("i", "t+1")))
    graph.add_node("z", label="z = 1", loop=())
    line, loops = label_lines(graph, "x")
    assert len(line) == LONGEST
    assert line.endswith("y…")
    assert loops == "for t < 4, i < t+1"
    assert label_lines(graph, "z") == ("z = 1", "")


@pytest.mark.parametrize("seed", range(12))
def test_layouts_go_down_and_keep_their_gaps(seed):
    r = random.Random(seed)
    count = r.randint(1, 14)
    sizes = {k: (r.uniform(20, 80), r.uniform(10, 40)) for k in range(count)}
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count) if r.random() < 0.25]
    edges = [Edge(a, b, r.choice([1.0, 3.0])) for a, b in pairs]
    layout = layered(sizes, edges, node_gap=15, layer_gap=30)
    assert set(layout.centres) == set(sizes)
    for edge, route in zip(edges, layout.routes, strict=True):
        heights = [y for _, y in (layout.centres[edge.tail], *route, layout.centres[edge.head])]
        assert heights == sorted(heights)
        assert len(set(heights)) == len(heights)
    for (_, bottom), (top, _) in pairwise(layout.layers):
        assert top - bottom >= 30 - 1e-6
    for level in range(len(layout.layers)):
        row = sorted((layout.centres[k][0], sizes[k][0]) for k in sizes if layout.layer_of[k] == level)
        for (x, w), (other, v) in pairwise(row):
            assert other - x >= (w + v) / 2 + 15 - 1e-6
    assert min((y - sizes[k][1] / 2 for k, (_, y) in layout.centres.items()), default=0) >= -1e-6


def test_a_layout_of_nothing_and_of_one():
    assert layered({}, []).centres == {}
    layout = layered({"a": (10.0, 10.0)}, [])
    assert layout.layer_of == {"a": 0}


def test_a_chain_is_straight():
    layout = layered(dict.fromkeys(range(5), (30.0, 10.0)), [Edge(k, k + 1) for k in range(4)])
    assert len({round(x, 6) for x, _ in layout.centres.values()}) == 1
    assert [layout.layer_of[k] for k in range(5)] == list(range(5))


def test_a_ladder_is_drawn_without_crossings():
    edges = [Edge(("a", k), ("b", 3 - k)) for k in range(4)]
    layout = layered({node: (30.0, 10.0) for e in edges for node in (e.tail, e.head)}, edges)
    order = [sorted(range(4), key=lambda k: layout.centres[side, at(side, k)][0]) for side in "ab"]
    assert order[0] == order[1]


def at(side, k):
    return k if side == "a" else 3 - k
