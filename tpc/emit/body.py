"""The body of the emitted function: instructions as lines, loops as `fori_loop`s, loops whose rounds are independent as `vmap`s."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpc.affine import Affine
from tpc.core.dependence import is_parallel, references
from tpc.core.expr import Gather, Index, Mul, Ref, Value
from tpc.core.printer import print_op
from tpc.core.program import For, MatMul, Moment, Nonlin, Program
from tpc.emit import python as py
from tpc.emit.expressions import SPARE, Expressions, slice_py
from tpc.emit.frame import Chain, Frame, Held
from tpc.emit.names import Names
from tpc.emit.python import Assign, Def, Py, Return, Statement
from tpc.emit.storage import Leaf, Node, Region, Storage, analyse, build, inner_regions, leaves, ranges
from tpc.hilbert.gaussians import Layout, Side
from tpc.hilbert.space import Space


@dataclass(frozen=True, eq=False)
class Structure:
    """A program's body in its places, how its families are kept, and which loops are run at once.

    confined: products whose vectors stay in one round of such a loop, by `id` of the instruction, with the loops inside it that are run in order.
    """

    nodes: tuple[Node, ...]
    storage: Mapping[str, Storage]
    parallel: frozenset[int]
    confined: Mapping[int, tuple[For, ...]]


def structure(program: Program) -> Structure:
    nodes = build(program.body)
    storage = analyse(program, nodes)
    parallel = frozenset(id(r) for r in inner_regions(nodes) if _at_once(r, storage))
    confined: dict[int, tuple[For, ...]] = {}
    for leaf in leaves(nodes):
        if isinstance(leaf.op, MatMul):
            outer = next((k for k, r in enumerate(leaf.around) if id(r) in parallel), None)
            if outer is not None:
                confined[id(leaf.op)] = tuple(r.loop for r in leaf.around[outer + 1:] if id(r) not in parallel)
    return Structure(nodes, storage, parallel, confined)


def _at_once(region: Region, storage: Mapping[str, Storage]) -> bool:
    """Whether the rounds of `region` can be computed side by side, and what they make put together afterwards."""
    if not is_parallel(region.loop, ranges(region.around)):
        return False
    made = list(leaves(region.body))
    products = any(isinstance(leaf.op, MatMul) for leaf in made)
    for leaf in made:
        kept = storage[leaf.op.out.name]
        inside = kept.scope is not None and region in kept.scope.loops
        if inside:
            continue
        if kept.carry is not None and kept.carry.region in (region, *region.around) and region in kept.carry.region.around:
            continue
        if products and kept.family.kind == "vector":
            return False
        writers = [other for other in made if other.op.out.name == leaf.op.out.name]
        if len(writers) > 1 or _stacking(leaf, region, kept) is None:
            return False
    return True


@dataclass(frozen=True)
class Stacking:
    """How what the rounds of a region make lies in an array: along `axis`, at `index`; at `fixed` on other axes; `rest` are those within a round."""

    axis: int
    index: Affine
    fixed: Mapping[int, Index]
    rest: tuple[int, ...]


def _stacking(leaf: Leaf, region: Region, storage: Storage) -> Stacking | None:
    """None if the rounds' members do not lie along an axis, or would have to be merged with others in the same rows."""
    out, around = leaf.op.out, leaf.around
    inside = {r.variable for r in around[len(region.around):]}
    free = {axis: index for axis in storage.kept if isinstance(index := out.index[axis], Affine) and not index.variables & inside}
    found = None
    for axis in storage.kept:
        index = out.index[axis]
        if isinstance(index, Affine) and index.coefficient(region.variable) and index.variables & inside == {region.variable}:
            found = axis, index
            break
    if found is None:
        return None
    rest = tuple(a for a in storage.kept if a != found[0] and a not in free)
    if rest:
        scope = () if storage.scope is None else storage.scope.loops
        between = [r for r in region.around if r not in scope and not (storage.carry is not None and r is storage.carry.region)]
        own = [index for axis, index in free.items()]
        if storage.writers > 1 or any(Affine.var(r.variable) not in own for r in between):
            return None
    return Stacking(found[0], found[1], free, rest)


class Body:
    """Emits one program's instructions."""

    def __init__(self, program: Program, parts: Structure, layout: Layout, space: Space, names: Names) -> None:
        self.program, self.parts, self.layout, self.space, self.names = program, parts, layout, space, names
        self.matrices = {m.name: m for m in program.matrices}
        self.expressions = Expressions(space, names)
        self.top = Frame()
        self.next_extra: dict[Side, int] = {}

    def run(self) -> None:
        """Emits everything into `top`, which already holds inputs, initial vectors and chains."""
        self._allocate(None, self.top)
        self._nodes(self.parts.nodes, self.top)

    # storage

    def _allocate(self, scope: Region | None, frame: Frame) -> None:
        """Sets aside what is kept in this scope: arrays, the members that a carried family begins with, and the next ones of a round."""
        for s in self.parts.storage.values():
            fixed: dict[int, Index] = {axis: Affine.var(r.variable) for axis, r in s.dropped.items()}
            if s.carry is not None:
                if s.carry.region is scope:
                    nxt = Affine.var(scope.variable) + (s.carry.first + 1)
                    self._set_aside(s, {**fixed, s.carry.axis: nxt}, frame)
                elif s.scope is scope and (scope is not None or not s.dropped):
                    self._set_aside(s, {**fixed, s.carry.axis: Affine(s.carry.first)}, frame)
            elif s.scope is scope and not s.plain:
                self._set_aside(s, fixed, frame)

    def _set_aside(self, s: Storage, fixed: Mapping[int, Index], frame: Frame) -> Held:
        shape = s.family.shape
        name = self.names[s.family.name] if not fixed else self.names.fresh(local_name(s.family.name, [fixed[a] for a in sorted(fixed)]))
        held = Held(name, s.family.name, s.family.kind == "vector", fixed, s.kept, shape, frame, s.writers if s.carry is None else 1, pending=True,
                    size=f"size{self._suffix(s.family.name)}")
        frame.held.append(held)
        return held

    def _store(self, leaf: Leaf, value: Py, frame: Frame) -> None:
        op = leaf.op
        comment = print_op(op)[0]
        held = frame.target(op.out)
        s = self.parts.storage[op.out.name]
        if held is not None and not held.kept and held.frame is frame:
            frame.statements.append(Assign((held.name,), value, comment))
            held.pending = False
            return
        if held is None or op.out in s.direct:
            local = self.names.fresh(local_name(op.out.name, op.out.index))
            frame.statements.append(Assign((local,), value, comment))
            frame.held.append(self._variable(local, op.out, frame))
            value, comment = py.name(local), ""
        if held is not None:
            self._write(held, op.out, value, frame, comment)

    def _write(self, held: Held, ref: Ref, value: Py, frame: Frame, comment: str = "") -> None:
        """Puts a member where it is kept."""
        held.ready()
        if held.kept:
            index = [self.expressions.index(i, frame) for i in held.rest(ref)]
            value = Py(f"{held.name}.at[{', '.join(i.text for i in index)}].set({value.text})")
        frame.statements.append(Assign((held.name,), value, comment))
        frame.changes(held)

    def _variable(self, name: str, ref: Ref, frame: Frame) -> Held:
        """One member under a name of its own."""
        family = self.parts.storage[ref.name].family
        return Held(name, ref.name, family.kind == "vector", dict(enumerate(ref.index)), (), family.shape, frame, store=False)

    # instructions

    def _nodes(self, nodes: Sequence[Node], frame: Frame) -> None:
        for node in nodes:
            if isinstance(node, Leaf):
                self._leaf(node, frame)
            elif id(node) in self.parts.parallel:
                self._each(node, frame)
            else:
                self._rounds(node, frame)

    def _leaf(self, leaf: Leaf, frame: Frame) -> None:
        op, around = leaf.op, ranges(leaf.around)
        if isinstance(op, MatMul):
            self._matmul(leaf, op, frame)
        elif isinstance(op, Nonlin):
            self._store(leaf, self.expressions.vector(op.phi, frame, around, self._suffix(op.out.name)), frame)
        elif isinstance(op, Moment):
            self._store(leaf, self.expressions.moment(op.phi, frame, around), frame)
        else:
            self._store(leaf, self.expressions.value(op.phi, frame, around), frame)

    def _matmul(self, leaf: Leaf, op: MatMul, frame: Frame) -> None:
        matrix = self.matrices[op.matrix.name]
        near, far = frame.chain((matrix.name, op.transposed)), frame.chain((matrix.name, not op.transposed))
        assert near is not None
        index = [self.expressions.index(i, frame) for i in op.matrix.index]
        operand = self.expressions.member(op.operand, frame)
        factor = py.subscript(py.name(self.factors(matrix.name)), index) if index else py.name(self.factors(matrix.name))
        hat, dot = (Py(f"{factor.text}[{k}]") for k in ((2, 3) if op.transposed else (0, 1)))
        own = py.name(near.name) if not index else py.call("member", py.name(near.name), *index)
        other = Py("()") if far is None else py.name(far.name) if not index else py.call("member", py.name(far.name), *index)
        out = self.names.fresh(local_name(op.out.name, op.out.index))
        weights = py.name(f"weights{self._suffix(op.operand.name)}")
        grown = near.name if not index else self.names.fresh(f"{near.name}_met")
        frame.statements.append(Assign((out, grown), py.call("multiply", own, other, operand, hat, dot, weights, py.name("TOLERANCE")),
                                       print_op(op)[0]))
        if index:
            frame.statements.append(Assign((near.name,), py.call("replaced", py.name(near.name), py.name(grown), *index)))
        frame.changes(near)
        frame.held.append(self._variable(out, op.out, frame))
        held = frame.target(op.out)
        if held is not None:
            self._write(held, op.out, py.name(out), frame)

    def _suffix(self, family: str) -> str:
        return self.space.sectors.suffix([family])

    def factors(self, matrix: str) -> str:
        """The name of the four factors of a matrix: hat and dot of Wx, hat and dot of Wᵀy."""
        return self.names[f"{matrix} factors"]

    # loops, round by round

    def _rounds(self, region: Region, frame: Frame) -> None:
        variable = self.names.fresh(region.variable)
        inner = Frame(parent=frame, variables={region.variable: variable})
        carried: list[tuple[Py, str, Held]] = []
        for name, s in self.parts.storage.items():
            if s.carry is not None and s.carry.region is region:
                fixed: dict[int, Index] = {axis: Affine.var(r.variable) for axis, r in s.dropped.items()}
                start = self._start(name, fixed, s, frame)
                now = {**fixed, s.carry.axis: Affine.var(region.variable) + s.carry.first}
                local = self.names.fresh(local_name(name, [now[a] for a in sorted(now)]))
                vector = s.family.kind == "vector"
                inner.held.append(Held(local, name, vector, now, s.kept, s.family.shape, inner, store=False))
                carried.append((py.name(start.name) if vector else self._typed(start.name), local, start))
        self._allocate(region, inner)
        self._nodes(region.body, inner)
        state = list(inner.changed.values())
        ends: list[Py] = []
        for _, _, start in carried:
            s = self.parts.storage[start.family]
            assert s.carry is not None
            after = next(h for h in inner.held if h.family == start.family and h.store)
            if after.kept:
                after.ready()
            ends.append(py.name(after.name) if after.vector else self._typed(after.name))
        function = self.names.fresh(f"round_{region.variable}")
        unpack = (*(item.name for item in state), *(local for _, local, _ in carried))
        returned = py.tuple_of([*(py.name(item.name) for item in state), *ends])
        state_in = py.tuple_of([*(py.name(item.name) for item in state), *(first for first, _, _ in carried)])
        targets = [item.name for item in state]
        for _, _, start in carried:
            s = self.parts.storage[start.family]
            assert s.carry is not None
            final = {**start.fixed, s.carry.axis: region.loop.count + s.carry.first}
            name = self.names.fresh(f"{self.names[start.family]}_end")
            frame.held.append(Held(name, start.family, start.vector, final, s.kept, s.family.shape, frame, store=False))
            targets.append(name)
        body: list[Statement] = [Assign(unpack, py.name("state")) if len(unpack) != 1 else Assign((f"{unpack[0]},",), py.name("state"))]
        frame.statements.append(Def(function, (variable, "state"), (*body, *inner.prologue, *inner.statements, Return(returned))))
        count = self.expressions.affine(region.loop.count, frame)
        loop = py.call("lax.fori_loop", py.integer(0), count, py.name(function), state_in) if region.loop.count.constant is not None else \
            py.call("rounds", count, py.integer(region.greatest), py.name(function), state_in)
        frame.statements.append(Assign((f"{targets[0]},",) if len(targets) == 1 else tuple(targets), loop))
        for item in state:
            if isinstance(item, Held):
                item.ready()
            frame.changes(item)

    def _start(self, name: str, fixed: Mapping[int, Index], s: Storage, frame: Frame) -> Held:
        """Where the first member of a carried family is."""
        assert s.carry is not None
        wanted = {**fixed, s.carry.axis: Affine(s.carry.first)}
        found = [h for f in frame.outward() for h in f.held if h.family == name and h.kept == s.kept and dict(h.fixed) == wanted]
        found[0].ready() if found[0].kept else None
        return found[0]

    def _typed(self, name: str) -> Py:
        return py.call("jnp.asarray", py.name(name), py.name("dtype"))

    # loops, all rounds at once

    def _each(self, region: Region, frame: Frame) -> None:
        n = region.greatest
        variable = self.names.fresh(region.variable)
        inner = Frame(parent=frame, variables={region.variable: variable})
        mapped = self._mapped(region, frame, inner)
        self._own_chains(region, frame, inner)
        made = self._made(region, frame, inner)
        if not made:                                   # nothing that leaves the rounds
            return
        self._allocate(region, inner)
        if self._copies(region, mapped, made, frame) or self._inner_products(region, mapped, made, frame):
            return
        self._nodes(region.body, inner)
        for _, _, local in made:
            if local.kept:
                local.ready()
        outs = [local.name for _, _, local in made]
        arguments = [(variable, Py(f"jnp.arange({n})"), 0)] if variable in _text(inner) or not mapped else []
        arguments += [(local.name, source, axis) for local, source, axis, _ in mapped]
        whole = [self._is_whole(region, frame, held, lie) for held, lie, _ in made]
        targets = [held.name if w else self.names.fresh(f"{local.name}_all") for (held, _, local), w in zip(made, whole, strict=True)]
        self._vmap(region, frame, inner, arguments, outs, targets, [stacked_axis(held, lie) for held, lie, _ in made])
        for (held, lie, _), w, target in zip(made, whole, targets, strict=True):
            if w:
                held.pending = False
            else:
                self._put_together(region, frame, held, lie, target)

    def _is_whole(self, region: Region, frame: Frame, held: Held, lie: Stacking) -> bool:
        """Whether what the rounds make is all of the array, which nothing else has begun."""
        complete = lie.index == Affine.var(region.variable) and held.shape[lie.axis] == region.greatest and not set(lie.fixed) & set(held.kept)
        return complete and held.pending and held.writers == 1 and held.frame is frame

    def _vmap(self, region: Region, frame: Frame, inner: Frame, arguments: Sequence[tuple[str, Py, int]], outs: Sequence[str],
              targets: Sequence[str], axes: Sequence[int]) -> None:
        parameters = tuple(name for name, _, _ in arguments)
        comment = ""
        only = inner.statements[0] if len(inner.statements) == 1 and not inner.prologue and len(outs) == 1 else None
        if isinstance(only, Assign) and only.targets == (outs[0],):
            comment = f"{only.comment} for {region.variable} < {region.loop.count}"
            function = py.lambda_of(", ".join(parameters), only.value)
        else:
            name = self.names.fresh(f"each_{region.variable}")
            result = py.name(outs[0]) if len(outs) == 1 else py.tuple_of([py.name(o) for o in outs])
            frame.statements.append(Def(name, parameters, (*inner.prologue, *inner.statements, Return(result))))
            function = py.name(name)
        ins = [axis for _, _, axis in arguments]
        options = [f"in_axes={tuple(ins) if len(ins) > 1 else ins[0]}"] if any(ins) else []
        options += [f"out_axes={tuple(axes) if len(axes) > 1 else axes[0]}"] if any(axes) else []
        call = py.call("jax.vmap", function, *map(Py, options))
        frame.statements.append(Assign(tuple(targets), Py(f"{call.text}({', '.join(source.text for _, source, _ in arguments)})"), comment))

    def _put_together(self, region: Region, frame: Frame, held: Held, lie: Stacking, made: str) -> None:
        """Writes the members that all rounds have made into the array."""
        held.ready()
        steps = f"jnp.arange({region.greatest})"
        place = self.expressions.affine(lie.index, Frame(parent=frame, variables={region.variable: steps}))
        drop = ""
        if region.loop.count.constant is None:
            inside = py.compare("<", Py(steps), self.expressions.affine(region.loop.count, frame))
            place, drop = py.call("jnp.where", inside, place, py.integer(held.shape[lie.axis])), ', mode="drop"'
        index = [place if a == lie.axis else Py(":") if a in lie.rest else self.expressions.index(lie.fixed[a], frame) for a in held.kept]
        while index[-1].text == ":":
            index.pop()
        frame.statements.append(Assign((held.name,), Py(f"{held.name}.at[{', '.join(i.text for i in index)}].set({made}{drop})")))
        frame.changes(held)

    def _mapped(self, region: Region, frame: Frame, inner: Frame) -> list[tuple[Held, Py, int, Ref]]:
        """Arrays of which every round reads its own member: arguments of the function that is mapped."""
        found: dict[tuple[int, int, Affine], tuple[Held, Py, int, Ref]] = {}
        for ref in _reads(region):
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
                local = Held(self.names.fresh(local_name(held.family, [fixed[a] for a in sorted(fixed)])), held.family, held.vector, fixed,
                             tuple(a for a in held.kept if a != axis), held.shape, inner, store=False)
                inner.held.append(local)
                parts = [Py(":")] * position + [slice_py(shift.const, region.greatest, held.shape[axis])]
                found[id(held), axis, index] = (local, py.subscript(py.name(held.name), parts), position, ref)
                break
        return list(found.values())

    def _made(self, region: Region, frame: Frame, inner: Frame) -> list[tuple[Held, Stacking, Held]]:
        """What the rounds make of arrays that live outside: the array, how it lies there, and a round's part."""
        found: list[tuple[Held, Stacking, Held]] = []
        for leaf in leaves(region.body):
            held = frame.target(leaf.op.out)
            if held is None:
                continue
            lie = _stacking(leaf, region, self.parts.storage[leaf.op.out.name])
            assert lie is not None
            fixed: dict[int, Index] = {**held.fixed, **{a: i for a, i in lie.fixed.items() if a in held.kept}, lie.axis: lie.index}
            name = self.names.fresh(local_name(held.family, [fixed[a] for a in sorted(fixed)]))
            local = Held(name, held.family, held.vector, fixed, lie.rest, held.shape, inner, pending=True, size=held.size)
            inner.held.append(local)
            found.append((held, lie, local))
        return found

    def _copies(self, region: Region, mapped: Sequence[tuple[Held, Py, int, Ref]], made: Sequence[tuple[Held, Stacking, Held]],
                frame: Frame) -> bool:
        """`x[j] = u[j] for j`: the array itself."""
        if len(region.body) != 1 or not isinstance(region.body[0], Leaf) or len(made) != 1 or len(mapped) != 1:
            return False
        op = region.body[0].op
        held, lie, local = made[0]
        source, value, position, _ = mapped[0]
        if not isinstance(op, Nonlin) or not isinstance(op.phi, Value) or source.kept or local.kept or position:
            return False
        return self._whole_value(region, frame, held, lie, value, print_op(op)[0])

    def _inner_products(self, region: Region, mapped: Sequence[tuple[Held, Py, int, Ref]], made: Sequence[tuple[Held, Stacking, Held]],
                        frame: Frame) -> bool:
        """`c[s] = mean(x[s]*y) for s`: one product of a matrix with a vector."""
        if len(region.body) != 1 or not isinstance(region.body[0], Leaf) or len(made) != 1 or len(mapped) != 1:
            return False
        op = region.body[0].op
        held, lie, local = made[0]
        source, value, position, ref = mapped[0]
        if not isinstance(op, Moment) or not isinstance(op.phi, Mul) or len(op.phi.factors) != 2 or source.kept or local.kept or position:
            return False
        factors = op.phi.factors
        if not all(isinstance(f, Value) and f.vector for f in factors) or sum(isinstance(f, Value) and f.ref == ref for f in factors) != 1:
            return False
        other = next(f for f in factors if isinstance(f, Value) and f.ref != ref)
        assert isinstance(other, Value)
        if any(not isinstance(i, Affine) or region.variable in i.variables for i in other.ref.index):
            return False
        extent = source.shape[next(iter(set(source.fixed) - set(frame.find(ref).fixed)))]
        spare = value.text.endswith(f"[:{region.greatest}]") and extent <= region.greatest + SPARE
        rows = py.name(value.text.removesuffix(f"[:{region.greatest}]")) if spare else value
        product = py.call(f"inner{self._suffix(other.ref.name)}", rows, self.expressions.member(other.ref, frame))
        if spare:
            product = Py(f"{product.text}[:{region.greatest}]")
        return self._whole_value(region, frame, held, lie, product, print_op(op)[0])

    def _whole_value(self, region: Region, frame: Frame, held: Held, lie: Stacking, value: Py, text: str) -> bool:
        if not self._is_whole(region, frame, held, lie):
            return False
        frame.statements.append(Assign((held.name,), value, f"{text} for {region.variable} < {region.loop.count}"))
        held.pending = False
        return True

    def _own_chains(self, region: Region, frame: Frame, inner: Frame) -> None:
        """Bases that a round adds to those of the whole run, for products whose vectors do not leave it.

        Rounds of a loop inside such a round go on from its bases, each by itself.
        """
        sides = dict.fromkeys((leaf.op.matrix.name, leaf.op.transposed) for leaf in leaves(region.body) if isinstance(leaf.op, MatMul))
        for side in sides:
            base = frame.chain(side)
            name = self.names.fresh(f"{chain_name(side)}_more")
            if base is not None and any(id(r) in self.parts.parallel for r in region.around):
                inner.chains[side] = Chain(name, inner)
                inner.statements.append(Assign((name,), py.name(base.name)))
                continue
            own = py.name(self.names[f"{chain_name(side)} extra"])
            value = py.tuple_of([own]) if base is None else Py(f"(*{base.name}, {own.text})")
            inner.chains[side] = Chain(name, inner)
            inner.statements.append(Assign((name,), value))


def stacked_axis(held: Held, lie: Stacking) -> int:
    """Where the rounds come in the value that is written: NumPy puts indexed axes first unless they are neighbours."""
    indexed = [k for k, a in enumerate(held.kept) if a not in lie.rest]
    return indexed[0] if indexed[-1] - indexed[0] == len(indexed) - 1 else 0


def local_name(family: str, index: Sequence[Index]) -> str:
    """A readable name for one member: `x[t+1]` is `x_t1`."""
    return "_".join([family, *("at" if isinstance(i, Gather) else str(i).replace("+", "").replace("-", "m").replace("*", "") for i in index)])


def chain_name(side: Side) -> str:
    return f"{side[0]}T" if side[1] else side[0]


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
