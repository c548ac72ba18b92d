"""Gradient descent: what happens to the weights in one loop over time.

The loop is a `train` block, or the inner steps of `adapt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Range, Tree
from tpc.train.build import Maker, is_number, substituted
from tpc.train.checks import check_scalar
from tpc.train.naming import Names
from tpc.train.option_ranges import NOT_BELOW_0, ParameterRange, check_range
from tpc.train.records import Index, Record, Upto
from tpc.train.scene import Scene
from tpc.train.training_options import check_options, option_value, options_of
from tpc.train.weight_members import ByMember
from tpc.train.weights import Weight, of_member, split, squared

SGD_OPTIONS = ("lr", "momentum", "decay", "clip")


@dataclass(frozen=True, slots=True)
class Sgd:
    """`g = grad + decay·w; buf = momentum·buf + g; w −= lr·buf`, gradients clipped before.

    All for the parametrized weights w. Numbers or scalars.
    """

    rate: Tree
    momentum: Tree
    decay: Tree
    clip: Tree | None
    by_hand: bool = False

    @property
    def plain(self) -> bool:
        return is_number(self.momentum, 0) and is_number(self.decay, 0)


@dataclass(eq=False)
class Descent:
    """A loop over `time` in which weights are updated."""

    time: Range
    # the loops around it
    outer: tuple[Range, ...]
    # those inside it that have weights of their own
    tasks: tuple[Range, ...]
    sgd: Sgd
    # terms of the gradients, for weights kept as a history
    records: dict[str, tuple[Record, ...]] = field(default_factory=dict)
    # the families of those kept as vectors, [*outer, time, *tasks, *axes]
    carried: dict[str, str] = field(default_factory=dict)
    # `shrinks`, `rates`: for histories under decay or momentum, the families of the coefficients of what the
    # weight was before, and of past gradients; the last indices are those of a member, where members have
    # rates of their own
    shrinks: dict[str, str] = field(default_factory=dict)
    # the families of tables, [*outer, time, *family], for weights that entrywise optimizers update
    tables: dict[str, str] = field(default_factory=dict)
    rates: dict[str, str] = field(default_factory=dict)
    multipliers: dict[str, Tree] = field(default_factory=dict)
    # by weight: SGD with other options than `sgd`, and the family of what bounds the norm of its gradient
    own_sgd: dict[str, Sgd] = field(default_factory=dict)
    clipping: dict[str, str] = field(default_factory=dict)
    sorted_records: dict[str, ByMember[Record]] = field(default_factory=dict)

    def name_coefficients(self, histories: Sequence[Weight], names: Names) -> None:
        """Names what the coefficients of histories will be: forward passes need them before they are made."""
        for weight in histories:
            if not self.sgd_of(weight).plain:
                self.shrinks[weight.name] = names.fresh(f"{weight.name}_kept")
                self.rates[weight.name] = names.fresh(f"{weight.name}_rate")

    def sgd_of(self, weight: Weight) -> Sgd:
        """SGD with the options that it has for a weight."""
        return self.own_sgd.get(weight.name, self.sgd)

    def clip_of(self, weight: Weight, index: Index, m: Maker) -> Tree:
        """What bounds the norm of the gradient of a weight, and of others with it, in a round."""
        return m.member(self.clipping[weight.name], index) if weight.name in self.clipping else m.number(1)

    @property
    def outer_variables(self) -> list[str]:
        return [r.variable.name for r in self.outer]

    @property
    def task_variables(self) -> list[str]:
        return [r.variable.name for r in self.tasks]

    def records_of(self, weight: str, member: Index) -> Sequence[Record]:
        """The terms of the gradient of a weight, without those that are of other members of its family."""
        records = self.records.get(weight, ())
        known = self.sorted_records.get(weight)
        if known is None or known.items is not records:
            known = self.sorted_records[weight] = ByMember(records, lambda record: record.member)
        return known.of(member)

    def carried_member(self, weight: str, upto: Upto, index: Index, m: Maker) -> Tree:
        return m.member(self.carried[weight], (*upto.outer, upto.time, *upto.tasks, *index))

    def changes(self, weight: str) -> bool:
        """Whether it updates a weight."""
        return weight in self.carried or weight in self.records or weight in self.tables

    def in_history(self, weight: Weight, member: Index) -> Index:
        """Which coefficients of a history are a member's."""
        return member if weight.differs(self.multipliers[weight.name]) else ()

    def rate_of(self, weight: Weight, member: Index, upto: Upto, past: Tree, m: Maker) -> Tree:
        """The coefficient of the gradient at time `past` in the weight at `upto.time`, its sign apart."""
        env = dict(zip(self.outer_variables, upto.outer, strict=True)) | dict(
            zip(self.task_variables, upto.tasks, strict=True)
        )
        if weight.name in self.rates:
            return m.member(
                self.rates[weight.name], (*upto.outer, upto.time, past, *self.in_history(weight, member))
            )
        scheduled = substituted(self.sgd_of(weight).rate, {**env, self.time.variable.name: past})
        rate = m.mul(scheduled, weight.of(self.multipliers[weight.name], member))
        return m.mul(rate, self.clip_of(weight, (*upto.outer, past), m))

    def update_of(self, weight: Weight, member: Index, m: Maker, transposed: bool = False) -> Tree:
        """The factor of a term of the weight's update, beside its rate.

        Updates by hand are on what the program keeps, whatever its parametrization.
        """
        update = weight.scaling.update(m, transposed)
        if self.sgd.by_hand:
            return update
        scale = weight.of(squared(weight.scale, m), member)
        return m.mul(scale, weight.scaling.power(m, rated=self.sgd_of(weight).plain), update)

    def rate_on(self, weight: Weight, member: Index, m: Maker) -> Tree:
        """The learning rate on the parametrized weight, without the power of n that `update_of` has."""
        sgd = self.sgd_of(weight)
        power = m.number(1) if sgd.plain else weight.scaling.rate(m)
        return m.mul(sgd.rate, power, weight.of(self.multipliers[weight.name], member))

    def shrink_of(self, weight: Weight, member: Index, upto: Upto, m: Maker) -> Tree:
        """The coefficient, in the weight at `upto.time`, of what it was when the descent began."""
        if weight.name not in self.shrinks:
            return m.number(1)
        return m.member(self.shrinks[weight.name], (*upto.outer, upto.time, *self.in_history(weight, member)))


def sgd_of(scene: Scene, update: tree.Update, time: Range) -> Sgd:
    """The optimizer of an `update` line."""
    m = Maker(update.span)
    if update.name.name != "sgd":
        raise RefusedError(
            catalogue.options.unknown_word(update.name.span, update.name.name, "an optimizer", ("sgd",))
        )
    options = options_of(update.options)
    check_options(update.options, SGD_OPTIONS, "sgd")
    if "lr" not in options:
        raise RefusedError(catalogue.options.option_missing(update.span, "sgd", "lr"))

    def value(name: str, otherwise: Tree) -> Tree:
        return scheduled(scene, options[name], time) if name in options else otherwise

    for name in ("momentum", "decay"):
        check_range(scene, name, value(name, m.number(0)), time, NOT_BELOW_0)
    clip = options.get("clip")
    none = clip is None or (isinstance(clip.value, tree.Name) and clip.value.name == "none")
    if clip is not None and not none:
        wanted = "above 0: it bounds the norm of the gradient"
        check_range(scene, "clip", value("clip", m.number(0)), time, ParameterRange(wanted, None))
    rate, momentum, decay = (value(name, m.number(0)) for name in ("lr", "momentum", "decay"))
    return Sgd(scene.learned(rate, m), momentum, decay, None if none else value("clip", m.number(0)))


def scheduled(scene: Scene, option: tree.Option, time: Range) -> Tree:
    """The value of an option; an input with one axis is a schedule, one entry for each round."""
    value = option_value(option)
    check_scalar(scene, option.name.name, value)
    known = scene.outer.get(value.name) if isinstance(value, tree.Name) else None
    if isinstance(value, tree.Name) and known is not None and len(known.axes) == 1:
        m = Maker(option.span)
        has, steps = (
            None if count is None else scene.integer(count) for count in (known.axes[0], time.count)
        )
        if has is not None and steps is not None and has < steps:
            raise RefusedError(catalogue.options.schedule_length(value.span, value.name, has, steps))
        return m.member(value.name, (m.name(time.variable.name),))
    return value


@dataclass
class Updates:
    """Writes the lines that update weights at the end of a round.

    prefix: outer variables, time and tasks; index: of the round.
    """

    scene: Scene
    descent: Descent
    m: Maker
    before: list[tree.Define] = field(default_factory=list)
    lines: list[tree.Define | tree.ForBlock] = field(default_factory=list)

    def index(self, time: Tree) -> Index:
        m, d = self.m, self.descent
        return (*map(m.name, d.outer_variables), time, *map(m.name, d.task_variables))

    @property
    def now(self) -> Tree:
        return self.m.name(self.descent.time.variable.name)

    @property
    def then(self) -> Tree:
        return self.m.add(self.now, self.m.number(1))

    def clip(self, clip: Tree, weights: Sequence[tuple[Weight, list[Record]]]) -> None:
        """The factor that bounds the norm of the gradients of weights together: `min(1, clip/‖g‖)`."""
        m, name = self.m, self.scene.names.fresh("norm")
        squares = m.add(*(self.norm(weight, records) for weight, records in weights))
        index = self.index(self.now)
        self.lines.append(
            m.define(
                m.member(name, index), m.call("sqrt", squares), self.descent.tasks, "norm of the gradient"
            )
        )
        norm = m.member(name, index)
        factor = m.call("where", tree.Comparison(m.span, ">", norm, clip), m.div(clip, norm), m.number(1))
        self.lines.append(
            m.define(
                m.member(self.descent.clipping[weights[0][0].name], index),
                factor,
                self.descent.tasks,
                "clipping",
            )
        )

    def norm(self, weight: Weight, records: Sequence[Record]) -> Tree:
        """The squared norm of a weight's gradient in the limit: moments of pairs of its terms."""
        m, terms, scale = self.m, list[Tree](), squared(weight.scale, self.m)
        if not weight.matrix:
            variables = self.scene.names.variables(len(weight.axes), self.descent_scope(records))
            index = tuple(map(m.name, variables))
            gradient = self.gradient(weight, records, index)
            ranges = [m.range(v, count) for v, count in zip(variables, weight.axes, strict=True)]
            square = m.mean(m.power(gradient, 2)) if weight.width else m.power(gradient, 2)
            return m.mul(weight.scaling.norm(m), m.sum(ranges, m.mul(weight.of(scale, index), square)))
        by_member = ByMember(records, lambda record: record.member)
        for first in records:
            for second in by_member.of(first.member):
                fresh = self.scene.names.variables(len(second.ranges), self.descent_scope(records))
                env: dict[str, Tree] = {
                    r.variable.name: m.name(v) for r, v in zip(second.ranges, fresh, strict=True)
                }
                own = [
                    m.range(v, substituted(r.count, env)) for r, v in zip(second.ranges, fresh, strict=True)
                ]
                own, env, tests = of_member(weight, second, first.member, own, env, m)
                ranges = [*first.ranges, *own]
                a = m.mean(m.mul(first.a(()), substituted(second.a(()), env)))
                b = m.mean(m.mul(first.b(()), substituted(second.b(()), env)))
                coefficient = m.mul(
                    weight.of(scale, first.member), first.coefficient, substituted(second.coefficient, env)
                )
                terms.append(m.sum(ranges, m.mul(coefficient, *tests, a, b)))
        return m.mul(weight.scaling.norm(m), m.add(*terms))

    def descent_scope(self, records: Sequence[Record]) -> list[str]:
        d = self.descent
        return [
            *d.outer_variables,
            d.time.variable.name,
            *d.task_variables,
            *(r.variable.name for record in records for r in record.ranges),
        ]

    def gradient(self, weight: Weight, records: Sequence[Record], index: Index) -> Tree:
        """The gradient of a weight with a finite side, in one of its members."""
        m, terms = self.m, list[Tree]()
        member, rows, columns = split(weight, index)
        for r in ByMember(records, lambda record: record.member).of(member):
            ranges, env, tests = of_member(weight, r, member, r.ranges, {}, m)
            terms.append(
                m.sum(
                    ranges,
                    m.mul(*(substituted(x, env) for x in (r.coefficient, *tests, r.b(columns), r.a(rows)))),
                )
            )
        return m.add(*terms)

    def outer_gradient(self, weight: Weight, records: Sequence[Record], index: Index) -> Tree:
        """The gradient of a weight between two widths, a table."""
        m, terms = self.m, list[Tree]()
        for r in ByMember(records, lambda record: record.member).of(index):
            ranges, env, tests = of_member(weight, r, index, r.ranges, {}, m)
            outer = m.call("outer", substituted(r.a(()), env), substituted(r.b(()), env))
            terms.append(m.sum(ranges, m.mul(substituted(r.coefficient, env), *tests, outer)))
        return m.add(*terms)

    def carry(self, weight: Weight, records: Sequence[Record], start: Tree, variables: Sequence[str]) -> None:
        """A weight kept as vectors: what it starts as in this descent, and its update."""
        m, sgd, name = self.m, self.descent.sgd_of(weight), self.descent.carried[weight.name]
        index = tuple(map(m.name, variables))
        clauses = [
            *self.descent.tasks,
            *(m.range(v, count) for v, count in zip(variables, weight.axes, strict=True)),
        ]
        member = m.member(name, (*self.index(self.now), *index))
        self.before.append(
            m.define(
                m.member(name, (*self.index(m.number(0)), *index)),
                start,
                clauses,
                f"{weight.name} before training",
            )
        )
        step = m.mul(self.descent.update_of(weight, index, m), self.gradient(weight, records, index))
        step = m.mul(self.descent.clip_of(weight, self.index(self.now), m), step)
        step = m.add(step, m.mul(sgd.decay, member))
        if not is_number(sgd.momentum, 0):
            buffer = self.scene.names.fresh(f"{weight.name}_buf")
            zero = self.zero(weight, start)
            self.before.append(
                m.define(
                    m.member(buffer, (*self.index(m.number(0)), *index)),
                    zero,
                    clauses,
                    f"momentum of {weight.name} before training",
                )
            )
            then = m.member(buffer, (*self.index(self.then), *index))
            self.lines.append(
                m.define(
                    then,
                    m.add(m.mul(sgd.momentum, m.member(buffer, (*self.index(self.now), *index))), step),
                    clauses,
                    f"momentum of {weight.name}",
                )
            )
            step = then
        rate = self.descent.rate_on(weight, index, m)
        self.lines.append(
            m.define(
                m.member(name, (*self.index(self.then), *index)),
                m.sub(member, m.mul(rate, step)),
                clauses,
                f"update of {weight.name}",
            )
        )

    def zero(self, weight: Weight, start: Tree) -> Tree:
        """0 as a member: times a vector, which tells its kind."""
        m = self.m
        return tree.Chain(m.span, (m.number(0), start), ("*",)) if weight.width else m.number(0)

    def history(self, weight: Weight) -> None:
        """Coefficients of a history under decay or momentum.

        `w_t = α_t w_0 − Σ_{s<t} κ_{t,s} g_s`, and of the buffer `β_t w_0 + Σ_s B_{t,s} g_s`.
        """
        m, sgd, d, names = self.m, self.descent.sgd_of(weight), self.descent, self.scene.names
        if sgd.plain:
            return
        alpha, kappa, name = d.shrinks[weight.name], d.rates[weight.name], f"{weight.name}_buf"
        beta, buffer = names.fresh(f"{name}0"), names.fresh(name)
        (past,) = names.variables(1, self.descent_scope(()), ("s", "r", "q", "s1", "s2", "s3"))
        variables = names.variables(len(weight.family), [past, *self.descent_scope(())])
        own = d.in_history(weight, tuple(map(m.name, variables)))
        each = [m.range(v, count) for v, count in zip(variables, weight.family, strict=True)] if own else []
        o, now, then = tuple(map(m.name, d.outer_variables)), self.now, self.then

        def of(name: str, *times: Tree) -> Tree:
            return m.member(name, (*o, *times, *own))

        s, rate = m.name(past), d.rate_on(weight, own, m)
        clip = d.clip_of(weight, (*o, now), m)
        earlier = [m.range(past, now), *each]
        self.before += [
            m.define(of(alpha, m.number(0)), m.number(1), each, f"of {weight.name} before training"),
            m.define(of(beta, m.number(0)), m.number(0), each, f"momentum of {weight.name} before training"),
        ]
        momentum, update = f"momentum of {weight.name}", f"update of {weight.name}"
        old = of(alpha, now), of(beta, now), of(kappa, now, s), of(buffer, now, s)
        new_beta, new_buffer = of(beta, then), of(buffer, then, s)
        self.lines += [
            m.define(new_beta, m.add(m.mul(sgd.momentum, old[1]), m.mul(sgd.decay, old[0])), each, momentum),
            m.define(
                new_buffer, m.sub(m.mul(sgd.momentum, old[3]), m.mul(sgd.decay, old[2])), earlier, momentum
            ),
            m.define(of(buffer, then, now), clip, each, momentum),
            m.define(of(alpha, then), m.sub(old[0], m.mul(rate, new_beta)), each, update),
            m.define(of(kappa, then, s), m.add(old[2], m.mul(rate, new_buffer)), earlier, update),
            m.define(of(kappa, then, now), m.mul(rate, clip), each, update),
        ]
