"""Rows of inputs that are picked by index, `images[j[t, i], l]`, read once for all sums over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tpc.core.affine import Affine, bounds
from tpc.core.expr import Expr, Gather, Ref, Sum, Value, children, rebuild
from tpc.core.names import part
from tpc.core.program import Family, For, Product, Program, Scalar
from tpc.core.traverse import ref_variables, substitute_ref
from tpc.reassociate.levels import Item, Level, Nested, body_of, put_before, sites


def gather(program: Program, top: Level) -> Program:
    """The program with the body `top`, and arrays of their own for picked members of inputs.

    Only where several sums take them in.
    """
    rows = _Rows(program)
    for site in list(sites(top)):
        if not isinstance(site.op, Product):
            rows.site = site
            site.op = replace(
                site.op, phi=rows.read(site.op.phi, {loop.variable: loop.count for loop in site.nest})
            )
    put_before(top, rows.before)
    return replace(program, families=(*program.families, *rows.families), body=body_of(top))


class _Rows:
    def __init__(self, program: Program) -> None:
        self.inputs = {item.name for item in program.inputs}
        self.taken = set(program.names)
        self.made: dict[tuple[Level, str], str] = {}
        self.families: list[Family] = []
        self.before: dict[Item, list[Nested]] = {}
        self.site: Nested

    def read(self, x: Expr, counts: Mapping[str, Affine]) -> Expr:
        if isinstance(x, Sum):
            return rebuild(x, [self.read(x.body, {**counts, x.variable: x.count})])
        if isinstance(x, Value):
            return x if x.vector else Value(self._ref(x.ref, counts), False)
        return rebuild(x, [self.read(part, counts) for part in children(x)])

    def _ref(self, ref: Ref, counts: Mapping[str, Affine]) -> Ref:
        axes = [
            v
            for i in ref.index
            for j in (i.index if isinstance(i, Gather) else (i,))
            for v in sorted(j.variables)
            if v in counts
        ]
        axes = list(dict.fromkeys(axes))
        along = [i for i in ref.index if isinstance(i, Affine) and i.variables & counts.keys()]
        picked = ref.name in self.inputs and any(isinstance(i, Gather) for i in ref.index)
        if not picked or not along or any(counts[v].constant is None for v in axes):
            return ref
        around = self.site.level.levels
        outer = ref_variables(ref) - set(axes)
        level = around[
            max(
                (k for k, one in enumerate(around) if one.loop is not None and one.loop.variable in outer),
                default=0,
            )
        ]
        fixed = [one.loop.variable for one in level.levels if one.loop is not None]
        text = f"{_at(ref, {v: f'_{k}' for k, v in enumerate(axes)})} {[counts[v].const for v in axes]}"
        if (level, text) not in self.made:
            name = part(ref.name, self.taken)
            nest = tuple(For(v, counts[v], (), origin=self.site.op.origin) for v in axes)
            ranges = (*level.ranges, *((v, counts[v]) for v in axes))
            self.families.append(
                Family(
                    name, "scalar", None, tuple(bounds(n, ranges[:k])[1] for k, (_, n) in enumerate(ranges))
                )
            )
            out = Ref(name, tuple(Affine.var(v) for v in (*fixed, *axes)))
            anchor = self.site if self.site.level is level else around[around.index(level) + 1]
            self.before.setdefault(anchor, []).append(
                Nested(Scalar(out, Value(ref, False), origin=self.site.op.origin), nest, level)
            )
            self.made[level, text] = name
        return Ref(self.made[level, text], tuple(Affine.var(v) for v in (*fixed, *axes)))


def _at(ref: Ref, names: Mapping[str, str]) -> Ref:
    return substitute_ref(ref, {v: Affine.var(name) for v, name in names.items()})
