"""The dependency graph as a picture, drawn with matplotlib from a layered layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx

from tpc.show.draw import EDGES, FONT, NODES, EdgeStyle, NodeStyle, label_lines, style_of
from tpc.show.layered import Edge, LayeredLayout, Point, layered
from tpc.show.saved import literal, save, svg_element, svg_text

FONT_SIZE, SMALL = 9.0, 7.0
ADVANCE = 0.603  # width of a character, in font sizes
INK, FAINT = "#222222", "#666666"
PADDING = (9.0, 6.0)
HEAD = 5.0  # length of an arrow's head
MARGIN = 18.0
LEGEND_HEIGHT, LEGEND_NODE, LEGEND_EDGE = 62.0, 86.0, 168.0
LARGEST = 20_000  # pixels; beyond, the resolution goes down
Sizes = dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """An edge to draw."""

    tail: str
    head: str
    style: EdgeStyle
    # whether its head is below its tail in the layout
    forward: bool


def render(graph: nx.DiGraph, path: Path) -> None:
    """Draws `graph` into `path`, an .svg or a .png, from top to bottom, with a legend of what occurs."""
    figure = _drawn(graph)
    if path.suffix == ".svg":
        path.write_text(svg_text(figure), encoding="utf-8")
    else:
        save(figure, path, dpi=min(150.0, LARGEST / max(figure.get_size_inches())))


def svg_of(graph: nx.DiGraph) -> str:
    """The drawing as an element of a page.

    The k-th node's shape is the group `node-k`, its line `node-k-line`, the loops around it `node-k-loops`.
    """
    return svg_element(_drawn(graph))


def _drawn(graph: nx.DiGraph) -> Any:
    """The figure."""
    sizes = {node: _size(graph, node) for node in graph}
    lines = _lines(graph)
    loops = [line for line in lines if line.tail == line.head]
    lines = [line for line in lines if line.tail != line.head]
    layout = layered(sizes, [_downward(line) for line in lines])
    legend = _legend(graph, [*lines, *loops])
    left, right, bottom = _extent(layout, sizes, legend)
    figure, axes = _canvas(left, right, bottom + LEGEND_HEIGHT)
    _draw_edges(axes, lines, layout, sizes)
    for line in loops:
        _draw_loop(axes, line.style, layout.centres[line.tail], sizes[line.tail])
    for k, node in enumerate(graph):
        _draw_node(axes, graph, node, layout.centres[node], sizes[node], f"node-{k}")
    _draw_legend(axes, *legend, left, bottom + LEGEND_HEIGHT / 2)
    return figure


def _downward(line: DrawnEdge) -> Edge:
    """What the layout is to put between two rows."""
    ends = (line.tail, line.head) if line.forward else (line.head, line.tail)
    return Edge(*ends, _weight(line))


def _extent(
    layout: LayeredLayout, sizes: Sizes, legend: tuple[Sequence[NodeStyle], Sequence[EdgeStyle]]
) -> tuple[float, float, float]:
    """Left, right and bottom of the drawing, arcs at the right of nodes included."""
    routed = [x for route in layout.routes for x, _ in route]
    left = min([0.0, *routed, *(layout.centres[node][0] - w / 2 for node, (w, _) in sizes.items())])
    right = max([0.0, *routed, *(layout.centres[node][0] + w / 2 + 14 for node, (w, _) in sizes.items())])
    nodes, edges = legend
    return (
        left,
        max(right, left + LEGEND_NODE * len(nodes), left + LEGEND_EDGE * len(edges)),
        max((end for _, end in layout.layers), default=0.0),
    )


def _canvas(left: float, right: float, bottom: float) -> tuple[Any, Any]:
    """A figure, and axes whose unit is a point, y downwards."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=((right - left + 2 * MARGIN) / 72, (bottom + 2 * MARGIN) / 72))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(left - MARGIN, right + MARGIN)
    axes.set_ylim(bottom + MARGIN, -MARGIN)
    axes.set_axis_off()
    return figure, axes


def _lines(graph: nx.DiGraph) -> list[DrawnEdge]:
    place = {node: i for i, node in enumerate(graph)}
    return [
        DrawnEdge(tail, head, EDGES[key], place[tail] < place[head])
        for tail, head in graph.edges
        for key in style_of(graph, tail, head)
    ]


def _weight(line: DrawnEdge) -> float:
    return 0.2 if line.style is EDGES["zdot"] or not line.forward else 1.0


def _size(graph: nx.DiGraph, node: str) -> tuple[float, float]:
    first, second = label_lines(graph, node)
    width = ADVANCE * max(FONT_SIZE * len(first), SMALL * len(second))
    slack = {"slanted": 10.0, "hexagon": 10.0, "stadium": 8.0}.get(
        NODES[graph.nodes[node]["kind"]].shape, 0.0
    )
    return width + 2 * PADDING[0] + slack, (FONT_SIZE * 1.25 + (SMALL * 1.35 if second else 0)) + 2 * PADDING[
        1
    ]


def _draw_node(
    axes: Any, graph: nx.DiGraph, node: str, centre: Point, size: tuple[float, float], group: str
) -> None:
    style = NODES[graph.nodes[node]["kind"]]
    _draw_shape(axes, style, centre, size, group)
    first, second = label_lines(graph, node)
    x, y = centre
    shift = SMALL * 0.68 if second else 0.0
    axes.text(
        x,
        y - shift,
        literal(first),
        ha="center",
        va="center_baseline",
        family=FONT,
        size=FONT_SIZE,
        color=INK,
        zorder=4,
        gid=f"{group}-line",
    )
    if second:
        axes.text(
            x,
            y + FONT_SIZE * 0.72,
            literal(second),
            ha="center",
            va="center_baseline",
            family=FONT,
            size=SMALL,
            color=FAINT,
            zorder=4,
            gid=f"{group}-loops",
        )


def _draw_shape(
    axes: Any, style: NodeStyle, centre: Point, size: tuple[float, float], group: str | None = None
) -> None:
    from matplotlib.patches import FancyBboxPatch, Polygon

    (x, y), (w, h) = centre, size
    look: dict[str, Any] = {
        "facecolor": style.fill,
        "edgecolor": style.line,
        "linewidth": 1.8 if style.shape == "square" else 1.1,
        "zorder": 3,
        "gid": group,
    }
    if style.shape in ("slanted", "hexagon"):
        inset = min(8.0, h / 2)
        corners = (
            [(-w / 2 + inset, -h / 2), (w / 2, -h / 2), (w / 2 - inset, h / 2), (-w / 2, h / 2)]
            if style.shape == "slanted"
            else [
                (-w / 2 + inset, -h / 2),
                (w / 2 - inset, -h / 2),
                (w / 2, 0),
                (w / 2 - inset, h / 2),
                (-w / 2 + inset, h / 2),
                (-w / 2, 0),
            ]
        )
        axes.add_patch(Polygon([(x + a, y + b) for a, b in corners], closed=True, **look))
        return
    radius = {"square": 0.0, "rounded": 5.0, "stadium": h / 2}[style.shape]
    box = f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0"
    axes.add_patch(FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle=box, **look))


# edges


def _draw_edges(axes: Any, lines: list[DrawnEdge], layout: LayeredLayout, sizes: Sizes) -> None:
    """Every edge leaves and reaches its nodes at a place of its own, in the order of where it comes from."""
    upper = [line.tail if line.forward else line.head for line in lines]
    lower = [line.head if line.forward else line.tail for line in lines]
    ports_up = _ports(
        lower,
        [
            route[-1][0] if route else layout.centres[node][0]
            for route, node in zip(layout.routes, upper, strict=True)
        ],
        layout,
        sizes,
    )
    ports_down = _ports(
        upper,
        [
            route[0][0] if route else layout.centres[node][0]
            for route, node in zip(layout.routes, lower, strict=True)
        ],
        layout,
        sizes,
    )
    for i, line in enumerate(lines):
        top, bottom = layout.layer_of[upper[i]], layout.layer_of[lower[i]]
        start = (ports_down[i], layout.centres[upper[i]][1] + sizes[upper[i]][1] / 2)
        end = (ports_up[i], layout.centres[lower[i]][1] - sizes[lower[i]][1] / 2)
        stops = [start, (start[0], layout.layers[top][1])]
        for (x, _), layer in zip(layout.routes[i], range(top + 1, bottom), strict=True):
            stops += [(x, layout.layers[layer][0]), (x, layout.layers[layer][1])]
        stops += [(end[0], layout.layers[bottom][0]), end]
        _draw_path(axes, stops if line.forward else stops[::-1], line.style)


def _ports(nodes: list[str], towards: list[float], layout: LayeredLayout, sizes: Sizes) -> list[float]:
    """x at which each edge meets its node.

    Spread over the middle of the side, sorted by where the edge goes.
    """
    meeting: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        meeting.setdefault(node, []).append(i)
    x = [0.0] * len(nodes)
    for node, edges in meeting.items():
        room = min(sizes[node][0] - 24, 14.0 * (len(edges) - 1))
        for k, i in enumerate(sorted(edges, key=lambda i: towards[i])):
            x[i] = layout.centres[node][0] + (room * (k / (len(edges) - 1) - 0.5) if len(edges) > 1 else 0.0)
    return x


def _draw_path(axes: Any, stops: list[Point], style: EdgeStyle) -> None:
    """Straight through layers, S-shaped between them, with an arrow's head at the end."""
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    (x, y), (_, before) = (
        stops[-1],
        next(stop for stop in reversed(stops) if abs(stop[1] - stops[-1][1]) > 1e-6),
    )
    sign = 1.0 if y > before else -1.0
    neck = (x, y - sign * HEAD)
    kept = [*(stop for stop in stops[:-1] if (neck[1] - stop[1]) * sign > 0), neck]
    vertices, codes = [kept[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(kept):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    dashes = (0, style.dashes) if style.dashes else "solid"
    axes.add_patch(
        PathPatch(
            Curve(vertices, codes),
            fill=False,
            edgecolor=style.colour,
            linewidth=style.width,
            linestyle=dashes,
            capstyle="round" if style is EDGES["zdot"] else "butt",
            zorder=2,
        )
    )
    head = [(x, y), (x - 2.6, neck[1]), (x + 2.6, neck[1])]
    axes.add_patch(Polygon(head, closed=True, facecolor=style.colour, linewidth=0, zorder=3.5))


def _draw_loop(axes: Any, style: EdgeStyle, centre: Point, size: tuple[float, float]) -> None:
    """A node that depends on its own earlier round: an arc at its right side."""
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    (x, y), w = centre, size[0]
    right, reach, up = x + w / 2, 13.0, size[1] / 4
    curve = Curve(
        [(right, y + up), (right + reach, y + up + 4), (right + reach, y - up - 4), (right + HEAD, y - up)],
        [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4],
    )
    axes.add_patch(
        PathPatch(
            curve,
            fill=False,
            edgecolor=style.colour,
            linewidth=style.width,
            linestyle=(0, style.dashes),
            zorder=2,
        )
    )
    head = [(right, y - up), (right + HEAD, y - up - 2.6), (right + HEAD, y - up + 2.6)]
    axes.add_patch(Polygon(head, closed=True, facecolor=style.colour, linewidth=0, zorder=3.5))


# the legend


def _legend(graph: nx.DiGraph, lines: Sequence[DrawnEdge]) -> tuple[list[NodeStyle], list[EdgeStyle]]:
    """The kinds of nodes and of edges that occur."""
    kinds = {data["kind"] for _, data in graph.nodes(data=True)}
    drawn = {line.style for line in lines}
    return [style for kind, style in NODES.items() if kind in kinds], [
        style for style in EDGES.values() if style in drawn
    ]


def _draw_legend(
    axes: Any, nodes: Sequence[NodeStyle], edges: Sequence[EdgeStyle], left: float, y: float
) -> None:
    """Two rows under the drawing: the kinds of nodes, the kinds of edges."""
    for i, node in enumerate(nodes):
        x = left + i * LEGEND_NODE
        _draw_shape(axes, node, (x + 13, y), (26, 13))
        axes.text(x + 32, y, node.title, va="center_baseline", family=FONT, size=SMALL + 1, color=INK)
    for i, edge in enumerate(edges):
        x = left + i * LEGEND_EDGE
        dashes = (0, edge.dashes) if edge.dashes else "solid"
        cap = "round" if edge is EDGES["zdot"] else "butt"
        axes.plot(
            [x, x + 26],
            [y + 22, y + 22],
            color=edge.colour,
            lw=edge.width,
            ls=dashes,
            solid_capstyle="butt",
            dash_capstyle=cap,
        )
        axes.text(x + 32, y + 22, edge.title, va="center_baseline", family=FONT, size=SMALL + 1, color=INK)
