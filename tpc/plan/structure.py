"""What is known of a program before a line of it is emitted.

Its places, how its families are kept, which loops are run at once and how.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tpc.core.affine import Affine
from tpc.core.dependence import is_parallel
from tpc.core.expr import Index
from tpc.core.program import MatMul, Op, Program
from tpc.core.storage import Leaf, Node, Region, Storage, analyse, build, inner_regions, leaves, ranges
from tpc.core.traverse import ref_variables, used_refs
from tpc.plan.distribute import distribute
from tpc.plan.gaussians import Confined, RefInLoops
from tpc.plan.history_families import histories


@dataclass(frozen=True, eq=False)
class Structure:
    """A program's body in its places, how its families are kept, and which loops are run at once."""

    # the program's, in the order in which it is run: loops around products taken apart
    body: tuple[Op, ...]
    nodes: tuple[Node, ...]
    storage: Mapping[str, Storage]
    # loops whose rounds are mapped over
    parallel: frozenset[Region]
    # loops around one product whose rounds are the rows of a product of matrices: the loops of such a nest by
    # the outermost one
    blocks: Mapping[Region, tuple[Region, ...]]
    # products whose vectors stay in one round of a mapped loop: how many of the loops around lead up to that
    confined: Confined
    # families that are kept in blocks of steps
    histories: frozenset[str]
    # whether directions that a round meets are met by all rounds, and none is mapped over with its own
    joint: bool = False

    @property
    def mixes_rounds(self) -> bool:
        """Whether what rounds with directions of their own make is read outside of their loop.

        These directions have the same Gaussians in all rounds: each round is right by itself, and so is what
        follows from limits, but no product of two on a sample.
        """
        outer: dict[str, Region] = {}
        for leaf in leaves(self.nodes):
            for region in leaf.around:
                if region in self.parallel and _multiplies(region):
                    outer[leaf.op.out.name] = region
                    break
        return any(
            ref.name in outer and outer[ref.name] not in leaf.around
            for leaf in leaves(self.nodes)
            for ref in used_refs(leaf.op)
        )

    def longest_loop(self, variable: str | None = None) -> Region | None:
        """The longest loop of the top level that is run round by round, the last one of several as long.

        None if there is none. variable: of those over it only.
        """
        loops = [
            node
            for node in self.nodes
            if isinstance(node, Region)
            and node.greatest > 1
            and not is_parallel(node.loop, ())
            and variable in (None, node.variable)
        ]
        return max(reversed(loops), key=lambda region: region.greatest, default=None)


def structure(program: Program, *, joint: bool = False) -> Structure:
    """joint: whether outputs are to have their joint law on a sample, those of different rounds, too."""
    body = program.body
    nodes, storage, parallel = _analysed(program, body, joint)
    split = [
        r.loop
        for r in inner_regions(nodes)
        if r not in parallel and _multiplies(r) and is_parallel(r.loop, ranges(r.around))
    ]
    if split:
        body = distribute(body, split)
        nodes, storage, parallel = _analysed(program, body, joint)
    blocks: dict[Region, tuple[Region, ...]] = {}
    for region in inner_regions(nodes):
        nest = _block(region)
        if nest and region not in parallel and not any(region in other for other in blocks.values()):
            blocks[region] = nest
    at_once = parallel | {r for nest in blocks.values() for r in nest}
    confined, kept = _confined(nodes, parallel), histories(nodes, storage, program.outputs, at_once)
    return Structure(body, nodes, storage, parallel, blocks, confined, kept, joint)


def _confined(nodes: tuple[Node, ...], parallel: Container[Region]) -> dict[RefInLoops, int]:
    """Products in loops that are mapped over, and how many loops lead to the first such one."""
    confined: dict[RefInLoops, int] = {}
    for leaf in leaves(nodes):
        if isinstance(leaf.op, MatMul):
            outer = next((k for k, r in enumerate(leaf.around) if r in parallel), None)
            if outer is not None:
                confined[leaf.op.out, ranges(leaf.around)] = outer + 1
    return confined


def _analysed(
    program: Program, body: tuple[Op, ...], joint: bool
) -> tuple[tuple[Node, ...], dict[str, Storage], frozenset[Region]]:
    nodes = build(body)
    storage = analyse(program, nodes)
    parallel: set[Region] = set()
    # outer ones first: products in one that is mapped over grow bases of its own, in order
    for region in inner_regions(nodes):
        multiplies = _multiplies(region)
        nested = multiplies and (joint or any(outer in parallel for outer in region.around))
        if not nested and _at_once(region, storage):
            parallel.add(region)
    return nodes, storage, frozenset(parallel)


def _multiplies(region: Region) -> bool:
    return any(isinstance(leaf.op, MatMul) for leaf in leaves(region.body))


def _at_once(region: Region, storage: Mapping[str, Storage]) -> bool:
    """Whether the rounds of `region` can be computed side by side and put together afterwards."""
    if not is_parallel(region.loop, ranges(region.around)):
        return False
    made = list(leaves(region.body))
    products = _multiplies(region)
    for leaf in made:
        kept = storage[leaf.op.out.name]
        inside = kept.scope is not None and region in kept.scope.loops
        if inside or _is_carried_around(region, kept):
            continue
        if products and kept.family.kind == "vector":
            return False
        writers = [other for other in made if other.op.out.name == leaf.op.out.name]
        if len(writers) > 1 or stacking(leaf, region, kept) is None:
            return False
    return True


def _is_carried_around(region: Region, kept: Storage) -> bool:
    carry = kept.carry
    return carry is not None and carry.region in (region, *region.around) and region in carry.region.around


def _block(region: Region) -> tuple[Region, ...]:
    """The loops around one product, all products with one matrix and independent of each other.

    No loops if it is not so.
    """
    nest = region.nest()
    leaf = nest[-1].body[0]
    variables = {r.variable for r in nest}
    if len(nest[-1].body) != 1 or not isinstance(leaf, Leaf) or not isinstance(leaf.op, MatMul):
        return ()
    if ref_variables(leaf.op.matrix) & variables or not _are_independent(nest, variables):
        return ()
    own = {i.terms[0][0] for i in leaf.op.out.index if isinstance(i, Affine) and len(i.terms) == 1}
    return tuple(nest) if variables <= own and variables <= ref_variables(leaf.op.operand) else ()


def _are_independent(nest: Sequence[Region], variables: AbstractSet[str]) -> bool:
    """Whether no round of the loops needs another, and all have their counts from outside."""
    dynamic = len(nest) > 1 and any(r.loop.count.constant is None for r in nest)
    return not dynamic and all(
        is_parallel(r.loop, ranges(r.around)) and not r.loop.count.variables & variables for r in nest
    )


@dataclass(frozen=True)
class Stacking:
    """How what the rounds of a region make lies in an array."""

    # along which one
    axis: int
    # where on it
    index: Affine
    # where on other axes
    fixed: Mapping[int, Index]
    # the axes within a round
    rest: tuple[int, ...]


def stacking(leaf: Leaf, region: Region, storage: Storage) -> Stacking | None:
    """None if the rounds' members do not lie along an axis.

    None, too, if they would have to be merged with others in the same rows.
    """
    out, around = leaf.op.out, leaf.around
    inside = {r.variable for r in around[len(region.around) :]}
    free = {
        axis: index
        for axis in storage.kept
        if isinstance(index := out.index[axis], Affine) and not index.variables & inside
    }
    along = (
        (axis, index)
        for axis in storage.kept
        if isinstance(index := out.index[axis], Affine) and index.variables & inside == {region.variable}
    )
    found = next(along, None)
    if found is None:
        return None
    rest = tuple(a for a in storage.kept if a != found[0] and a not in free)
    if rest:
        scope = () if storage.scope is None else storage.scope.loops
        between = [
            r
            for r in region.around
            if r not in scope and not (storage.carry is not None and r is storage.carry.region)
        ]
        own = [index for axis, index in free.items()]
        if storage.writers > 1 or any(Affine.var(r.variable) not in own for r in between):
            return None
    return Stacking(found[0], found[1], free, rest)
