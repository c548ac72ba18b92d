"""A layered drawing of a directed acyclic graph, after Gansner, Koutsofios, North and Vo (1993).

Layers, order in them, positions, routes.

Layers and positions are the linear programs of that paper, solved as such.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import optimize, sparse

Node = Hashable
Point = tuple[float, float]

SWEEPS, PATIENCE = 24, 6  # of the ordering: at most so many, and so many without gain
BEND_GAP = 14.0  # between edges that pass through a layer
EMPHASIS = {0: 1.0, 1: 2.0, 2: 8.0}  # how straight an edge is to be, by how many of its ends are bends


@dataclass(frozen=True, slots=True)
class Edge:
    """From an upper node to a lower one."""

    tail: Node
    head: Node
    # how short and straight it is to be
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class LayeredLayout:
    """Centres of the nodes, y downwards from 0.

    For each edge where it passes the layers between its ends; top and bottom of each layer.
    """

    centres: Mapping[Node, Point]
    routes: Sequence[Sequence[Point]]
    layers: Sequence[tuple[float, float]]
    layer_of: Mapping[Node, int]


def layered(
    sizes: Mapping[Node, tuple[float, float]],
    edges: Sequence[Edge],
    *,
    node_gap: float = 22.0,
    layer_gap: float = 44.0,
) -> LayeredLayout:
    """Places nodes of the given (width, height). The edges must form no cycle, and none may be a loop."""
    rank = _ranks(list(sizes), edges)
    bends = [[("bend", i, r) for r in range(rank[e.tail] + 1, rank[e.head])] for i, e in enumerate(edges)]
    chains = [[e.tail, *bend, e.head] for e, bend in zip(edges, bends, strict=True)]
    rows: list[list[Node]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for node in sizes:
        rows[rank[node]].append(node)
    for bend in bends:
        for node in bend:
            rows[node[2]].append(node)
    pieces = [(a, b) for chain in chains for a, b in pairwise(chain)]
    rows = _ordered(rows, pieces)
    widths = {node: sizes[node][0] + node_gap if node in sizes else BEND_GAP for row in rows for node in row}
    weights = [
        e.weight * EMPHASIS[sum(end not in sizes for end in piece)]
        for e, chain in zip(edges, chains, strict=True)
        for piece in pairwise(chain)
    ]
    x = _positions(rows, widths, pieces, weights)
    layers = _bands(rows, sizes, layer_gap)
    middle = [(top + bottom) / 2 for top, bottom in layers]
    centres = {node: (x[node], middle[rank[node]]) for node in sizes}
    return LayeredLayout(
        centres, [[(x[node], middle[node[2]]) for node in bend] for bend in bends], layers, rank
    )


def _ranks(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[Node, int]:
    """Layers from 0 that make the edges go down and as short as they can be together.

    A linear program with whole solutions.
    """
    place = {node: i for i, node in enumerate(nodes)}
    cost = np.full(len(nodes), 1e-3)  # what nothing holds goes up
    for e in edges:
        cost[place[e.head]] += e.weight
        cost[place[e.tail]] -= e.weight
    if not edges:
        return dict.fromkeys(nodes, 0)
    x = _least(
        cost,
        [_differences([(place[e.tail], place[e.head]) for e in edges], len(nodes))],
        [-np.ones(len(edges))],
    )
    return {node: round(x[i]) for node, i in place.items()}


def _least(cost: np.ndarray, rules: Sequence[Any], limits: Sequence[np.ndarray]) -> list[float]:
    """The x ≥ 0 of least cost with `rule @ x <= limit` for each rule, at a corner."""
    together = sparse.vstack(rules)  # type: ignore[no-untyped-call,unused-ignore]
    solution = optimize.linprog(  # type: ignore[attr-defined,no-untyped-call,unused-ignore]
        cost,
        A_ub=together,
        b_ub=np.concatenate(limits),
        bounds=(0, None),
        method="highs-ds",
    )
    return [float(value) for value in solution.x]


def _differences(pairs: Sequence[tuple[int, int]], count: int, own: int | None = None) -> Any:
    """The matrix that takes x to x_a − x_b for each pair (a, b).

    If `own` is given, it takes x to x_a − x_b − x_{own + k} for the k-th.
    """
    k = np.arange(len(pairs))
    a, b = np.array(pairs).T
    parts = [(a, 1.0), (b, -1.0)] + ([] if own is None else [(own + k, -1.0)])
    values = np.concatenate([np.full(len(k), sign) for _, sign in parts])
    places = (np.tile(k, len(parts)), np.concatenate([columns for columns, _ in parts]))
    return sparse.coo_array((values, places), shape=(len(pairs), count))  # type: ignore[no-untyped-call,unused-ignore]


def _ordered(rows: list[list[Node]], pieces: Sequence[tuple[Node, Node]]) -> list[list[Node]]:
    """The rows in the order with the fewest crossings found.

    Medians of the neighbours, down and up in turn, with exchanges of neighbours.
    """
    above, below = _neighbours(rows, pieces)
    best, fewest, last_gain = rows, _crossings(rows, below), 0
    for sweep in range(SWEEPS):
        if sweep - last_gain > PATIENCE:
            break
        down = sweep % 2 == 0
        rows = [list(row) for row in rows]
        for r in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            neighbours = above if down else below
            place = {node: i for i, node in enumerate(rows[r - 1 if down else r + 1])}
            rows[r] = _by_barycentre(rows[r], neighbours, place)
        _exchange(rows, above, below)
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest, last_gain = rows, crossings, sweep
    return best


def _neighbours(
    rows: list[list[Node]], pieces: Sequence[tuple[Node, Node]]
) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    """The neighbours of every node in the row above, and in the row below."""
    above: dict[Node, list[Node]] = {node: [] for row in rows for node in row}
    below: dict[Node, list[Node]] = {node: [] for row in rows for node in row}
    for a, b in pieces:
        below[a].append(b)
        above[b].append(a)
    return above, below


def _by_barycentre(
    row: list[Node], neighbours: Mapping[Node, list[Node]], place: Mapping[Node, int]
) -> list[Node]:
    """Sorted by the mean place of the neighbours; what has none stays where it is."""
    key = {
        node: float(np.mean([place[other] for other in neighbours[node]])) for node in row if neighbours[node]
    }
    moving = iter(sorted(key, key=key.__getitem__))
    return [next(moving) if node in key else node for node in row]


def _exchange(
    rows: list[list[Node]], above: Mapping[Node, list[Node]], below: Mapping[Node, list[Node]]
) -> None:
    """Exchanges adjacent nodes as long as that removes crossings (four rounds at most)."""
    for _ in range(4):
        changed = False
        for r, row in enumerate(rows):
            sides = [
                (near, {node: i for i, node in enumerate(rows[s])})
                for near, s in ((above, r - 1), (below, r + 1))
                if 0 <= s < len(rows)
            ]
            for i in range(len(row) - 1):
                if _gain(row[i], row[i + 1], sides) > 0:
                    row[i], row[i + 1] = row[i + 1], row[i]
                    changed = True
        if not changed:
            return


def _gain(a: Node, b: Node, sides: Sequence[tuple[Mapping[Node, list[Node]], Mapping[Node, int]]]) -> int:
    """The crossings that are fewer with b before a. sides: neighbours, and their places in their row."""
    gain = 0
    for near, place in sides:
        p, q = [place[n] for n in near[a]], [place[n] for n in near[b]]
        gain += sum((u > v) - (u < v) for u in p for v in q)
    return gain


def _crossings(rows: Sequence[Sequence[Node]], below: Mapping[Node, list[Node]]) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        place = {node: i for i, node in enumerate(lower)}
        ends = np.array([end for node in upper for end in sorted(place[other] for other in below[node])])
        total += int(sum(np.sum(ends[:i] > end) for i, end in enumerate(ends)))
    return total


def _positions(
    rows: Sequence[Sequence[Node]],
    widths: Mapping[Node, float],
    pieces: Sequence[tuple[Node, Node]],
    weights: Sequence[float],
) -> dict[Node, float]:
    """x of each node: the weighted horizontal lengths of the pieces are least, and no neighbours overlap."""
    nodes = [node for row in rows for node in row]
    place = {node: i for i, node in enumerate(nodes)}
    count, lengths = len(nodes), len(pieces)
    total = count + lengths  # the unknowns: x of the nodes, and the horizontal length of every piece
    beside = [(a, b) for row in rows for a, b in pairwise(row)]
    rules, limits = [], []
    if beside:
        rules.append(_differences([(place[a], place[b]) for a, b in beside], total))
        limits.append(np.array([-(widths[a] + widths[b]) / 2 for a, b in beside]))
    if pieces:
        ends = [(place[a], place[b]) for a, b in pieces]
        rules += [_differences(ends, total, count), _differences([(b, a) for a, b in ends], total, count)]
        limits += [np.zeros(lengths), np.zeros(lengths)]
    if not rules:
        return dict.fromkeys(nodes, 0.0)
    x = _least(np.concatenate([np.full(count, 1e-6), np.asarray(weights)]), rules, limits)
    return {node: x[i] for node, i in place.items()}


def _bands(
    rows: Sequence[Sequence[Node]], sizes: Mapping[Node, tuple[float, float]], gap: float
) -> list[tuple[float, float]]:
    """Top and bottom of each layer."""
    bands: list[tuple[float, float]] = []
    top = 0.0
    for row in rows:
        height = max((sizes[node][1] for node in row if node in sizes), default=0.0)
        bands.append((top, top + height))
        top += height + gap
    return bands
