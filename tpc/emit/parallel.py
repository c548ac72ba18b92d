"""Loops whose rounds are independent, emitted as all rounds at once: a `vmap`, or one product of arrays where
that is what it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.dependence import references
from tpc.core.expr import Gather, Index, Mul, Ref, Value
from tpc.core.program import Instruction, MatMul, Moment, Nonlin, Scalar
from tpc.core.storage import Leaf, Region, leaves
from tpc.emit import python as py
from tpc.emit.comments import loops
from tpc.emit.identifiers import chain_name, local_name
from tpc.emit.pointwise import on_whole_arrays
from tpc.emit.python import Assign, Def, Py, Return, Statement
from tpc.emit.scatter import added, separated
from tpc.emit.scopes import Chain, Frame, Held
from tpc.emit.stacked import along, at_hand, put, sliced
from tpc.emit.sums import SPARE
from tpc.plan.structure import Stacking, index_variables, stacking

if TYPE_CHECKING:
    from tpc.emit.body import Body

ARRAYS = 20  # of the size of what a round adds to bases: its vectors, and both branches of conditions


class Parallel:
    """Emits such loops of one program's body."""

    def __init__(self, body: Body) -> None:
        self.body, self.parts, self.names, self.expressions = body, body.parts, body.names, body.expressions

    def each(self, region: Region, frame: Frame) -> None:
        if (
            self._inner_products(region, frame)
            or self._picked(region, frame)
            or self._pointwise(region, frame)
            or self._scattered(region, frame)
        ):
            return
        n = region.greatest
        variable = self.names.fresh(region.variable)
        inner = Frame(parent=frame, variables={region.variable: variable})
        mapped = self._mapped(region, frame, inner)
        self._own_chains(region, frame, inner)
        made = self._made(region, frame, inner)
        if not made:  # nothing that leaves the rounds
            return
        self.body.allocate(region, inner)
        if self._copies(region, mapped, made, frame):
            return
        self.body.nodes(region.body, inner)
        for _, _, local in made:
            if local.kept:
                local.ready()
        outs = [local.name for _, _, local in made]
        arguments = [(variable, Py(f"jnp.arange({n})"), 0)] if variable in _text(inner) or not mapped else []
        arguments += [(local.name, source, axis) for local, source, axis, _ in mapped]
        whole = [self._is_whole(region, frame, held, lie) for held, lie, _ in made]
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
                self._put_together(leaf, region, frame, held, lie, target)

    def _together(self, region: Region, held: Held, lie: Stacking, local: Held) -> str:
        """A name for what all rounds have made."""
        if not _in_a_row(region, lie) or lie.rest:
            return self.names.fresh(f"{local.name}_all")
        return self.names.fresh(
            local_name(held.family, [i for a, i in sorted(local.fixed.items()) if a != lie.axis])
        )

    def _is_whole(self, region: Region, frame: Frame, held: Held, lie: Stacking) -> bool:
        """Whether what the rounds make is all of the array, which nothing else has begun."""
        complete = (
            lie.index == Affine.var(region.variable)
            and held.shape[lie.axis] == region.greatest
            and not set(lie.fixed) & set(held.kept)
        )
        return complete and held.pending and held.writers == 1 and held.frame is frame

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
        """packed: whether members are restored in every round, so that not all of them should be at once.
        most: rounds that there is room for."""
        parameters = tuple(name for name, _, _ in arguments)
        comment = ""
        only = (
            inner.statements[0]
            if len(inner.statements) == 1 and not inner.prologue and len(outs) == 1
            else None
        )
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
        """How many rounds may be there at once: as many as divide them and have room, where each has bases of
        its own; else all of them."""
        layout, n = self.body.layout, region.greatest
        each = (
            ARRAYS
            * self.body.vector_bytes
            * sum(layout.extra.get(side, 0) * layout.members[side[0]] for side in inner.chains)
        )
        if n * each <= self.body.at_once:
            return n
        return max(k for k in range(1, n + 1) if n % k == 0 and (k == 1 or k * each <= self.body.at_once))

    def _put_together(
        self, leaf: Leaf, region: Region, frame: Frame, held: Held, lie: Stacking, made: str
    ) -> None:
        """Writes the members that all rounds have made into the array."""
        held.ready()
        place, drop = Py(""), ""
        if _in_a_row(region, lie):
            place = py.part(lie.index.const, region.greatest, held.shape[lie.axis])
        else:
            steps = f"jnp.arange({region.greatest})"
            place = self.expressions.affine(
                lie.index, Frame(parent=frame, variables={region.variable: steps})
            )
            if region.loop.count.constant is None:
                inside = py.compare("<", Py(steps), self.expressions.affine(region.loop.count, frame))
                place, drop = (
                    py.call("jnp.where", inside, place, py.integer(held.shape[lie.axis])),
                    ', mode="drop"',
                )
        index = [
            place
            if a == lie.axis
            else py.FULL
            if a in lie.rest
            else self.expressions.index(lie.fixed[a], frame)
            for a in held.kept
        ]
        frame.statements.append(Assign((held.name,), put(held, index, made, drop)))
        frame.changes(held)
        if _in_a_row(region, lie) and not lie.rest:
            at_hand(held, leaf.op.out, [region], made, frame)

    def _mapped(self, region: Region, frame: Frame, inner: Frame) -> list[tuple[Held, Py, int, Ref]]:
        """Arrays of which every round reads its own member: arguments of the function that is mapped."""
        found: dict[tuple[int, int, Affine], tuple[Held, Py, int, Ref]] = {}
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
                if shift is None or shift.variables or (id(held), axis, index) in found:
                    continue
                assert isinstance(index, Affine)
                fixed: dict[int, Index] = {**held.fixed, axis: index}
                local = Held(
                    self.names.fresh(local_name(held.family, [fixed[a] for a in sorted(fixed)])),
                    held.family,
                    held.vector,
                    fixed,
                    tuple(a for a in held.kept if a != axis),
                    held.shape,
                    inner,
                    store=False,
                )
                inner.held.append(local)
                parts = [py.FULL] * position + [py.part(shift.const, region.greatest, held.shape[axis])]
                local.packed = held.packed and all(part.text == ":" for part in parts)
                found[id(held), axis, index] = (
                    local,
                    py.name(held.name) if local.packed else held.part(parts),
                    position,
                    ref,
                )
                break
        return list(found.values())

    def _made(self, region: Region, frame: Frame, inner: Frame) -> list[tuple[Held, Stacking, Held]]:
        """What the rounds make of arrays that live outside: the array, how it lies there, and a round's
        part."""
        found: list[tuple[Held, Stacking, Held]] = []
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
            name = self.names.fresh(local_name(held.family, [fixed[a] for a in sorted(fixed)]))
            local = Held(
                name,
                held.family,
                held.vector,
                fixed,
                lie.rest,
                held.shape,
                inner,
                pending=True,
                size=held.size,
            )
            inner.held.append(local)
            found.append((held, lie, local))
        return found

    def _copies(
        self,
        region: Region,
        mapped: Sequence[tuple[Held, Py, int, Ref]],
        made: Sequence[tuple[Held, Stacking, Held]],
        frame: Frame,
    ) -> bool:
        """`x[j] = u[j] for j`: the array itself."""
        if (
            len(region.body) != 1
            or not isinstance(region.body[0], Leaf)
            or len(made) != 1
            or len(mapped) != 1
        ):
            return False
        op = region.body[0].op
        held, lie, local = made[0]
        source, value, position, _ = mapped[0]
        if (
            not isinstance(op, Nonlin)
            or not isinstance(op.phi, Value)
            or source.kept
            or local.kept
            or position
        ):
            return False
        if not self._is_whole(region, frame, held, lie):
            return False
        if self._is_given(op, value, frame):
            held.name = value.text
        else:
            comment = self.body.comments.of(op, [region])
            frame.statements.append(Assign((held.name,), value, comment))
        held.pending, held.packed = False, source.packed
        return True

    def _inner_products(self, region: Region, frame: Frame) -> bool:
        """`c[s] = mean(x[s]*y) for s`, or `c[s, k] = mean(x[s, k]*y) for k for s`: one product of an array
        with a vector."""
        nest = _nest(region)
        leaf = nest[-1].body[0]
        if (
            len(nest[-1].body) != 1
            or not isinstance(leaf, Leaf)
            or not isinstance(leaf.op, Moment)
            or not isinstance(leaf.op.phi, Mul)
        ):
            return False
        factors = [f.ref for f in leaf.op.phi.factors if isinstance(f, Value) and f.vector]
        moving = [ref for ref in factors if index_variables(ref) & {r.variable for r in nest}]
        if len(factors) != 2 or len(leaf.op.phi.factors) != 2 or len(moving) != 1:
            return False
        (ref,), (other,) = moving, (r for r in factors if r is not moving[0])
        source, held = frame.find(ref), frame.target(leaf.op.out)
        if held is None or not along(source, ref, nest) or not self._covered(held, leaf.op.out, nest, frame):
            return False
        parts = sliced(self.body, source, ref, nest, frame)
        first = next(
            k for k, i in enumerate(source.rest(ref)) if region.variable in index_variables(Ref("", (i,)))
        )
        if (
            source.blocks
            and ref.index[source.kept[0]] == Affine.var(region.variable)
            and all(p.text == ":" for p in parts[1:])
        ):
            weighted = py.product(
                [py.name(f"weights{self.body.suffix(other.name)}"), self.expressions.member(other, frame)]
            )
            product = py.call(
                "products", py.name(source.name), weighted, self.expressions.affine(region.loop.count, frame)
            )
            value = product if parts[0].text == ":" else Py(f"{product.text}[:{region.greatest}]")
            frame.statements.append(Assign((held.name,), value, self.body.comments.of(leaf.op, nest[::-1])))
            held.pending = False
            return True
        if source.packed and all(p.text == ":" for p in parts):
            weighted = py.product(
                [py.name(f"weights{self.body.suffix(other.name)}"), self.expressions.member(other, frame)]
            )
            frame.statements.append(
                Assign(
                    (held.name,),
                    py.call("inners", py.name(source.name), weighted),
                    self.body.comments.of(leaf.op, nest[::-1]),
                )
            )
            held.pending = False
            return True
        spare = (
            parts[first].text == f":{region.greatest}"
            and source.shape[source.kept[first]] <= region.greatest + SPARE
            and not any(":" not in p.text for p in parts)
        )
        if spare:
            parts[first] = py.FULL
        product = py.call(
            f"inner{self.body.suffix(other.name)}", source.part(parts), self.expressions.member(other, frame)
        )
        if spare:
            product = Py(f"{product.text}[:{region.greatest}]")
        frame.statements.append(Assign((held.name,), product, self.body.comments.of(leaf.op, nest[::-1])))
        held.pending = False
        return True

    def _picked(self, region: Region, frame: Frame) -> bool:
        """`c[i, k] = x[j[i], k] for k for i`, the members of an array that another one picks: one
        indexing."""
        nest = _nest(region)
        leaf = nest[-1].body[0]
        if (
            len(nest[-1].body) != 1
            or not isinstance(leaf, Leaf)
            or isinstance(leaf.op, MatMul)
            or not isinstance(leaf.op.phi, Value)
        ):
            return False
        ref = leaf.op.phi.ref
        source, held = frame.find(ref), frame.target(leaf.op.out)
        index = source.rest(ref)
        if (
            held is None
            or not index
            or not isinstance(index[0], Gather)
            or not self._covered(held, leaf.op.out, nest, frame)
        ):
            return False
        rows = Ref(index[0].input, index[0].index)
        picks = frame.find(rows)
        first = [r for r in nest if r.variable in index_variables(rows)]
        rest = nest[len(first) :]
        whole = all(
            i == Affine.var(r.variable) and source.shape[axis] == r.greatest
            for axis, i, r in zip(source.kept[1:], index[1:], rest, strict=False)
        )
        if (
            not first
            or first != nest[: len(first)]
            or len(index) != 1 + len(rest)
            or not whole
            or not along(picks, rows, first)
        ):
            return False
        picked = py.subscript(py.name(picks.name), sliced(self.body, picks, rows, first, frame))
        frame.statements.append(
            Assign((held.name,), source.part([picked]), self.body.comments.of(leaf.op, nest[::-1]))
        )
        held.pending = False
        return True

    def _pointwise(self, region: Region, frame: Frame) -> bool:
        """`x[i] = tanh(h[i]) for i`: the function of the whole array."""
        nest = _nest(region)
        leaf = nest[-1].body[0]
        held = frame.target(leaf.op.out) if isinstance(leaf, Leaf) and len(nest[-1].body) == 1 else None
        if held is None or not isinstance(leaf, Leaf):
            return False
        covered = self._covered(held, leaf.op.out, nest, frame)
        lie = stacking(leaf, region, self.parts.storage[leaf.op.out.name])
        if not covered:
            in_a_row = lie is not None and not lie.rest and _in_a_row(region, lie)
            if len(nest) > 1 or lie is None or not in_a_row or stacked_axis(region, held, lie):
                return False
        value = on_whole_arrays(self.body, leaf, nest, frame)
        if value is None:
            return False
        if covered:
            held.pending = False
            if self._is_given(leaf.op, value, frame):
                held.name = value.text
            else:
                comment = self.body.comments.of(leaf.op, nest[::-1])
                frame.statements.append(Assign((held.name,), value, comment))
            return True
        comment = self.body.comments.of(leaf.op, nest[::-1])
        assert lie is not None
        fixed = {**held.fixed, **{a: i for a, i in lie.fixed.items() if a in held.kept}}
        name = self.names.fresh(local_name(held.family, [fixed[a] for a in sorted(fixed)]))
        frame.statements.append(Assign((name,), value, comment))
        self._put_together(leaf, region, frame, held, lie, name)
        return True

    def _is_given(self, op: Instruction, value: Py, frame: Frame) -> bool:
        """Whether what an instruction makes is an array of Gaussians or an input itself: nothing writes to
        these."""
        if not isinstance(op, Nonlin | Scalar) or not isinstance(op.phi, Value):
            return False
        source = frame.find(op.phi.ref)
        return source.family in self.body.given and value == py.name(source.name)

    def _scattered(self, region: Region, frame: Frame) -> bool:
        """Terms that are 0 but at one member, `onehot(j)`: all others first, these where they belong."""
        others, additions = separated(
            region, {i.name for i in self.body.program.inputs if i.bound is not None}
        )
        leaf = region.body[0]
        held = frame.target(leaf.op.out) if additions and isinstance(leaf, Leaf) else None
        if held is None or len(held.kept) != 1:
            return False
        self.each(others, frame)
        added(self.expressions, held, region, additions, frame, self.body.suffix(held.family))
        return True

    def _covered(self, held: Held, ref: Ref, nest: Sequence[Region], frame: Frame) -> bool:
        """Whether what the nest makes is all of the array, in its order, which nothing else has begun."""
        return (
            held.pending
            and held.writers == 1
            and held.frame is frame
            and len(held.kept) == len(nest)
            and all(
                i == Affine.var(r.variable) and held.shape[axis] == r.greatest
                for axis, i, r in zip(held.kept, held.rest(ref), nest, strict=True)
            )
        )

    def _own_chains(self, region: Region, frame: Frame, inner: Frame) -> None:
        """Bases that a round adds to those of the whole run, for products whose vectors do not leave it."""
        if any(id(r) in self.parts.parallel for r in region.around):
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
            inner.chains[side] = Chain(name, inner)
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


def _nest(region: Region) -> list[Region]:
    """The region and the loops that are all there is in it."""
    nest = [region]
    while len(nest[-1].body) == 1 and isinstance(deeper := nest[-1].body[0], Region):
        nest.append(deeper)
    return nest


def _in_a_row(region: Region, lie: Stacking) -> bool:
    """Whether the rounds' members are a slice of the array."""
    return region.loop.count.constant is not None and not (lie.index - Affine.var(region.variable)).variables


def stacked_axis(region: Region, held: Held, lie: Stacking) -> int:
    """Where the rounds come in the value that is written: NumPy puts indexed axes first unless they are
    neighbours, and slices where they are."""
    if _in_a_row(region, lie):
        return [a for a in held.kept if a == lie.axis or a in lie.rest].index(lie.axis)
    indexed = [k for k, a in enumerate(held.kept) if a not in lie.rest]
    return indexed[0] if indexed[-1] - indexed[0] == len(indexed) - 1 else 0


def _reads(region: Region) -> list[Ref]:
    """Every member that an instruction of the region, or a loop in it, refers to."""
    found: list[Ref] = []
    for leaf in leaves(region.body):
        found += [ref for ref, _ in references(leaf.op, ())]
        if isinstance(leaf.op, MatMul):
            found += _gathered(leaf.op.operand)
    gathers = [g for ref in found for g in _gathered(ref)]
    return list(dict.fromkeys([*found, *gathers]))


def _gathered(ref: Ref) -> list[Ref]:
    return [Ref(i.input, i.index) for i in ref.index if isinstance(i, Gather)]


def _text(frame: Frame) -> set[str]:
    """The identifiers in a frame's lines."""
    return {word for s in (*frame.prologue, *frame.statements) for word in _words(s)}


def _words(s: Statement) -> set[str]:
    if isinstance(s, Def):
        return {word for inner in s.body for word in _words(inner)}
    return set(re.findall(r"\w+", s.value.text)) if isinstance(s, Assign | Return) else set()
