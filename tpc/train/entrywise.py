"""Entrywise optimizers written out: states, and the update, of every entry of a weight.

With `g = n^d ∂L/∂w` of order 1 a step is `w ← (1 − η decay) w − η n^{−c} Q(g)` (Yang and Littwin, arXiv
2308.01814, Def 2.2.1 and Sec 2.10.1). A weight between two widths is kept as `k_t W_0 − A_t`, A a table;
others as vectors or scalars, as with SGD.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import walk
from tpc.train.build import Maker, is_number, placed, replaced, substituted
from tpc.train.descent import Descent, Updates, scheduled
from tpc.train.matrix_aware import (
    MATRIX_AWARE,
    Orthogonalised,
    family_of,
    jump_of,
    met_square,
    spectral_step,
)
from tpc.train.optimizer_rules import OPTIMIZERS, OVER, OptimizerRule, range_of, reads, rule_of, states_of
from tpc.train.option_ranges import ParameterRange, check_range
from tpc.train.own_rules import check_rule
from tpc.train.records import Index, Record
from tpc.train.scene import Scene
from tpc.train.shampoo import (
    SOAP,
    Preconditioner,
    check_preconditioner,
    preconditioned_step,
    smallest_divisor,
)
from tpc.train.simplified import quotient_in, simplified
from tpc.train.training_options import ELSEWHERE, check_options, option_value, options_of
from tpc.train.weights import Weight

NO_SQUARE = Fraction(1, 10**100)  # of which the square is below all numbers that a program may have
BOUND_OF_A_NORM = ParameterRange("above 0: it bounds a norm", None)
MARK = "·"  # in front of a rule's own names while options are put in


@dataclass(frozen=True, slots=True)
class Entrywise:
    """An entrywise optimizer with its options: numbers, or scalars of the step."""

    rule: OptimizerRule
    parameters: dict[str, Tree]
    rate: Tree
    decay: Tree
    clip: Tree | None
    limit: Tree | None
    # what is made of the rule's result as a matrix
    spectral: Orthogonalised | Preconditioner | None = None


def entrywise_of(scene: Scene, update: tree.Update, time: Range) -> Entrywise:
    """The optimizer of an `update` line other than `sgd`. Raises RefusedError."""
    m, name = Maker(update.span), update.name.name
    if name == SOAP and name not in scene.optimizers:
        raise RefusedError(catalogue.optimizers.no_soap(update.name.span))
    if name not in (*scene.optimizers, *OPTIMIZERS, *MATRIX_AWARE):
        known = ("sgd", *OPTIMIZERS, *MATRIX_AWARE, *scene.optimizers)
        raise RefusedError(catalogue.options.unknown_word(update.name.span, name, "an optimizer", known))
    options = options_of(update.options)
    own = MATRIX_AWARE.get(name)
    rule = own.rule(scene, options, m) if own else rule_of(name, options, scene.optimizers)
    if name in scene.optimizers:
        check_rule(scene, rule, update)
    decays = [options[k] for k in ("decay", *ELSEWHERE["decay"]) if k in options]
    if decays and "decay" not in rule.options and name in OPTIMIZERS:
        raise RefusedError(catalogue.optimizers.coupled_decay(decays[0].span, name))
    check_options(update.options, own.options if own else rule.options, name)
    root = options.get("root") if name in OPTIMIZERS else None
    if root is not None and scene.integer(option_value(root, "0 or 1")) not in (0, 1):
        raise RefusedError(catalogue.options.option_value(root.span, "root", "0 or 1"))
    needed = ("lr", *(p for p, default in rule.parameters.items() if default is None))
    for option in needed:
        if option not in options:
            raise RefusedError(catalogue.options.option_missing(update.span, name, option))

    def value(option: str, otherwise: Tree) -> Tree:
        return scheduled(scene, options[option], time) if option in options else otherwise

    defaults = {p: default or m.number(0) for p, default in rule.parameters.items()}
    if name not in scene.optimizers:
        defaults = {p: placed(default, m.span) for p, default in defaults.items()}
    parameters = {p: value(p, default) for p, default in defaults.items()}
    for parameter, x in {**parameters, "decay": value("decay", m.number(0))}.items():
        known_range = range_of(name, parameter, scene.optimizers)
        if known_range is not None:
            check_range(scene, parameter, x, time, known_range)
    bounds: list[Tree | None] = []
    for option in ("clip", "limit"):
        given = options.get(option)
        none = given is None or (isinstance(given.value, tree.Name) and given.value.name == "none")
        if given is not None and not none:
            bounding = scheduled(scene, given, time)
            check_range(scene, option, bounding, time, BOUND_OF_A_NORM)
        bounds.append(None if none else value(option, m.number(0)))
    rate, decay = value("lr", m.number(0)), value("decay", m.number(0))
    at_round = partial(scheduled, scene, time=time)
    spectral = own.step(scene, options, parameters, m, at_round) if own else None
    if isinstance(spectral, Preconditioner):
        check_preconditioner(scene, parameters, time)
    return Entrywise(rule, parameters, rate, decay, bounds[0], bounds[1], spectral)


@dataclass
class EntrywiseUpdates:
    """Writes the lines of the weights that entrywise optimizers update."""

    updates: Updates
    # A of the output weights: they are n^{−A} at the start, and so are all other gradients in h
    readout: Fraction | None
    # the mean squares of what steps jump at, by family, with their weights
    watched: dict[str, str] = field(default_factory=dict)
    # the same of what they are divided by
    divisors: dict[str, str] = field(default_factory=dict)

    @property
    def m(self) -> Maker:
        return self.updates.m

    @property
    def descent(self) -> Descent:
        return self.updates.descent

    def write(
        self, weight: Weight, optimizer: Entrywise, records: Sequence[Record], start: Callable[[Index], Tree]
    ) -> None:
        """start: what a member is before the descent, if it is kept as vectors or scalars."""
        m, d, names = self.m, self.descent, self.updates.scene.names
        axes = weight.family if weight.matrix else weight.axes
        variables = names.variables(len(axes), self.updates.descent_scope(records))
        index = tuple(map(m.name, variables))
        clauses = [*d.tasks, *(m.range(v, count) for v, count in zip(variables, axes, strict=True))]
        lines = Lines(self.updates, weight, index, clauses, start(index))
        gradient = lines.define("g", self.gradient(weight, records, index), "gradient of {}")
        step = self.step(lines, optimizer, gradient, records)
        if optimizer.limit is not None:
            step = self.limited(lines, step, optimizer.limit)
        rate = m.mul(optimizer.rate, weight.of(d.multipliers[weight.name], index))
        left = m.sub(m.number(1), m.mul(rate, optimizer.decay))
        moved = m.mul(rate, weight.of(weight.scale, index), weight.scaling.entry_power(m, self.readout), step)
        if weight.matrix:
            if weight.name in d.shrinks:
                lines.scalar(d.shrinks[weight.name], d.in_history(weight, index), left)
            lines.carried(d.tables[weight.name], m.number(0), lambda old: m.add(m.mul(left, old), moved))
        else:
            lines.carried(d.carried[weight.name], start(index), lambda old: m.sub(m.mul(left, old), moved))

    def gradient(self, weight: Weight, records: Sequence[Record], index: Index) -> Tree:
        """`n^d ∂L/∂w`, a number of order 1 for each entry."""
        m, d = self.m, self.descent
        own = self.updates.outer_gradient if weight.matrix else self.updates.gradient
        front = m.mul(
            weight.of(weight.scale, index),
            weight.scaling.gradient_power(m, self.readout),
            weight.scaling.of_rows(m),
        )
        clip = d.clip_of(weight, self.updates.index(self.updates.now), m)
        return m.mul(front, clip, own(weight, records, index))

    def step(self, lines: Lines, optimizer: Entrywise, gradient: Tree, records: Sequence[Record]) -> Tree:
        """Q, with a line for every state, and for what else the rule names."""
        rule = optimizer.rule
        own_rule = rule.name in self.updates.scene.optimizers
        own: dict[str, Tree] = {name: self.m.name(MARK + name) for name in ("g", *dict(rule.lines))}

        def options_in(value: Tree) -> Tree:
            """With the values of options, which may have names like the rule's own."""
            marked = substituted(value if own_rule else placed(value, self.m.span), own)
            return simplified(substituted(marked, {**optimizer.parameters, "t": self.updates.now}))

        values = [(MARK + name, options_in(value)) for name, value in rule.lines]
        states = states_of(values)
        known: dict[str, Tree] = {f"{MARK}g": gradient} | {s: lines.state(s) for s in states}
        for name, value in values:
            new = self.line_of(lines, value, known, own_rule)
            if name in states:
                known[name] = lines.advance(name, new)
            else:
                plain = isinstance(new, tree.Name | tree.Indexed)
                shown = name.removeprefix(MARK)
                known[name] = new if plain else lines.define(shown, new, f"{shown} of {{}}")
        result = self.line_of(lines, options_in(rule.result), known, own_rule)
        if isinstance(optimizer.spectral, Preconditioner):
            square = met_square(lines, result, records)
            least = smallest_divisor(lines, optimizer.spectral, square)
            self.divisors[family_of(least)] = lines.weight.name
            return preconditioned_step(lines, optimizer.spectral, result)
        if optimizer.spectral is not None:
            step = spectral_step(lines, optimizer.spectral, result)
            self.watched[jump_of(step, lines, records)] = lines.weight.name
            return step.value
        return result

    def line_of(self, lines: Lines, value: Tree, known: dict[str, Tree], own: bool) -> Tree:
        """A value of a rule, written out, with the sizes noted of what it jumps at or is divided by."""
        m, new = self.m, self.written(value, known, own)
        for node in walk(new):
            if isinstance(node, tree.Applied) and node.function in (m.name("sign"), m.name("step")):
                self.watched[lines.size_of("jump", m.power(node.args[0], 2))] = lines.weight.name
        for under in divisors_in(value):
            if reads(under) & known.keys():
                size = lines.size_of("divisor", substituted(square_of(under, known, m), known))
                self.divisors[size] = lines.weight.name
        return new

    def outputs(self) -> list[tree.OutputStatement]:
        """What a run looks at, and does not report."""
        m = self.m
        both = [(self.watched, False), (self.divisors, True)]
        return [
            tree.OutputStatement(m.span, m.name(name), None, (), weight, divisor=divisor)
            for families, divisor in both
            for name, weight in families.items()
        ]

    def written(self, value: Tree, known: dict[str, Tree], own: bool) -> Tree:
        """A value of a rule, quotients written out. own: of the user's rule, whose divisors have any sign."""
        m = self.m

        def quotient(node: Tree) -> Tree | None:
            is_over = isinstance(node, tree.Applied) and isinstance(node.function, tree.Name)
            if not is_over or not isinstance(node, tree.Applied) or node.function != m.name(OVER):
                return None
            over, under = (replaced(arg, quotient) for arg in node.args)
            if not own and positive(under):
                return m.div(over, under)
            size = m.call("abs", under) if own else under
            tested = tree.Comparison(m.span, ">", size, m.number(0))
            return m.call("where", tested, m.div(over, under), m.number(0))

        return substituted(replaced(value, quotient), known)

    def limited(self, lines: Lines, step: Tree, limit: Tree) -> Tree:
        """The update with its root mean square over a weight bounded, `min(1, limit/rms) Q`."""
        m = self.m
        step = lines.define("step", step, "step of {}")
        size = lines.root_mean_square("rms", step)
        tested = tree.Comparison(m.span, ">", size, limit)
        return m.mul(m.call("where", tested, m.div(limit, size), m.number(1)), step)


def divisors_in(value: Tree) -> list[Tree]:
    """What is divided by in a value of a rule."""
    found = list[Tree]()
    for node in walk(value):
        match node:
            case tree.Applied(function=tree.Name(name=name), args=(_, under)) if name == OVER:
                found.append(under)
            case tree.Chain(operands=(_, *operands), operators=operators):
                found += [x for x, sign in zip(operands, operators, strict=True) if sign == "/"]
    return list(dict.fromkeys(found))


def square_of(x: Tree, entries: Container[str], m: Maker) -> Tree:
    """The square of what is divided by; of a root of entries and an ε that of each, which costs no root."""
    match x:
        case tree.Chain(operands=operands, operators=operators) if set(operators) == {"+"}:
            if all(is_root(part) or not any(name in entries for name in reads(part)) for part in operands):
                return m.add(*(square_of(part, entries, m) for part in operands))
        case tree.Applied(function=tree.Name(name="sqrt"), args=(inner,)):
            return inner
    value = quotient_in(x)
    return m.power(x, 2) if value is None or abs(value) > NO_SQUARE else m.number(0)


def is_root(x: Tree) -> bool:
    return isinstance(x, tree.Applied) and x.function == tree.Name(x.function.span, "sqrt")


def positive(x: Tree) -> bool:
    """Whether a sum of what is at least 0 has a number above 0 in it, here or under a root or a maximum."""
    match x:
        case tree.Chain(operands=operands, operators=operators) if set(operators) == {"+"}:
            return any((value := quotient_in(part)) is not None and value > 0 for part in operands)
        case tree.Applied(function=tree.Name(name="sqrt"), args=(inner,)):
            return positive(inner)
    return False


@dataclass
class Lines:
    """The lines of one weight: families over time, and over the index of its members."""

    updates: Updates
    weight: Weight
    member: Index
    clauses: list[Range]
    # a member at the start, which tells the kind of its states
    start: Tree
    # the sides of tables: 0 that of the weight's rows, 1 that of its columns
    own_sides: tuple[int, int] = (0, 1)

    @property
    def m(self) -> Maker:
        return self.updates.m

    def __post_init__(self) -> None:
        self.families: dict[str, str] = {}

    @property
    def sides(self) -> tuple[tree.Name | tree.Literal, ...]:
        w = self.weight
        both = self.m.name(w.rows.width or ""), self.m.name(w.columns.width or "")
        return tuple(both[side] for side in self.own_sides) if w.matrix else ()

    def between(self, rows: int, columns: int) -> Lines:
        """The lines of tables with other sides, of the same weight."""
        return replace(self, own_sides=(rows, columns))

    def at(self, family: str, time: Tree) -> Tree:
        return self.m.member(family, (*self.updates.index(time), *self.member))

    def fresh(self, name: str) -> str:
        return self.updates.scene.names.fresh(f"{self.weight.name}_{name}")

    def line(self, target: Tree, value: Tree, what: str) -> tree.Define:
        words = what.format(self.weight.name)
        return tree.Define(self.m.span, target, value, tuple(self.clauses), words, self.sides)

    def define(self, name: str, value: Tree, what: str) -> Tree:
        """`value` under a name, in this round."""
        target = self.at(self.fresh(name), self.updates.now)
        self.updates.lines.append(self.line(target, value, what))
        return target

    def number(self, name: str, value: Tree, pooled: int = 0) -> Tree:
        """The same of a scalar. pooled: of so many of the last axes it is one number."""
        axes = len(self.member) - pooled
        target = self.m.member(self.fresh(name), (*self.updates.index(self.updates.now), *self.member[:axes]))
        what = f"size of the step of {self.weight.name}"
        clauses = self.clauses[: len(self.clauses) - pooled]
        self.updates.lines.append(self.m.define(target, value, clauses, what))
        return target

    def root_mean_square(self, name: str, x: Tree) -> Tree:
        """Of all entries of a weight, or of a member of a family: along its finite sides, too."""
        m, sides = self.m, len(self.member) - len(self.weight.family)
        finite = self.clauses[len(self.clauses) - sides :]
        square = m.sum(finite, self.averaged(m.power(x, 2)))
        for side in finite:
            square = m.div(square, side.count)
        return self.number(name, m.call("sqrt", square), sides)

    def size_of(self, name: str, square: Tree) -> str:
        """The family of the mean of a square of this step."""
        return family_of(self.number(name, self.averaged(square)))

    def averaged(self, x: Tree) -> Tree:
        """The mean over what grows, if anything does."""
        return self.m.mean(x) if self.weight.width else x

    def state(self, name: str) -> Tree:
        """A state as the last step has left it."""
        shown = name.removeprefix(MARK)
        family = self.families[name] = self.fresh(shown)
        self.begin(family, self.m.number(0), f"{shown} of {{}} before training")
        return self.at(family, self.updates.now)

    def advance(self, name: str, value: Tree) -> Tree:
        target = self.at(self.families[name], self.updates.then)
        self.updates.lines.append(self.line(target, value, f"{name.removeprefix(MARK)} of {{}}"))
        return target

    def begin(self, family: str, value: Tree, what: str) -> None:
        if is_number(value, 0) and not self.weight.matrix:
            value = self.updates.zero(self.weight, self.start)
        self.updates.before.append(self.line(self.at(family, self.m.number(0)), value, what))

    def carried(self, family: str, start: Tree, change: Callable[[Tree], Tree]) -> None:
        """What a weight is kept as: at the start, and after the step."""
        self.begin(family, start, "{} before training")
        old = self.at(family, self.updates.now)
        self.updates.lines.append(self.line(self.at(family, self.updates.then), change(old), "update of {}"))

    def scalar(self, family: str, own: Index, factor: Tree) -> None:
        """What decay leaves of what the weight was at first."""
        m, u = self.m, self.updates
        each = self.clauses if own else []
        first, now, then = (
            m.member(family, (*(x for x in u.index(time)), *own)) for time in (m.number(0), u.now, u.then)
        )
        u.before.append(m.define(first, m.number(1), each, f"of {self.weight.name} before training"))
        u.lines.append(m.define(then, m.mul(factor, now), each, f"decay of {self.weight.name}"))
