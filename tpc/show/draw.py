"""Drawings of a program's dependency graph, as .svg, .png or .dot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import networkx as nx

from tpc.core.graph import dependency_graph
from tpc.core.program import Program

FONT = "DejaVu Sans Mono"
MOST_DRAWN = 150  # nodes of a graph that is drawn unasked; placing more takes seconds
LONGEST = 44  # characters of a label; the rest is left out


@dataclass(frozen=True, slots=True)
class NodeStyle:
    """How a kind of node looks; `dot` is Graphviz's name of the shape."""

    title: str
    shape: str
    fill: str
    line: str
    dot: str


@dataclass(frozen=True, slots=True)
class EdgeStyle:
    title: str
    colour: str
    width: float
    dashes: tuple[float, ...]
    dot: str


NODES = {
    "input": NodeStyle("input", "slanted", "#f1f1f1", "#8a8a8a", "parallelogram"),
    "matrix": NodeStyle("matrix", "square", "#fbe3c4", "#b96a12", "box"),
    "vector": NodeStyle("vector", "rounded", "#dbe8f8", "#2f66ad", "box"),
    "scalar": NodeStyle("scalar", "stadium", "#ddf1dd", "#35843a", "ellipse"),
    "table": NodeStyle("table", "square", "#efe3f7", "#7a3fa0", "box"),
    "output": NodeStyle("output", "hexagon", "#ffffff", "#222222", "hexagon"),
}
EDGES = {
    "operand": EdgeStyle("operand", "#555555", 1.0, (), "solid"),
    "matrix": EdgeStyle("by a matrix", "#b96a12", 1.0, (), "solid"),
    "carried": EdgeStyle("from an earlier round", "#555555", 1.0, (4.0, 2.5), "dashed"),
    "zdot": EdgeStyle("Ż back-link", "#b0207a", 1.7, (1.2, 2.0), "dotted"),
}


class DependencyGraph(nx.DiGraph):  # type: ignore[misc,unused-ignore]
    """The dependency graph of a program (see `tpc.core.graph`), which a notebook draws."""

    def __repr__(self) -> str:
        return f"<the dependency graph of {self.name}: {len(self)} nodes, {self.number_of_edges()} edges>"

    def _repr_svg_(self) -> str | None:
        """Nothing if it is too large, or parts of it have no styles: a user's own nodes."""
        drawable = all("kind" in data and "label" in data for _, data in self.nodes(data=True))
        if len(self) > MOST_DRAWN or not len(self) or not drawable:
            return None
        from tpc.show.picture import svg_of

        return svg_of(self)


def draw(program: Program, path: str | Path) -> None:
    """Draws the dependency graph of `program` into `path`.

    Raises ValueError unless it ends in .svg, .png or .dot.
    """
    path = Path(path)
    if path.suffix == ".dot":
        path.write_text(to_dot(dependency_graph(program)), encoding="utf-8")
    elif path.suffix in (".svg", ".png"):
        from tpc.show.picture import render

        render(dependency_graph(program), path)
    else:
        raise ValueError(f"a graph is drawn as .svg, .png or .dot, not {path.suffix or path.name}")


def style_of(graph: nx.DiGraph, tail: str, head: str) -> list[str]:
    """The keys in EDGES of what is drawn between two nodes: a dependency, a back-link, or both."""
    data = graph.edges[tail, head]
    back = ["zdot"] if data["zdot"] else []
    if data["role"] == "zdot":
        return back
    carried = any(d != 0 for d in data["distance"])
    return ["carried" if carried else "matrix" if data["role"] == "matrix" else "operand", *back]


def label_lines(graph: nx.DiGraph, node: str) -> tuple[str, str]:
    """What stands in a node: its line, cut if it is long, and the loops around it."""
    data = graph.nodes[node]
    line = data["label"] if len(data["label"]) <= LONGEST else data["label"][: LONGEST - 1] + "…"
    loops = ", ".join(f"{variable} < {count}" for variable, count in data["loop"])
    return line, f"for {loops}" if loops else ""


def to_dot(graph: nx.DiGraph) -> str:
    """The graph in Graphviz's language."""
    lines = [
        f"digraph {quoted(graph.name)} {{",
        f'  node [fontname="{FONT}", fontsize=10, style=filled];',
        "  edge [arrowsize=0.7];",
    ]
    lines += [_dot_node(graph, node) for node in graph]
    lines += [_dot_edge(tail, head, key) for tail, head in graph.edges for key in style_of(graph, tail, head)]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_node(graph: nx.DiGraph, node: str) -> str:
    data = graph.nodes[node]
    style = NODES[data["kind"]]
    text = "\n".join(part for part in label_lines(graph, node) if part)
    look = "rounded,filled" if style.shape == "rounded" else "filled"
    return (
        f"  {quoted(node)} [label={quoted(text)}, tooltip={quoted(data['label'])}, shape={style.dot}, "
        f'style="{look}", fillcolor="{style.fill}", color="{style.line}"];'
    )


def _dot_edge(tail: str, head: str, key: str) -> str:
    edge = EDGES[key]
    free = ", constraint=false" if key in ("zdot", "carried") else ""
    return (
        f'  {quoted(tail)} -> {quoted(head)} [color="{edge.colour}", style={edge.dot}, '
        f"penwidth={edge.width}{free}];"
    )


def quoted(text: str) -> str:
    """A Graphviz string; a line break is written as its escape."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
