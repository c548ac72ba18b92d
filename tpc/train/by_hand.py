"""Updates by hand: `W += c*outer(a, b)` in a user's loop, for rules that `train` does not know.

`outer(a, b)` is the matrix that takes x to `a E b x` (`a bᵀ/n`), with a finite side to `a (b·x)`. Such
updates are kept as histories, so any number of them may change one weight, and every use sees what has been
added before it. One that is nonlinear in `outer`, or made of tables, is kept as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, TypeGuard

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import parts, walk
from tpc.train.build import Maker
from tpc.train.checks import described, operand_in_words
from tpc.train.descent import Descent, Sgd
from tpc.train.forward import Forward
from tpc.train.network_calls import Calls
from tpc.train.records import ArrayExpr, Index, Record, Upto
from tpc.train.scene import Scene
from tpc.train.trainings import Trainings
from tpc.train.weights import Side, Weight


@dataclass
class ByHand:
    """The loop being gone through, and the descents of the updates in it, in order."""

    scene: Scene
    trainings: Trainings
    calls: Calls
    open: list[tuple[tree.AddTo, Descent]] = field(default_factory=list)
    lines: dict[Span, list[tree.Define]] = field(default_factory=dict)

    def enter(self, block: tree.ForBlock, blocks: tuple[Range, ...]) -> list[tree.Define]:
        """A loop begins: its updates, as of its first round. Gives the lines before it."""
        if blocks:
            return []
        m, before = Maker(block.range.span), list[tree.Define]()
        for statement in block.body:
            if isinstance(statement, tree.AddTo):
                minus = Sgd(self.scene.learned(m.number(-1), m), m.number(0), m.number(0), None, by_hand=True)
                descent = Descent(block.range, (), (), minus)
                weight = self.weight(statement)
                descent.multipliers[weight.name] = m.number(1)
                if self.makes_table(weight, statement):
                    before.append(self.table(statement, weight, descent))
                else:
                    descent.records[weight.name] = ()
                self.open.append((statement, descent))
        now = m.name(block.range.variable.name)
        self.trainings.state = (*self.trainings.state, *(Upto(descent, (), now) for _, descent in self.open))
        for statement, descent in self.open:  # uses before the line need its terms of earlier rounds
            name = self.weight(statement).name
            if name in descent.records:
                descent.records[name] += tuple(self.terms(statement))
        return before

    def leave(self, block: tree.ForBlock, blocks: tuple[Range, ...]) -> None:
        if blocks:
            return
        self.advance({descent for _, descent in self.open}, block.range.count)
        self.open = []

    def advance(self, descents: set[Descent], time: Tree) -> None:
        self.trainings.state = tuple(
            replace(u, time=time) if u.descent in descents else u for u in self.trainings.state
        )

    def add_to(self, node: tree.AddTo, out: list[tree.Statement], blocks: tuple[Range, ...]) -> None:
        found = next((descent for statement, descent in self.open if statement is node), None)
        if found is None or len(blocks) != 1:
            self.refuse(catalogue.trainings.update_place(node.span))
        m = Maker(node.span)
        for line in self.lines.pop(node.span, []):
            out.append(self.calls.rewritten(line, out, blocks))
        self.advance({found}, m.add(m.name(blocks[0].variable.name), m.number(1)))

    # tables

    def makes_table(self, weight: Weight, node: tree.AddTo) -> bool:
        """Whether an update is a table which is no sum of `outer` with factors in front."""
        if not weight.matrix or "outer" in (*self.scene.functions, *self.scene.outer):
            return False
        for term in summands(node.value):
            entries = self.entries(term)
            outers = [factor for factor in factors_of(term) if is_call_of_outer(factor)]
            if entries and entries != outers[:1]:
                return True
        return False

    def entries(self, node: tree.Node) -> list[tree.Node]:
        """The tables in an expression, and calls of `outer`, but for those that means are of."""
        if is_call_of_outer(node) or (isinstance(node, tree.Name) and node.name in self.scene.tables):
            return [node]
        if isinstance(node, tree.Mean):
            return []
        return [entry for part in parts(node) for entry in self.entries(part)]

    def table(self, node: tree.AddTo, weight: Weight, descent: Descent) -> tree.Define:
        """Names the table `−n ΔW` of a weight between two widths, with a line in the loop, and one before."""
        m, name = Maker(node.span), self.scene.names.fresh(f"{weight.name}_moved")
        descent.tables[weight.name] = name
        sides = (m.name(weight.rows.width or ""), m.name(weight.columns.width or ""))
        now = m.name(descent.time.variable.name)
        value = m.sum(node.clauses, m.div(node.value, weight.scaling.table(m, transposed=False)))
        old, then = m.member(name, (now,)), m.member(name, (m.add(now, m.number(1)),))
        words = f"update of {weight.name}"
        self.lines[node.span] = [tree.Define(node.span, then, m.sub(old, value), (), words, sides)]
        words = f"{weight.name} before the loop"
        return tree.Define(node.span, m.member(name, (m.number(0),)), m.number(0), (), words, sides)

    # terms

    def weight(self, node: tree.AddTo) -> Weight:
        named = node.target.base if isinstance(node.target, tree.Indexed) else node.target
        family = self.scene.weights.get(named.name) if isinstance(named, tree.Name) else None
        if family is not None and family.family:
            self.refuse(catalogue.trainings.update_family(node.target.span, family.name))
        weight = family if isinstance(node.target, tree.Name) else None
        if weight is None:
            self.refuse(catalogue.trainings.update_target(node.target.span, [*self.scene.weights]))
        return weight

    def terms(self, node: tree.AddTo) -> list[Record]:
        """The rank-one terms of an update.

        Parts that are expressions get names, made by lines at the update's place.
        """
        weight = self.weight(node)
        prefix = [
            next(d for s, d in self.open if s is node).time.variable.name,
            *(c.variable.name for c in node.clauses),
        ]
        return [self.term(node, weight, part, prefix) for part in summands(node.value)]

    def term(self, node: tree.AddTo, weight: Weight, part: Tree, prefix: Sequence[str]) -> Record:
        m = Maker(part.span)
        factors = factors_of(part)
        outers = [f for f in factors if is_call_of_outer(f)]
        two_sides = all(side.width or side.count is not None for side in (weight.rows, weight.columns))
        if len(outers) > 1 or (not outers and (two_sides or self.entries(part))):
            self.refuse(catalogue.trainings.update_term(part.span))
        forward = Forward(self.scene, prefix, lambda w, i, scope: m.member(w.initial, i))
        forward.span = part.span
        if outers:
            if len(outers[0].args) != 2:
                self.refuse(catalogue.names.arguments(outers[0].span, "outer", 2, 2, len(outers[0].args)))
            for x, side in zip(outers[0].args, (weight.rows, weight.columns), strict=True):
                self.check_side(weight, side, x)
            a, b = (
                self.named(node, forward, x, f"{weight.name}_{side}", prefix)
                for x, side in zip(outers[0].args, "ab", strict=True)
            )
            rest = [f for f in factors if f is not outers[0]]
            coefficient = m.mul(*rest)
        else:
            one = ArrayExpr(None, (), lambda _: m.number(1))
            whole = self.named(node, forward, part, f"{weight.name}_a", prefix)
            a, b = (whole, one) if weight.rows.width or not weight.columns.width else (one, whole)
            coefficient = m.number(1)
        if not all(
            isinstance(part, tree.Literal | tree.Name | tree.Chain | tree.Negated | tree.Power)
            for part in walk(coefficient)
        ):
            coefficient = self.named(node, forward, coefficient, f"{weight.name}_c", prefix).at(())
        coefficient = m.div(coefficient, weight.scaling.update(m))
        return Record(node.clauses, a.at, b.at, coefficient, part.span)

    def check_side(self, weight: Weight, side: Side, x: Tree) -> None:
        """Whether a factor of `outer` is what a side of the weight takes, as far as it is known."""
        known = self.scene.outer.get(_base(x)) if isinstance(x, tree.Name | tree.Indexed) else None
        shape = () if known is None else known.axes[len(x.index) if isinstance(x, tree.Indexed) else 0 :]
        if side.count is not None and (
            known is None
            or known.width is not None
            or len(shape) != 1
            or not self.scene.same(shape[0], side.count)
        ):
            self.refuse(
                catalogue.trainings.update_side(
                    x.span, weight.name, f"{self.scene.integer(side.count)} entries"
                )
            )
        if side.width and known is not None and (known.given or known.width) and known.width != side.width:
            given = described(known.width, self.scene.shown(shape))
            self.refuse(
                catalogue.networks.weight_side(
                    x.span, weight.name, operand_in_words(self.scene, side), given, weight.node.span
                )
            )

    def named(
        self, node: tree.AddTo, forward: Forward, x: Tree, wish: str, prefix: Sequence[str]
    ) -> ArrayExpr:
        """`x` by a name, if it is more than a member; arrays stay as they are."""
        value = (
            forward.expr(x, {})
            if isinstance(x, tree.Name | tree.Indexed) and _base(x) in self.scene.outer
            else None
        )
        if value is not None:
            return value
        m, name = Maker(x.span), self.scene.names.fresh(wish)
        target = m.member(name, tuple(map(m.name, prefix)))
        self.lines.setdefault(node.span, []).append(m.define(target, x, node.clauses, "part of an update"))

        def entry(index: Index) -> Tree:
            return m.member(name, (*map(m.name, prefix), *index))

        return ArrayExpr(None, (), entry)

    def refuse(self, diagnostic: Diagnostic) -> NoReturn:
        raise RefusedError(diagnostic)


def is_call_of_outer(x: tree.Node) -> TypeGuard[tree.Applied]:
    return isinstance(x, tree.Applied) and isinstance(x.function, tree.Name) and x.function.name == "outer"


def summands(x: Tree) -> list[Tree]:
    m = Maker(x.span)
    match x:
        case tree.Chain(operands=operands, operators=operators) if operators[0] in "+-":
            signed = [
                operands[0],
                *(o if op == "+" else m.neg(o) for op, o in zip(operators, operands[1:], strict=True)),
            ]
            return [part for term in signed for part in summands(term)]
        case tree.Negated(operand=operand):
            return [m.neg(part) for part in summands(operand)]
    return [x]


def factors_of(x: Tree) -> list[Tree]:
    m = Maker(x.span)
    match x:
        case tree.Chain(operands=operands, operators=operators) if operators[0] in "*/":
            divisors = [
                m.div(m.number(1), o) for op, o in zip(operators, operands[1:], strict=True) if op == "/"
            ]
            factors = [operands[0], *(o for op, o in zip(operators, operands[1:], strict=True) if op == "*")]
            return (
                [*(f for part in factors for f in factors_of(part)), *divisors]
                if operands[0] != m.number(1) or factors[1:]
                else [x]
            )
        case tree.Negated(operand=operand):
            return [m.number(-1), *factors_of(operand)]
    return [x]


def _base(x: tree.Name | tree.Indexed) -> str:
    base = x.base if isinstance(x, tree.Indexed) else x
    return base.name if isinstance(base, tree.Name) else ""
