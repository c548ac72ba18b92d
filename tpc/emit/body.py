"""The body of the emitted function.

Instructions as lines, loops as `fori_loop`s (for independent rounds see `parallel` and `blocks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpc.core.affine import Affine
from tpc.core.expr import Index, Ref, Value
from tpc.core.factored import slots_of
from tpc.core.program import Instruction, MatMul, Moment, Nonlin, OuterMul, OuterNonlin, Program
from tpc.core.storage import Leaf, Node, Region, Storage, ranges
from tpc.emit import python as py
from tpc.emit.comments import Comments
from tpc.emit.excluded import doubtful_families, finite_branches
from tpc.emit.formulas import Expressions
from tpc.emit.identifiers import Identifiers, fixed_name, local_name
from tpc.emit.in_factors import grow, kept_grams
from tpc.emit.named_conditions import with_named_conditions
from tpc.emit.parallel import Parallel
from tpc.emit.python import Assign, Def, Py, Return
from tpc.emit.scopes import BasisChain, Frame, MemberArray
from tpc.emit.stacked import Blocks, put
from tpc.plan.gaussians import Layout
from tpc.plan.space import Space
from tpc.plan.structure import Structure


@dataclass(frozen=True, slots=True)
class Scale:
    """The numbers of a matrix, no name for those that are 1."""

    sigma: Py  # σ, the standard deviation of √columns W
    root: Py  # √(rows/columns)
    varies: bool  # whether σ is an array, for a family


class Body:
    """Emits one program's instructions."""

    def __init__(
        self, program: Program, parts: Structure, layout: Layout, space: Space, names: Identifiers
    ) -> None:
        self.program, self.parts, self.layout, self.space, self.names = program, parts, layout, space, names
        self.matrices = {m.name: m for m in program.matrices}
        # families that inputs and Gaussians are, whose arrays are never written to
        self.given = {item.name for item in program.inputs} | {n for g in program.gaussians for n in g.names}
        self.scales: dict[str, Scale] = {}  # of matrices
        # how families are kept, by the scopes in which anything is set aside for them
        self.kept_in: dict[Region | None, list[Storage]] = {}
        for s in parts.storage.values():
            for scope in dict.fromkeys((s.scope, *([] if s.carry is None else [s.carry.region]))):
                self.kept_in.setdefault(scope, []).append(s)
        self.expressions = Expressions(
            space, names, program.inputs, program.tables, slots_of(program, program.factored)
        )
        self.comments = Comments(program)
        self.top = Frame()
        self.parallel, self.blocks = Parallel(self), Blocks(self)
        self.doubtful = doubtful_families(program.body)
        # of a vector's values, where the rounds of a loop may be too many to be run at once
        self.vector_bytes = 0
        # bytes that all rounds of a loop may take at once, if they add to bases of matrices
        self.at_once = 0.0
        self.short = False  # whether numbers have fewer than 53 bits, so that sums take care
        self.exact = False  # whether inner products have no errors but rounding
        self.in_parts: Region | None = None  # the loop that a parameter of the function runs

    def run(self) -> None:
        """Emits everything into `top`, which already holds inputs, initial vectors and chains."""
        for key, slots in kept_grams(self.program, self.parts).items():
            name, k = self.names.fresh(f"gram_{slots.families[0].name}"), slots.count
            self.top.statements.append(Assign((name,), Py(f"jnp.zeros(({k}, {k}), dtype)")))
            self.top.chains[key] = BasisChain(name, self.top)
        self.allocate(None, self.top)
        self.nodes(self.parts.nodes, self.top)

    # storage

    def allocate(self, scope: Region | None, frame: Frame) -> None:
        """Sets aside what is kept in this scope.

        Arrays, the members that a carried family begins with, and the next ones of a round.
        """
        for s in self.kept_in.get(scope, ()):
            fixed: dict[int, Index] = {axis: Affine.var(r.variable) for axis, r in s.dropped.items()}
            if s.carry is not None:
                if s.carry.region is scope:
                    nxt = Affine.var(scope.variable) + (s.carry.first + 1)
                    self._set_aside(s, {**fixed, s.carry.axis: nxt}, frame)
                elif s.scope is scope and (scope is not None or not s.dropped):
                    self._set_aside(s, {**fixed, s.carry.axis: Affine(s.carry.first)}, frame)
            elif s.scope is scope and not s.plain:
                self._set_aside(s, fixed, frame)

    def _set_aside(self, s: Storage, fixed: Mapping[int, Index], frame: Frame) -> MemberArray:
        family = s.family
        held = MemberArray(
            self.names.fresh(fixed_name(family.name, fixed)) if fixed else self.names[family.name],
            family.name,
            family.kind != "scalar",
            fixed,
            s.kept,
            family.shape,
            frame,
            s.writers if s.carry is None else 1,
            pending=True,
            sizes=self.expressions.sizes(family.name),
            blocks=family.name in self.parts.histories,
        )
        frame.hold(held)
        return held

    def _store(self, leaf: Leaf, value: Py, frame: Frame) -> None:
        op = leaf.op
        held = frame.target(op.out)
        s = self.parts.storage[op.out.name]
        slot = held is not None and not held.kept and held.frame is frame
        same = self._same(op, frame)
        if same is not None and (slot or held is None):
            if held is not None:
                held.name, held.pending = same, False
            else:
                frame.hold(self._variable(same, op.out, frame))
            return
        comment = self.comments.of(op)
        if held is not None and slot:
            frame.statements.append(Assign((held.name,), value, comment))
            held.pending = False
            return
        if held is None or op.out in s.direct:
            local = self.names.fresh(local_name(op.out.name, op.out.index))
            frame.statements.append(Assign((local,), value, comment))
            frame.hold(self._variable(local, op.out, frame))
            value, comment = py.name(local), ""
        if held is not None:
            self._write(held, op.out, value, frame, comment)

    def _same(self, op: Instruction, frame: Frame) -> str | None:
        """The name of a vector that another one is, `x[0] = y`, if nothing else is ever called that."""
        if not isinstance(op, Nonlin) or not isinstance(op.phi, Value):
            return None
        source = frame.find(op.phi.ref)
        own = not source.kept and not source.store and not source.packed and not source.blocks
        return source.name if own else None

    def _write(self, held: MemberArray, ref: Ref, value: Py, frame: Frame, comment: str = "") -> None:
        """Puts a member where it is kept."""
        held.ready()
        if held.kept:
            value = put(held, [self.expressions.index(i, frame) for i in held.rest(ref)], value.text)
        frame.statements.append(Assign((held.name,), value, comment))
        frame.changes(held)

    def _variable(self, name: str, ref: Ref, frame: Frame) -> MemberArray:
        """One member under a name of its own."""
        family = self.parts.storage[ref.name].family
        return MemberArray(
            name,
            ref.name,
            family.kind != "scalar",
            dict(enumerate(ref.index)),
            (),
            family.shape,
            frame,
            store=False,
        )

    # instructions

    def nodes(self, nodes: Sequence[Node], frame: Frame) -> None:
        for node in nodes:
            if isinstance(node, Leaf):
                self._leaf(node, frame)
            elif node in self.parts.parallel:
                self.parallel.each(node, frame)
            elif node in self.parts.blocks:
                self.blocks.multiply(self.parts.blocks[node], frame)
            else:
                self._rounds(node, frame)

    def _leaf(self, leaf: Leaf, frame: Frame) -> None:
        op, around = leaf.op, ranges(leaf.around)
        if isinstance(op, MatMul):
            self._matmul(leaf, op, frame)
            return
        if isinstance(op, OuterMul):
            self._store(leaf, self.expressions.table_product(op, frame), frame)
            return
        phi = finite_branches(op.phi, self.doubtful)
        if op.out.name not in self.expressions.factored:
            name = local_name(op.out.name, op.out.index)
            phi = with_named_conditions(self.expressions, name, phi, frame, around)
        if isinstance(op, OuterNonlin) and op.out.name in self.expressions.factored:
            grow(self.expressions, op, frame)
        value = (
            self.expressions.moment(phi, frame, around)
            if isinstance(op, Moment)
            else self.expressions.entrywise(op, phi, frame, around)
        )
        self._store(leaf, value, frame)

    def _matmul(self, leaf: Leaf, op: MatMul, frame: Frame) -> None:
        out = self.names.fresh(local_name(op.out.name, op.out.index))
        self.product("product", op, self.expressions.member(op.operand, frame), out, (), frame)
        frame.hold(self._variable(out, op.out, frame))
        held = frame.target(op.out)
        if held is not None:
            self._write(held, op.out, py.name(out), frame)

    def suffix(self, family: str) -> str:
        """What names of the sector have in which a family of vectors lives."""
        return self.space.sectors.suffix([family])

    def _product_suffix(self, op: MatMul) -> str:
        return self.space.sectors.product_suffix((op.matrix.name, op.transposed), exact=self.exact)

    def product(
        self, helper: str, op: MatMul, operand: Py, out: str, nest: Sequence[Region], frame: Frame
    ) -> None:
        """A call of `helper` for the product of a matrix with `operand`, its result named `out`.

        It does all that the product does to the matrix's bases. nest: the loops that it does at once.
        """
        matrix = self.matrices[op.matrix.name]
        near, far = frame.chain((matrix.name, op.transposed)), frame.chain((matrix.name, not op.transposed))
        assert near is not None
        index = [self.expressions.index(i, frame) for i in op.matrix.index]
        own, other = (self._bases(chain, index) for chain in (near, far))
        grown = near.name if not index else self.names.fresh(f"{near.name}_met")
        value = py.call(f"{helper}{self._product_suffix(op)}", own, other, operand, *self._factors(op, index))
        comment = self.comments.of(op, nest, dot=far is not None)
        frame.statements.append(Assign((out, grown), value, comment))
        if index:
            frame.statements.append(Assign((near.name,), py.call("family", py.name(grown))))
        frame.changes(near)

    def _bases(self, chain: BasisChain | None, index: Sequence[Py]) -> Py:
        """The bases of one side of a matrix, or of one of a family."""
        if chain is None:
            return Py("()")
        return py.call("member", py.name(chain.name), *index) if index else py.name(chain.name)

    def _factors(self, op: MatMul, index: Sequence[Py]) -> list[Py]:
        """The scale and the ratio of a product, if they are not 1."""
        own = self.scales[op.matrix.name]
        sigma = [py.subscript(own.sigma, index) if own.varies else own.sigma] if own.sigma.text else []
        if not own.root.text:
            return sigma
        if op.transposed:
            return [py.product([*sigma, own.root]), own.root]
        return [*(sigma or [py.integer(1)]), py.product([py.integer(1)], [own.root])]

    # loops, round by round

    def _rounds(self, region: Region, frame: Frame) -> None:
        variable = self.names.fresh(region.variable)
        inner = Frame(parent=frame, variables={region.variable: variable})
        carried = self._carried(region, frame, inner)
        self.allocate(region, inner)
        self.nodes(region.body, inner)
        state = list(inner.changed)
        ends = [self._end(start, inner) for _, _, start in carried]
        function = self.names.fresh(f"round_{region.variable}")
        turn = [] if inner.turn is None else [inner.turn]
        own = [item.name for item in state]
        unpack = (*turn, *own, *(local for _, local, _ in carried))
        returned = [*(Py(f"{name} + 1") for name in turn), *map(py.name, own), *ends]
        opening = Assign(unpack if len(unpack) != 1 else (f"{unpack[0]},",), py.name("state"))
        frame.statements.append(
            Def(
                function,
                (variable, "state"),
                (opening, *inner.prologue, *inner.statements, Return(py.tuple_of(returned))),
            )
        )
        around = frame.turns()
        first_turn = Py("jnp.uint32(0)") if around is None else py.call("scrambled", around)
        begin = [*([first_turn] * len(turn)), *map(py.name, own), *(first for first, _, _ in carried)]
        targets = [*(self.names.fresh(f"{name}_end") for name in turn), *own]
        targets += [self._left(region, start, frame) for _, _, start in carried]
        loop = self._loop(region, function, py.tuple_of(begin), frame)
        frame.statements.append(Assign((f"{targets[0]},",) if len(targets) == 1 else tuple(targets), loop))
        for item in state:
            if isinstance(item, MemberArray):
                item.ready()
            frame.changes(item)

    def _carried(self, region: Region, frame: Frame, inner: Frame) -> list[tuple[Py, str, MemberArray]]:
        """The families that the loop carries.

        What the first round gets, what a round calls it, and where the first member is.
        """
        carried: list[tuple[Py, str, MemberArray]] = []
        for s in self.kept_in.get(region, ()):
            if s.carry is None or s.carry.region is not region:
                continue
            name = s.family.name
            fixed: dict[int, Index] = {axis: Affine.var(r.variable) for axis, r in s.dropped.items()}
            start = self._start(name, fixed, s, frame)
            now = {**fixed, s.carry.axis: Affine.var(region.variable) + s.carry.first}
            local = self.names.fresh(fixed_name(name, now))
            vector = s.family.kind != "scalar"
            packed = name in self.expressions.packed
            inner.hold(
                MemberArray(
                    local, name, vector, now, s.kept, s.family.shape, inner, store=False, packed=packed
                )
            )
            first = py.name(start.name)
            if packed and not start.packed:
                first = py.call("packed", first)
            carried.append((first if vector else self._typed(start.name), local, start))
            if packed and inner.turn is None:
                inner.turn = self.names.fresh("turn")
        return carried

    def _left(self, region: Region, start: MemberArray, frame: Frame) -> str:
        """The name of what a loop leaves of a carried family."""
        s = self.parts.storage[start.family]
        assert s.carry is not None
        final = {**start.fixed, s.carry.axis: region.loop.count + s.carry.first}
        name = self.names.fresh(f"{self.names[start.family]}_end")
        packed = start.family in self.expressions.packed
        shape = s.family.shape
        frame.hold(
            MemberArray(
                name, start.family, start.vector, final, s.kept, shape, frame, store=False, packed=packed
            )
        )
        return name

    def _loop(self, region: Region, function: str, begin: Py, frame: Frame) -> Py:
        count = self.expressions.affine(region.loop.count, frame)
        if region.loop.count.constant is None:
            return py.call("rounds", count, py.integer(region.greatest), py.name(function), begin)
        by = "loop" if region is self.in_parts else "lax.fori_loop"
        return py.call(by, py.integer(0), count, py.name(function), begin)

    def _end(self, start: MemberArray, inner: Frame) -> Py:
        """What a round leaves of a carried family."""
        after = next(h for h in inner.held[start.family] if h.store)
        if after.kept:
            after.ready()
        if not after.vector:
            return self._typed(after.name)
        turn = inner.turns()
        if turn is None or after.packed or after.family not in self.expressions.packed:
            return py.name(after.name)
        place = py.integer(self.expressions.packed.index(after.family))
        return py.call("packed", py.name(after.name), turn, place)

    def _start(self, name: str, fixed: Mapping[int, Index], s: Storage, frame: Frame) -> MemberArray:
        """Where the first member of a carried family is."""
        assert s.carry is not None
        wanted = {**fixed, s.carry.axis: Affine(s.carry.first)}
        found = [
            h
            for f in frame.outward()
            for h in f.held.get(name, ())
            if h.kept == s.kept and dict(h.fixed) == wanted
        ]
        found[0].ready() if found[0].kept else None
        return found[0]

    def _typed(self, name: str) -> Py:
        return py.call("jnp.asarray", py.name(name), py.name("dtype"))
