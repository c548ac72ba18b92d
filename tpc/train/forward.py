"""The forward pass: a network's body, evaluated on inputs, as steps that make variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NoReturn

from tpc.core.functions import function_names
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.syntax.walk import names_in
from tpc.train.array_operations import apart, array_function, onehot, pad, sum_of
from tpc.train.build import Maker, replaced, substituted
from tpc.train.checks import check_application, check_index
from tpc.train.collect import member_by_member
from tpc.train.naming import ACTIVATION, PRE_ACTIVATION
from tpc.train.network_names import bias, indexed, outside
from tpc.train.records import ArrayExpr, ElementwiseStep, FiniteAxis, Index, Step, Var
from tpc.train.scene import Scene
from tpc.train.weight_products import product
from tpc.train.weights import Weight

MAX_UNROLLED = 2000  # members of a family in a network that is made one from another
Env = Mapping[str, ArrayExpr]
Around = tuple[tuple[FiniteAxis, ...], tuple[str, ...], tuple[tree.Range, ...]]


class Forward:
    """One pass over a network.

    prefix: the variables of the loops around, the first indices of every variable made. suffix: put to their
    names.

    entry: what a member of a weight is, in the state that the pass sees. steps: what has been made, in order;
    made: its variables by name.
    """

    def __init__(
        self,
        scene: Scene,
        prefix: Sequence[str],
        entry: Callable[[Weight, Index, Sequence[str]], Tree],
        suffix: str = "",
    ) -> None:
        self.scene = scene
        self.suffix = suffix
        self.prefix = tuple(prefix)
        self.entry = entry
        self.steps: list[Step] = []
        self.made: dict[str, Var] = {}
        self.members: set[str] = set()  # families of the biases met
        self.axes: tuple[FiniteAxis, ...] = ()
        self.sums: tuple[str, ...] = ()
        # of clauses and sums around, as far as they are not gone through round by round
        self.loops: tuple[tree.Range, ...] = ()
        self.inside: list[str] = []
        self.locals: dict[str, ArrayExpr] = {}
        self.counts = {PRE_ACTIVATION: 0, ACTIVATION: 0}
        self.span = Span(1, 1, 1, 1)  # of the line being evaluated

    # networks

    def run(self, network: tree.Network, args: Sequence[ArrayExpr], at: tree.Node) -> ArrayExpr:
        """The value of `network` on `args`. What is named in its body is in `locals` afterwards."""
        name = network.name.name
        if name in self.inside:
            self.refuse(catalogue.names.recursive(at.span, name))
        if len(args) != len(network.parameters):
            self.refuse(
                catalogue.names.arguments(
                    at.span, name, len(network.parameters), len(network.parameters), len(args)
                )
            )
        self.inside.append(name)
        network = apart(network, {*self.scope(), *self.scene.loops}, self.scene.names)
        env: dict[str, ArrayExpr] = {p.name: a for p, a in zip(network.parameters, args, strict=True)}
        for line in network.body:
            self.block(line, env, {}) if isinstance(line, tree.ForBlock) else self.line(line, env)
        self.span = network.result.span
        if len(self.inside) > 1:
            value = self.expr(network.result, env)
        else:
            self.locals = {
                local: value
                for local, value in env.items()
                if local not in {p.name for p in network.parameters}
            }
            value = self.expr_named(network.result, name, env)
            self.locals.setdefault(name, value)
        self.inside.pop()
        return value

    def expr_named(self, node: Tree, wish: str, env: Env) -> ArrayExpr:
        """The value of `node` as a variable, called as wished if it is made here."""
        if isinstance(node, tree.MatrixProduct):
            return product(self, node, env, wish)
        if isinstance(node, tree.Applied) and array_function(self.scene, node) == "pad":
            return pad(self, node, env, wish)
        return self.named(self.expr(node, env), wish, node)

    def block(self, block: tree.ForBlock, env: dict[str, ArrayExpr], at: dict[str, Tree]) -> None:
        """A loop in a network's body, round by round."""
        for k in range(self.count(substituted(block.range.count, at), 1)):
            here = {**at, block.range.variable.name: Maker(block.range.span).number(k)}
            for inner in block.body:
                if isinstance(inner, tree.ForBlock):
                    self.block(inner, env, here)
                elif isinstance(inner, tree.Define):
                    clauses = tuple(replace(c, count=substituted(c.count, here)) for c in inner.clauses)
                    target, value = substituted(inner.target, here), substituted(inner.value, here)
                    self.line(replace(inner, target=target, value=value, clauses=clauses), env)

    def count(self, node: Tree, others: int) -> int:
        found = self.scene.integer(node)
        if found is None or found * others > MAX_UNROLLED:
            self.refuse(catalogue.networks.network_rounds(node.span, MAX_UNROLLED))
        return found

    def line(self, line: tree.Define, env: dict[str, ArrayExpr]) -> None:
        """An assignment in a network's body.

        With clauses it makes a family: at once or, if it is made one from another, member by member.
        """
        self.span = line.span
        base, index = tree.base_and_index(line.target)
        if not isinstance(base, tree.Name):
            self.refuse(catalogue.indices.bad_target(line.target.span))
        variables = [c.variable.name for c in line.clauses]
        at_once = (
            [i.name if isinstance(i, tree.Name) else "" for i in index] == variables
            and base.name not in env
            and not any(node.name == base.name for node in names_in(line.value))
        )
        if not index and not line.clauses:
            env[base.name] = self.expr_named(line.value, base.name, env)
        elif at_once or not index:
            with self.within_sums(line):
                env[base.name] = self.family(line, base.name, env)
        else:
            member_by_member(self, line, base.name, index, env)

    def family(self, line: tree.Define, name: str, env: Env) -> ArrayExpr:
        """What a line with clauses makes: a variable over further axes, seen from outside them."""
        outer, self.axes = (
            self.axes,
            (*self.axes, *(FiniteAxis(c.variable.name, c.count) for c in line.clauses)),
        )
        loops, self.loops, earlier = self.loops, (*self.loops, *line.clauses), {*self.made}
        value = self.expr_named(
            line.value,
            name,
            {**env, **{c.variable.name: self.position(c.variable.name) for c in line.clauses}},
        )
        if value.leaf is None or value.leaf.name in earlier:  # the same for all
            value = self.made_of(value, name, line.value)
        self.axes, self.loops, var = outer, loops, value.leaf
        assert var is not None
        own = tuple(a.variable for a in self.axes)
        return ArrayExpr(
            var.width, var.shape[len(own) :], lambda i: self.leaf(var, (*self.here(own), *i)), var
        )

    def constant(self, node: Tree, name: str, at: Tree | None = None) -> int:
        value = self.scene.integer(node)
        if value is None:
            self.refuse(catalogue.networks.network_index(node.span if at is None else at.span, name))
        return value

    def position(self, variable: str) -> ArrayExpr:
        return ArrayExpr(None, (), lambda _: Maker(self.span).name(variable))

    # variables

    def argument(self, node: Tree) -> ArrayExpr:
        """What a network is applied to, where it is called: the variables of the loops there are numbers."""
        return self.expr(node, {v: self.position(v) for v in self.prefix})

    def here(self, axes: Sequence[str] | None = None) -> Index:
        return tuple(map(Maker(self.span).name, [a.variable for a in self.axes] if axes is None else axes))

    def leaf(self, var: Var, index: Index) -> Tree:
        return Maker(self.span).member(var.name, (*self.here(self.prefix), *index))

    def var(self, wish: str, width: str | None, own: Sequence[Tree]) -> Var:
        made = Var(self.scene.names.fresh(wish + self.suffix), width, (*(a.count for a in self.axes), *own))
        self.made[made.name] = made
        return made

    def of_var(self, var: Var) -> ArrayExpr:
        own = tuple(a.variable for a in self.axes)
        return ArrayExpr(
            var.width, var.shape[len(own) :], lambda i: self.leaf(var, (*self.here(own), *i)), var
        )

    def own_axes(self, shape: Sequence[Tree | None], at: tree.Node) -> tuple[FiniteAxis, ...]:
        avoid = [*self.prefix, *(a.variable for a in self.axes), *self.sums]
        variables = self.scene.names.variables(len(shape), avoid)
        if any(count is None for count in shape):
            self.refuse(catalogue.networks.network_extent(at.span))
        return tuple(
            FiniteAxis(v, count) for v, count in zip(variables, shape, strict=True) if count is not None
        )

    def named(self, value: ArrayExpr, wish: str, at: Tree) -> ArrayExpr:
        """`value` as a variable."""
        if value.array is not None and value.leaf is None:
            return replace(value, leaf=value.array().leaf)
        return value if value.leaf is not None else self.made_of(value, wish, at)

    def made_of(self, value: ArrayExpr, wish: str, at: Tree, *, mean: bool = False) -> ArrayExpr:
        if None in value.shape:
            value.at(tuple(Maker(at.span).name("_") for _ in value.shape))  # says why, where it knows
        with self.within_sums(at):
            own = self.own_axes(value.shape, at)
            out = self.var(self.numbered(wish), None if mean else value.width, [a.count for a in own])
            entry = value.at(tuple(Maker(at.span).name(a.variable) for a in own))
            self.steps.append(ElementwiseStep(out, (*self.axes, *own), entry, at.span, mean))
            return self.of_var(out)

    @contextmanager
    def within_sums(self, at: tree.Node) -> Iterator[None]:
        """What is made inside sums is made for every term: the sums' variables are axes of it."""
        new = {*self.sums} - {a.variable for a in self.axes}
        axes = tuple(FiniteAxis(r.variable.name, r.count) for r in self.loops if r.variable.name in new)
        if any(
            name.name in {a.variable for a in (*self.axes, *axes)} for a in axes for name in names_in(a.count)
        ):
            self.refuse(catalogue.networks.network_in_sum(at.span))
        outer, self.axes = self.axes, (*self.axes, *axes)
        yield
        self.axes = outer

    def around(self) -> Around:
        """What is around the line being evaluated, to come `back_to`."""
        return self.axes, self.sums, self.loops

    @contextmanager
    def back_to(self, around: Around) -> Iterator[None]:
        """What is made inside is made as if it stood there."""
        here, (self.axes, self.sums, self.loops) = self.around(), around
        with self.within_sums(Maker(self.span).number(0)):
            yield
        self.axes, self.sums, self.loops = here

    def numbered(self, wish: str) -> str:
        """h1, h2, … and x1, x2, … for pre-activations and activations that the user gave no name."""
        if wish not in self.counts:
            return wish
        self.counts[wish] += 1
        return f"{wish[:-1]}{self.counts[wish]}"

    # expressions

    def refuse(self, diagnostic: Diagnostic) -> NoReturn:
        raise RefusedError(diagnostic)

    def expr(self, node: Tree, env: Env) -> ArrayExpr:
        match node:
            case tree.Literal():
                return ArrayExpr(None, (), lambda _: node)
            case tree.Name(name=name):
                return self.name(node, name, env)
            case tree.Indexed(base=base, index=index):
                return indexed(self, node, base, index, env)
            case tree.Chain(operands=operands):
                return self.combined(node, operands, env, lambda parts: replace(node, operands=tuple(parts)))
            case tree.Negated(operand=operand):
                return self.combined(node, (operand,), env, lambda parts: replace(node, operand=parts[0]))
            case tree.Power(base=base, exponent=exponent):
                return self.combined(
                    node, (base, exponent), env, lambda parts: replace(node, base=parts[0], exponent=parts[1])
                )
            case tree.Comparison(left=left, right=right):
                return self.combined(
                    node, (left, right), env, lambda parts: replace(node, left=parts[0], right=parts[1])
                )
            case tree.Applied():
                return self.applied(node, env)
            case tree.MatrixProduct():
                return product(self, node, env)
            case tree.Mean(body=body):
                value = self.expr(body, env)
                return value if value.width is None else self.made_of(value, "m", node, mean=True)
            case tree.Summation():
                return sum_of(self, node, env)
        raise RefusedError(catalogue.networks.network_part(node.span))

    def combined(
        self, node: Tree, parts: Sequence[Tree], env: Env, build: Callable[[list[Tree]], Tree]
    ) -> ArrayExpr:
        """An elementwise combination: parts have one width, and one shape or none."""
        values = [self.expr(part, env) for part in parts]
        return self.joined(node, parts, values, build)

    def joined(
        self,
        node: Tree,
        parts: Sequence[Tree],
        values: Sequence[ArrayExpr],
        build: Callable[[list[Tree]], Tree],
    ) -> ArrayExpr:
        width, shape = None, tuple[Tree | None, ...]()
        for part, value in zip(parts, values, strict=True):
            if value.width is not None:
                if width is not None and width != value.width:
                    self.refuse(catalogue.kinds.mixed_widths(part.span, value.width, parts[0].span, width))
                width = value.width
            shape = self.scene.merged(shape, value.shape, part)
        return ArrayExpr(width, shape, lambda i: build([v.at(i if v.shape else ()) for v in values]))

    def shown(self, shape: Sequence[Tree | None]) -> str:
        return self.scene.shown(shape)

    def name(self, node: tree.Name, name: str, env: Env) -> ArrayExpr:
        if name in env:
            return env[name]
        if name in self.scene.weights:
            return bias(self, node, self.scene.weights[name])
        if self.scene.is_constant(name):
            return ArrayExpr(None, (), lambda _: node)
        return outside(self, node, name, ())

    def scope(self) -> tuple[str, ...]:
        return (*self.prefix, *(a.variable for a in self.axes), *self.sums)

    def check_inside(
        self, node: Tree, name: str, positions: Sequence[Tree], shape: Sequence[Tree | None]
    ) -> None:
        """Whether indices are inside an array, as far as they are known."""
        for axis, (i, extent) in enumerate(zip(positions, shape, strict=False)):
            size = None if extent is None else self.scene.integer(extent)
            check_index(self.scene, node, name, axis, i, size, self.loops)

    def index(self, node: Tree, env: Env) -> Tree:
        """An index: what stands for a position in it put in."""
        put = replaced(
            node,
            lambda x: (
                env[x.name].at(())
                if isinstance(x, tree.Name) and x.name in env and not env[x.name].shape
                else None
            ),
        )
        value = None if isinstance(put, tree.Name | tree.Literal) else self.scene.integer(put)
        return put if value is None else Maker(node.span).number(value)

    def applied(self, node: tree.Applied, env: Env) -> ArrayExpr:
        function = node.function
        network = self.scene.network(function.name) if isinstance(function, tree.Name) else None
        if network is not None:
            return self.run(network, [self.expr(arg, env) for arg in node.args], node)
        if array_function(self.scene, node):
            return (onehot if array_function(self.scene, node) == "onehot" else pad)(self, node, env)
        if isinstance(function, tree.Name) and not self.scene.is_elementwise(function.name):
            self.refuse(
                catalogue.names.unknown_function(
                    function.span,
                    function.name,
                    [*function_names(), *self.scene.functions, *self.scene.networks],
                )
            )
        check_application(self.scene, node)
        values = [self.expr(arg, env) for arg in node.args]
        if isinstance(function, tree.Name) and function.name not in ("where", "max", "min"):
            values = [
                self.named(v, PRE_ACTIVATION, arg) if self.is_compound(v, arg) else v
                for v, arg in zip(values, node.args, strict=True)
            ]
        return self.joined(node, node.args, values, lambda parts: replace(node, args=tuple(parts)))

    def is_compound(self, value: ArrayExpr, node: Tree) -> bool:
        """Whether what a function is applied to is worth a name: the backward pass needs it again."""
        return (
            value.leaf is None
            and not self.sums
            and not isinstance(node, tree.Name | tree.Indexed | tree.Literal)
            and None not in value.shape
            and self.has_variables(value)
        )

    def is_leaf(self, value: ArrayExpr) -> bool:
        """Whether its entries are entries of one variable, or vectors of the program."""
        entry = value.at(tuple(Maker(self.span).name("_") for _ in value.shape))
        base = entry.base if isinstance(entry, tree.Indexed) else entry
        return isinstance(base, tree.Name) and (base.name in self.made or base.name in self.scene.outer)

    def has_variables(self, value: ArrayExpr) -> bool:
        """Whether a gradient may go to something in it: a variable of the pass, or a bias."""
        probe = value.at(tuple(Maker(self.span).name("_") for _ in value.shape))
        return any(name.name in self.made or name.name in self.members for name in names_in(probe))
