"""Loops whose rounds are independent, emitted as all rounds at once.

A `vmap`, or one product of arrays where that is what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.dependence import references
from tpc.core.expr import Gather, Index, Ref
from tpc.core.program import MatMul
from tpc.core.storage import Region, leaves
from tpc.emit import python as py
from tpc.emit.comments import loops
from tpc.emit.identifiers import chain_name, fixed_name, local_name
from tpc.emit.python import Assign, Def, Py, Return
from tpc.emit.round_arrays import in_a_row, is_whole, put_together, stacked_axis
from tpc.emit.scopes import BasisChain, Frame, MemberArray
from tpc.emit.unused import names_read
from tpc.emit.whole_loops import RULES, copies
from tpc.plan.structure import Stacking, stacking

if TYPE_CHECKING:
    from tpc.emit.body import Body

ARRAYS = 20  # of the size of what a round adds to bases: its vectors, and both branches of conditions


class Parallel:
    """Emits such loops of one program's body."""

    def __init__(self, body: Body) -> None:
        self.body, self.parts, self.names, self.expressions = body, body.parts, body.names, body.expressions

    def each(self, region: Region, frame: Frame) -> None:
        if any(rule(self.body, region, frame) for rule in RULES):
            return
        n = region.greatest
        variable = self.names.fresh(region.variable)
        inner = Frame(parent=frame, variables={region.variable: variable})
        mapped = self._mapped(region, frame, inner)
        self._own_chains(region, frame, inner)
        made = self._results(region, frame, inner)
        if not made:  # nothing that leaves the rounds
            return
        self.body.allocate(region, inner)
        if copies(self.body, region, mapped, made, frame):
            return
        self.body.nodes(region.body, inner)
        for _, _, local in made:
            if local.kept:
                local.ready()
        outs = [local.name for _, _, local in made]
        read = names_read(inner.prologue, inner.statements)
        numbered = variable in read or not mapped
        arguments = [(variable, Py(f"jnp.arange({n})"), 0)] * numbered
        arguments += [(local.name, source, axis) for local, source, axis, _ in mapped]
        whole = [is_whole(region, frame, held, lie) for held, lie, _ in made]
        targets = [
            held.name if w else self._together(region, held, lie, local)
            for (held, lie, local), w in zip(made, whole, strict=True)
        ]
        self._vmap(
            region,
            frame,
            inner,
            arguments,
            outs,
            targets,
            [stacked_axis(region, held, lie) for held, lie, _ in made],
            packed=any(local.packed for local, *_ in mapped),
            most=self._at_once(region, inner),
        )
        makers = [leaf for leaf in leaves(region.body) if frame.target(leaf.op.out) is not None]
        for leaf, (held, lie, _), w, target in zip(makers, made, whole, targets, strict=True):
            if w:
                held.pending = False
            else:
                put_together(self.body, leaf, region, frame, held, lie, target)

    def _together(self, region: Region, held: MemberArray, lie: Stacking, local: MemberArray) -> str:
        """A name for what all rounds have made."""
        if not in_a_row(region, lie) or lie.rest:
            return self.names.fresh(f"{local.name}_all")
        return self.names.fresh(
            local_name(held.family, [i for a, i in sorted(local.fixed.items()) if a != lie.axis])
        )

    def _vmap(
        self,
        region: Region,
        frame: Frame,
        inner: Frame,
        arguments: Sequence[tuple[str, Py, int]],
        outs: Sequence[str],
        targets: Sequence[str],
        axes: Sequence[int],
        *,
        packed: bool,
        most: int,
    ) -> None:
        """Adds the rounds, all at once or as many as there is room for.

        packed: whether members are restored in every round, so that not all of them should be at once.
        most: rounds that there is room for.
        """
        parameters, comment = tuple(name for name, _, _ in arguments), ""
        alone = len(inner.statements) == 1 and not inner.prologue and len(outs) == 1
        only = inner.statements[0] if alone else None
        if isinstance(only, Assign) and only.targets == (outs[0],):
            comment = "; ".join(filter(None, (only.comment, loops([region]))))
            function = py.lambda_of(", ".join(parameters), only.value)
        else:
            name = self.names.fresh(f"each_{region.variable}")
            result = py.name(outs[0]) if len(outs) == 1 else py.tuple_of([py.name(o) for o in outs])
            frame.statements.append(
                Def(name, parameters, (*inner.prologue, *inner.statements, Return(result)))
            )
            function = py.name(name)
        if packed and not any(axis for _, _, axis in arguments) and not any(axes):
            each = py.call("in_turns", function, *[source for _, source, _ in arguments])
            frame.statements.append(Assign(tuple(targets), each, comment))
            return
        if most < region.greatest and not any(axes):
            frame.statements.append(Assign(tuple(targets), _in_turns(function, arguments, most), comment))
            return
        ins = [axis for _, _, axis in arguments]
        options = [f"in_axes={tuple(ins) if len(ins) > 1 else ins[0]}"] if any(ins) else []
        options += [f"out_axes={tuple(axes) if len(axes) > 1 else axes[0]}"] if any(axes) else []
        call = py.call("jax.vmap", function, *map(Py, options))
        frame.statements.append(
            Assign(
                tuple(targets),
                Py(f"{call.text}({', '.join(source.text for _, source, _ in arguments)})"),
                comment,
            )
        )

    def _at_once(self, region: Region, inner: Frame) -> int:
        """How many rounds may be there at once.

        Where each has bases of its own, as many as divide them and have room; else all of them.
        """
        layout, n = self.body.layout, region.greatest
        each = (
            ARRAYS
            * self.body.vector_bytes
            * sum(layout.extra.get(side, 0) * layout.members[side[0]] for side in inner.chains)
        )
        if n * each <= self.body.at_once:
            return n
        return max(k for k in range(1, n + 1) if n % k == 0 and (k == 1 or k * each <= self.body.at_once))

    def _mapped(self, region: Region, frame: Frame, inner: Frame) -> list[tuple[MemberArray, Py, int, Ref]]:
        """Arrays of which every round reads its own member: arguments of the function that is mapped."""
        found: dict[tuple[MemberArray, int, Affine], tuple[MemberArray, Py, int, Ref]] = {}
        made = {leaf.op.out for leaf in leaves(region.body)}
        for ref in _reads(region):
            if ref in made:
                continue
            try:
                held = frame.find(ref)
            except KeyError:
                continue
            for position, axis in enumerate(held.kept):
                index = ref.index[axis]
                shift = index - Affine.var(region.variable) if isinstance(index, Affine) else None
                if shift is None or shift.variables or (held, axis, index) in found:
                    continue
                assert isinstance(index, Affine)
                fixed: dict[int, Index] = {**held.fixed, axis: index}
                local = MemberArray(
                    self.names.fresh(fixed_name(held.family, fixed)),
                    held.family,
                    held.vector,
                    fixed,
                    tuple(a for a in held.kept if a != axis),
                    held.shape,
                    inner,
                    store=False,
                )
                inner.hold(local)
                parts = [py.FULL] * position + [py.part(shift.const, region.greatest, held.shape[axis])]
                local.packed = held.packed and all(map(py.is_full, parts))
                found[held, axis, index] = (
                    local,
                    py.name(held.name) if local.packed else held.part(parts),
                    position,
                    ref,
                )
                break
        return list(found.values())

    def _results(
        self, region: Region, frame: Frame, inner: Frame
    ) -> list[tuple[MemberArray, Stacking, MemberArray]]:
        """What the rounds make of arrays that live outside.

        The array, how it lies there, and a round's part.
        """
        found: list[tuple[MemberArray, Stacking, MemberArray]] = []
        for leaf in leaves(region.body):
            held = frame.target(leaf.op.out)
            if held is None:
                continue
            lie = stacking(leaf, region, self.parts.storage[leaf.op.out.name])
            assert lie is not None
            fixed: dict[int, Index] = {
                **held.fixed,
                **{a: i for a, i in lie.fixed.items() if a in held.kept},
                lie.axis: lie.index,
            }
            name = self.names.fresh(fixed_name(held.family, fixed))
            local = MemberArray(
                name,
                held.family,
                held.vector,
                fixed,
                lie.rest,
                held.shape,
                inner,
                pending=True,
                sizes=held.sizes,
            )
            inner.hold(local)
            found.append((held, lie, local))
        return found

    def _own_chains(self, region: Region, frame: Frame, inner: Frame) -> None:
        """Bases that a round adds to those of the whole run, for products whose vectors do not leave it."""
        if any(r in self.parts.parallel for r in region.around):
            return
        sides = dict.fromkeys(
            (leaf.op.matrix.name, leaf.op.transposed)
            for leaf in leaves(region.body)
            if isinstance(leaf.op, MatMul)
        )
        for side in sides:
            base = frame.chain(side)
            name = self.names.fresh(f"{chain_name(side)}_more")
            own = py.name(self.names[f"{chain_name(side)} extra"])
            value = py.tuple_of([own]) if base is None else Py(f"(*{base.name}, {own.text})")
            inner.chains[side] = BasisChain(name, inner)
            inner.statements.append(Assign((name,), value))


def _in_turns(function: Py, arguments: Sequence[tuple[str, Py, int]], most: int) -> Py:
    """The function of all rounds, so many of them at once."""
    sources = [
        source if not axis else py.call("jnp.moveaxis", source, py.integer(axis), py.integer(0))
        for _, source, axis in arguments
    ]
    batch = [Py(f"batch_size={most}")] if most > 1 else []
    if len(sources) == 1:
        return py.call("lax.map", function, *sources, *batch)
    each = py.lambda_of("own", Py(f"{function.at(py.ATOM)}(*own)"))
    return py.call("lax.map", each, py.tuple_of(sources), *batch)


def _reads(region: Region) -> list[Ref]:
    """Every member that an instruction of the region, or a loop in it, refers to."""
    found: list[Ref] = []
    for leaf in leaves(region.body):
        found += [ref for ref, _ in references(leaf.op, ())]
        if isinstance(leaf.op, MatMul):
            found += _gathers(leaf.op.operand)
    gathers = [g for ref in found for g in _gathers(ref)]
    return list(dict.fromkeys([*found, *gathers]))


def _gathers(ref: Ref) -> list[Ref]:
    return [Ref(i.input, i.index) for i in ref.index if isinstance(i, Gather)]
