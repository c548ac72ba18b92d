"""The driver: networks, trainings and calls of networks written out in the core language.

It goes through a file's statements in order.

Everything is found out on the user's own tree, and what is made keeps its places; `resolve` then checks the
whole as it would any core program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from tpc.core.functions import function_names
from tpc.core.network import LEARNING, Networks, WeightInfo, exponent_inputs
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, RefusedError, TpcError, in_order
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.print_tree import print_tree
from tpc.syntax.scope import NotANumberError, fraction
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in, walk
from tpc.train.attributes import ATTRIBUTES, apart, check_attributes
from tpc.train.build import Maker
from tpc.train.by_hand import ByHand
from tpc.train.checks import check_cycles, check_network
from tpc.train.matrix_aware import MATRIX_AWARE
from tpc.train.naming import Names
from tpc.train.network_calls import Calls
from tpc.train.optimizer_rules import OPTIMIZERS, read
from tpc.train.parametrization import Scaling, WeightExponents, kind_of, parametrization_of, ratios
from tpc.train.scene import Scene, declared_names, is_one, outer_of
from tpc.train.training_options import check_options, option_value, options_of
from tpc.train.trainings import Trainings
from tpc.train.weights import Side, Weight, declarations

PASSES = ("networks", "autodiff", "updates")
DECLARED = ((tree.WeightStatement, "a weight"), (tree.Activation, "a function"), (tree.Network, "a network"))


def write_out(
    file: tree.File, name: str, text: str, overrides: Mapping[str, int], after: str = "updates"
) -> tree.File:
    """`file` with networks and training written out.

    after: the last pass whose lines are kept, one of PASSES, for looking at.

    overrides: values of dims in place of the file's. Raises TpcError.
    """
    if not any(isinstance(s, tree.Training) for s in file.statements):
        return file
    return tree.File(file.span, tuple(_write_file(Writer(file, overrides, after), file, name, text).out))


def open_out(
    file: tree.File, name: str, text: str, overrides: Mapping[str, int]
) -> tuple[tree.File, Networks]:
    """`file` written out with the exponents of its weights left open, and what its weights are.

    The exponents are inputs, and every update is multiplied with one more.

    Raises TpcError.
    """
    writer = _write_file(Writer(file, overrides, PASSES[-1], open_=True), file, name, text)
    m = Maker(file.span)
    names = [LEARNING, *exponent_inputs(len(writer.weights))]
    inputs = tuple(
        tree.InputStatement(m.span, tree.Declared(m.span, m.name(x), ()), None, None) for x in names
    )
    return tree.File(file.span, (*inputs, *writer.out)), writer.networks()


def _write_file(writer: Writer, file: tree.File, name: str, text: str) -> Writer:
    """The writer when it has gone through the file. Raises TpcError."""
    errors = write_statements(file, writer)
    if errors:
        raise TpcError(in_order(errors), name, text)
    return writer


def write_statements(file: tree.File, writer: Writer) -> list[Diagnostic]:
    """Goes through the statements; gives what is wrong with them.

    Statements that need something refused say no more about it.
    """
    errors: list[Diagnostic] = []
    failed: set[str] = set()
    try:
        writer.choose()
        check_cycles(
            {
                s.name.name: s
                for s in file.statements
                if isinstance(s, tree.Network) and not writer.scene.is_elementwise(s.name.name)
            }
        )
    except RefusedError as refused:
        return [refused.diagnostic]
    for statement in file.statements:
        mentioned = {name.name for name in names_in(statement)}
        if not mentioned & failed:
            try:
                writer.statement(statement, writer.out, ())
                continue
            except RefusedError as refused:
                errors.append(refused.diagnostic)
        failed |= made_by(statement)
    return errors


def made_by(statement: tree.Statement) -> set[str]:
    """The names that a statement gives a meaning to."""
    match statement:
        case (
            tree.WeightStatement(name=name)
            | tree.Activation(name=name)
            | tree.Network(name=name)
            | tree.Optimizer(name=name)
        ):
            return {name.name}
        case tree.Adapted(target=target):
            return {name.name for name in names_in(target)}
        case tree.Train(network=network, name=name):  # and the network at its steps, `f[t]`
            return {network.name, "loss" if name is None else name.name}
    return set(outer_of((statement,)))


class Writer:
    """One file's writing out.

    `out` has what has been written so far; statements inside loops go to lists of their own.
    """

    def __init__(
        self, file: tree.File, overrides: Mapping[str, int], after: str, *, open_: bool = False
    ) -> None:
        self.scene = Scene(Names(file), constants(file, overrides), open=open_)
        self.out: list[tree.Statement] = []
        self.spans: dict[str, Span] = {}
        self.scene.outer = outer_of(file.statements)
        self.scene.loops = {
            r.variable.name
            for s in file.statements
            if isinstance(s, tree.Define | tree.OutputStatement | tree.ForBlock)
            for r in walk(s)
            if isinstance(r, Range)
        }
        self.scene.functions = {s.name.name: s for s in file.statements if isinstance(s, tree.Function)}
        self.scene.widths = {
            s.name.name: s.ratio for s in file.statements if isinstance(s, tree.WidthStatement)
        }
        self.scene.matrices = {
            d.name.name: (print_tree(s.rows), print_tree(s.columns))
            for s in file.statements
            if isinstance(s, tree.MatrixStatement)
            for d in s.declared
        }
        self.scene.tables = {
            name.name
            for s in file.statements
            for node in walk(s)
            if isinstance(node, tree.Define) and node.sides
            for name in [next(names_in(node.target))]
        }
        self.later = {
            s.name.name: word for s in file.statements for kind, word in DECLARED if isinstance(s, kind)
        }
        self.scene.names.taken = self.scene.names.reserved(declared_names(file))
        self.weights = [s for s in file.statements if isinstance(s, tree.WeightStatement)]
        self.places = {s.name.name: place for place, s in reversed([*enumerate(self.weights)])}
        self.lines = [s for s in file.statements if isinstance(s, tree.Parametrization)]
        self.parametrization = WeightExponents("mup", constants=self.scene.constants)
        self.trainings = Trainings(self.scene, PASSES.index(after))
        self.calls = Calls(self.scene, self.trainings)
        self.by_hand = ByHand(self.scene, self.trainings, self.calls)

    def choose(self) -> None:
        """Reads the file's parametrization, wherever it stands: weights need it."""
        if len(self.lines) > 1:
            raise RefusedError(
                catalogue.parametrizations.second_parametrization(self.lines[1].span, self.lines[0].span)
            )
        if self.lines:
            self.parametrization = parametrization_of(self.lines[0], self.weights, self.scene.constants)

    def statement(self, s: tree.Statement, out: list[tree.Statement], blocks: tuple[Range, ...]) -> None:
        if blocks and isinstance(s, tree.Training) and not isinstance(s, tree.AddTo):
            raise RefusedError(catalogue.syntax.misplaced(s.span, "a declaration of the training language"))
        if isinstance(s, tree.Parametrization):
            return  # `choose` has read it
        match s:
            case tree.WeightStatement():
                self.weight(s, out)
            case tree.Activation(name=name, function=function):
                self.declare(name)
                self.activation(s, function, out)
            case tree.Network(name=name):
                self.declare(name)
                check_network(self.scene, s, self.later)
                self.scene.networks[name.name] = s
            case tree.Optimizer(name=name):
                self.declare(name)
                self.optimizer(s)
            case tree.Train():
                self.trainings.train(s, out)
            case tree.Adapted():
                out += self.trainings.adapt(s, ()).lines(self.scene, self.trainings.shown)
            case tree.AddTo():
                self.by_hand.add_to(s, out, blocks)
            case tree.ForBlock(range=head, body=body):
                inner: list[tree.Statement] = []
                out += self.by_hand.enter(s, blocks)
                for line in body:
                    self.statement(line, inner, (*blocks, head))
                self.by_hand.leave(s, blocks)
                out.append(replace(s, body=tuple(inner)))
            case tree.Define() | tree.OutputStatement():
                made = self.calls.rewritten(s, out, blocks)
                out.append(made)
                if isinstance(made, tree.Define):
                    self.learn(made)
            case _:
                out.append(s)

    def learn(self, made: tree.Define) -> None:
        """The width of a family, once it is known."""
        base = made.target.base if isinstance(made.target, tree.Indexed) else made.target
        width = self.scene.width_in(made.value)
        known = self.scene.outer.get(base.name) if isinstance(base, tree.Name) else None
        if width is not None and known is not None and known.width is None and isinstance(base, tree.Name):
            self.scene.outer[base.name] = replace(known, width=width)

    def declare(self, name: tree.Name) -> None:
        if name.name in self.spans:
            raise RefusedError(catalogue.names.defined_twice(name.span, name.name, self.spans[name.name]))
        if (
            name.name in self.scene.outer
            or name.name in self.scene.widths
            or name.name in self.scene.constants
            or name.name in self.scene.functions
        ):
            raise RefusedError(catalogue.trainings.name_taken(name.span, name.name))
        if self.scene.is_elementwise(name.name) or self.scene.is_constant(name.name):
            raise RefusedError(catalogue.names.built_in(name.span, name.name))
        self.spans[name.name] = name.span

    def activation(self, s: tree.Activation, function: tree.Name, out: list[tree.Statement]) -> None:
        if not self.scene.is_elementwise(function.name):
            raise RefusedError(
                catalogue.names.unknown_function(
                    function.span, function.name, [*function_names(), *self.scene.functions]
                )
            )
        m = Maker(s.span)
        made = tree.Function(s.span, s.name, (m.name("s"),), (), m.call(function.name, m.name("s")))
        self.scene.functions[s.name.name] = made
        out.append(made)

    def optimizer(self, s: tree.Optimizer) -> None:
        if s.name.name == "sgd" or s.name.name in (*OPTIMIZERS, *MATRIX_AWARE):
            raise RefusedError(catalogue.names.built_in(s.name.span, s.name.name))
        self.scene.optimizers[s.name.name] = read(s)

    # weights

    def weight(self, s: tree.WeightStatement, out: list[tree.Statement]) -> None:
        self.declare(s.name)
        m, name = Maker(s.span), s.name.name
        rows, columns = self.side(s.rows), self.side(s.columns)
        check_options(s.options, ATTRIBUTES, "a weight")
        options = options_of(s.options)
        ratio = ratios(self.scene.widths, next(iter(self.scene.widths), ""), m)
        kind = kind_of(rows.width is not None, columns.width is not None)
        place, first = self.places[name], next(iter(self.scene.widths), "")
        abc = self.parametrization.exponents(place, s, kind)
        if self.scene.open:
            abc = self.parametrization.open_exponents(place)
        scaling = Scaling(kind, ratio.get(rows.width or ""), ratio.get(columns.width or ""), first, abc)
        names, matrix = self.scene.names, kind == "matrix"
        check_attributes(self.scene, s, options, matrix=matrix)
        defaults = {"std": 0 if kind == "finite" else 1, "scale": 1, "lr": 1}
        std, scale, rate = (
            apart(option_value(options[o]), names) if o in options else m.number(x)
            for o, x in defaults.items()
        )
        if "decoupled" in options and not matrix:
            raise RefusedError(catalogue.networks.decoupled_needs(options["decoupled"].span, name))
        made = Weight(
            name,
            rows,
            columns,
            scaling,
            std,
            scale,
            rate,
            "frozen" in options,
            s,
            matrix=names.fresh(name) if matrix else "",
            back=names.fresh(f"{name}_back") if "decoupled" in options else "",
            initial="" if matrix else names.fresh(f"{name}0"),
            family=self.family(s),
            variables=tuple(axis.variable.name if axis.variable else "" for axis in s.axes),
        )
        self.scene.weights[name] = made
        if made.initial and made.width:
            self.scene.made[made.initial] = made.width
        elif matrix:
            self.scene.matrices[made.matrix] = rows.width or "", columns.width or ""
        out += declarations(made, m, names)

    def networks(self) -> Networks:
        """What the weights and the forward passes of the file are."""
        descents = [
            *(upto.descent for upto in self.trainings.state),
            *(a.descent for a in self.trainings.adapted.values()),
        ]
        infos = []
        for place, s in enumerate(self.weights):
            weight, name = self.scene.weights[s.name.name], s.name.name
            own = [
                family
                for d in descents
                for kept in (d.carried, d.shrinks, d.rates, d.tables)
                if (family := kept.get(name)) is not None
            ]
            trained = any(d.changes(name) for d in descents)
            abc = self.parametrization.exponents(place, s, weight.scaling.kind)
            infos.append(
                WeightInfo(
                    name,
                    weight.scaling.kind,
                    s.columns is None,
                    trained,
                    abc.a.const,
                    abc.b.const,
                    tuple(own),
                    name in self.scene.entrywise,
                    name in self.scene.spectral,
                    self.parametrization.rate(place),
                )
            )
        return Networks(
            tuple(infos), tuple(self.scene.passes), self.parametrization.name, self.parametrization.c
        )

    def family(self, s: tree.WeightStatement) -> tuple[Tree, ...]:
        """The lengths of the axes of a family of weights."""
        for axis in s.axes:
            size = self.scene.integer(axis.count)
            if size is None or size < 0:
                raise RefusedError(catalogue.networks.weight_family(axis.span))
        return tuple(axis.count for axis in s.axes)

    def side(self, side: tree.Name | tree.Literal | None) -> Side:
        if is_one(side):
            return Side(None)
        assert side is not None
        if isinstance(side, tree.Name) and side.name in self.scene.widths:
            return Side(side.name)
        if isinstance(side, tree.Name) and side.name not in self.scene.constants:
            raise RefusedError(catalogue.networks.weight_sides(side.span, side.name))
        if isinstance(side, tree.Literal) and side.value.denominator != 1:
            raise RefusedError(catalogue.networks.weight_sides(side.span, print_tree(side)))
        if self.scene.integer(side) == 0:
            raise RefusedError(catalogue.networks.weight_empty(side.span))
        return Side(None, side)


def constants(file: tree.File, overrides: Mapping[str, int]) -> dict[str, int]:
    """The values of dims; 1 for one that is wrong, which `resolve` will say."""
    found: dict[str, int] = {}
    for s in file.statements:
        if isinstance(s, tree.Dim):
            try:
                value = fraction(s.value, found)
            except (NotANumberError, OverflowError):
                value = Fraction(1)
            found[s.name.name] = overrides.get(s.name.name, int(value))
    return found
