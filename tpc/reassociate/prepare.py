"""What is done to a program before its sums are reordered.

Indices that nothing depends on are dropped, combinations of vectors get a name each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from tpc.core.affine import Affine, bounds
from tpc.core.expr import (
    Add,
    Expr,
    Gather,
    Mul,
    Pow,
    Ref,
    Sum,
    Value,
    children,
    is_vector,
    mul,
    number,
    power,
    rebuild,
    walk,
)
from tpc.core.names import part
from tpc.core.printer import print_expr
from tpc.core.program import Family, For, Instruction, Moment, Nonlin, Product, Program, instructions
from tpc.core.traverse import free_variables, map_refs, substitute
from tpc.reassociate.levels import (
    Level,
    Nested,
    body_of,
    levels,
    opaque,
    sites,
    without_single_rounds,
)


def prepare(program: Program) -> tuple[Program, Level]:
    """The same program and its body in levels."""
    program = without_single_rounds(program)
    top = levels(program.body)
    program = _without_idle_axes(program, top)
    top = levels(program.body)
    return _name_sums(program, top), top


# indices that nothing depends on


def _without_idle_axes(program: Program, top: Level) -> Program:
    dropped: dict[str, set[int]] = {}
    found = list(sites(top))
    writers = [op.out.name for op in (site.op for site in found)] + [op.out.name for op in _inside(top)]
    for k, site in enumerate(found):
        op = site.op
        if isinstance(op, Product) or writers.count(op.out.name) > 1:
            continue
        used = free_variables(op.phi)
        idle = [
            loop
            for loop in site.nest
            if loop.variable not in used
            and not any(loop.variable in other.count.variables for other in site.nest)
            and loop.count.constant is not None
        ]
        axes = {
            axis for axis, i in enumerate(op.out.index) for loop in idle if i == Affine.var(loop.variable)
        }
        if idle and len(axes) == len(idle):
            dropped[op.out.name] = axes
            found[k].nest = tuple(loop for loop in site.nest if loop not in idle)
    if not dropped:
        return program

    def ref_of(ref: Ref) -> Ref:
        axes = dropped.get(ref.name, set())
        return (
            Ref(ref.name, tuple(i for axis, i in enumerate(ref.index) if axis not in axes)) if axes else ref
        )

    body = tuple(map_refs(op, ref_of) for op in body_of(top))
    families = tuple(
        replace(f, shape=tuple(n for axis, n in enumerate(f.shape) if axis not in dropped.get(f.name, set())))
        for f in program.families
    )
    return replace(
        program,
        body=body,
        families=families,
        outputs=tuple(replace(o, ref=ref_of(o.ref)) for o in program.outputs),
    )


def _inside(top: Level) -> Iterator[Instruction]:
    for loop in opaque(top):
        for op, _ in instructions((loop.op,)):
            yield op


# combinations of vectors in means


def _name_sums(program: Program, top: Level) -> Program:
    """Sums of vectors under a mean, and the same elsewhere in the same rounds, as vectors."""
    names = _Names(program)
    for site in list(sites(top)):
        if isinstance(site.op, Moment):
            phi = _factors(site.op.phi, partial(names.of, site=site))
            site.op = replace(site.op, phi=phi)
    for site in list(sites(top)):
        if isinstance(site.op, Nonlin):
            site.op = replace(site.op, phi=names.known(site.op.phi, site))
    return replace(program, families=(*program.families, *names.families), body=body_of(top))


def _factors(x: Expr, name: Callable[[Expr], Expr]) -> Expr:
    """A product with its composite vectors named."""
    if isinstance(x, Mul):
        return mul(*(_factors(part, name) for part in x.factors))
    if isinstance(x, Pow) and x.exponent == number(2) and is_vector(x.base):
        return power(_factors(x.base, name), number(2))
    return name(x) if isinstance(x, Sum) and is_vector(x) else x


class _Names:
    """Names of sums of vectors, by what they are and the level that they are at."""

    def __init__(self, program: Program) -> None:
        self.taken = set(program.names)
        self.widths = {f.name: f.width for f in program.families} | {
            n: g.width for g in program.gaussians for n in g.names
        }
        self.known_as: dict[tuple[Level, str], tuple[str, Level]] = {}
        self.families: list[Family] = []
        self.makers: set[Nested] = set()

    def of(self, x: Expr, site: Nested) -> Expr:
        if any(
            isinstance(node, Value) and node.vector and node.ref.name not in self.widths for node in walk(x)
        ):
            return x
        key, order = _key(x, site)
        loops = {loop.variable: loop for loop in site.nest}
        if any(loops[v].count.variables & loops.keys() for v in order):
            return x
        around = [level.loop for level in site.level.levels if level.loop is not None]
        if key not in self.known_as:
            name = part("sum", self.taken)
            width = next(
                self.widths[node.ref.name] for node in walk(x) if isinstance(node, Value) and node.vector
            )
            nest = tuple(For(v, loops[v].count, (), origin=site.op.origin) for v in order)
            ranges = (*site.level.ranges, *((loop.variable, loop.count) for loop in nest))
            shape = tuple(bounds(count, ranges[:k])[1] for k, (_, count) in enumerate(ranges))
            self.families.append(Family(name, "vector", width, shape))
            self.widths[name] = width
            own = Ref(name, tuple(Affine.var(v) for v, _ in ranges))
            made = Nested(Nonlin(own, x, origin=site.op.origin), nest, site.level)
            self.makers.add(made)
            site.level.items.insert(site.level.items.index(site), made)
            self.known_as[key] = name, site.level
        name, _ = self.known_as[key]
        return Value(
            Ref(name, (*(Affine.var(loop.variable) for loop in around), *(Affine.var(v) for v in order))),
            True,
        )

    def known(self, x: Expr, site: Nested) -> Expr:
        """`x` with the sums in it that have names."""
        if site in self.makers:
            return x
        if isinstance(x, Sum) and is_vector(x) and _key(x, site)[0] in self.known_as:
            return self.of(x, site)
        if not isinstance(x, Add | Mul):
            return x
        return rebuild(x, [self.known(part, site) for part in children(x)])


def _key(x: Expr, site: Nested) -> tuple[tuple[Level, str], list[str]]:
    """What tells a sum apart, whatever the loops around it are called.

    The second value has their variables in order of occurrence.
    """
    counts = {loop.variable: loop.count for loop in site.nest}
    order: list[str] = []
    for node in walk(x):
        order += [v for v in _own_variables(node) if v in counts and v not in order]
    text = print_expr(substitute(x, {v: Affine.var(f"_{k}") for k, v in enumerate(order)}))
    return (site.level, f"{text} for {', '.join(str(counts[v]) for v in order)}"), order


def _own_variables(node: Expr) -> list[str]:
    """The variables of a node that are not those of a part of it, in order of occurrence."""
    if isinstance(node, Value):
        parts = [j for i in node.ref.index for j in (i.index if isinstance(i, Gather) else (i,))]
        return [v for part in parts for v in sorted(part.variables)]
    return [] if children(node) else sorted(free_variables(node))
