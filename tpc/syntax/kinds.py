"""The kind of every expression: scalar, or vector of a width.

On the way every reference is collected, for `order` to check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tpc.core.affine import Affine
from tpc.core.functions import CONSTANTS, arity, function_names, is_function
from tpc.core.spectral import SPECTRAL
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic
from tpc.diagnostics.spans import Span
from tpc.syntax import table_kinds, tree
from tpc.syntax.forms import derivative_of, is_rational
from tpc.syntax.order import Reference
from tpc.syntax.scope import CONDITION, SCALAR, UNKNOWN, Kind, Local, Loop, Scope, Symbol

Env = Mapping[str, Local]
MAX_PARTS = 200_000  # parts of a program once its functions are expanded


class Kinds:
    """Infers kinds in `scope`, given what is known of the families so far. Errors and uses are appended."""

    def __init__(
        self, scope: Scope, families: Mapping[str, Kind], errors: list[Diagnostic], uses: list[Reference]
    ) -> None:
        self.scope = scope
        self.families = families
        self.errors = errors
        self.uses = uses
        self.loops: tuple[Loop, ...] = ()
        self.stamp = Affine()
        self.calls: list[str] = []
        self.parts = 0
        self.tabular = False  # whether a table is being defined
        self.fresh = 0

    def defined(self, node: tree.Define, loops: Sequence[Loop], stamp: Affine) -> Kind:
        """The kind of what a definition inside `loops` makes."""
        self.tabular = bool(node.sides)
        kind = self.define(node.value, loops, stamp)
        self.tabular = False
        if node.sides:
            found = table_kinds.declared(node.value, kind, *map(_text, node.sides))
            return found if isinstance(found, Kind) else self.fail(found)
        if kind.name == "table":
            base = node.target.base if isinstance(node.target, tree.Indexed) else node.target
            name = base.name if isinstance(base, tree.Name) else ""
            rows, columns = (side or "n" for side in table_kinds.sides(kind))
            return self.fail(catalogue.tables.table_undeclared(node.target.span, name, rows, columns))
        return kind

    def define(self, value: tree.Tree, loops: Sequence[Loop], stamp: Affine) -> Kind:
        """The kind of the right side of a definition inside `loops`."""
        self.loops, self.stamp = tuple(loops), stamp
        kind = self.infer(value, {loop.variable: Local(SCALAR, Affine.var(loop.variable)) for loop in loops})
        if kind.name == CONDITION.name:
            self.errors.append(catalogue.kinds.condition_misplaced(value.span))
            return UNKNOWN
        return kind

    def fail(self, diagnostic: Diagnostic) -> Kind:
        self.errors.append(diagnostic)
        return UNKNOWN

    def infer(self, node: tree.Tree, env: Env) -> Kind:
        self.parts += 1
        if self.parts > MAX_PARTS:
            if self.parts == MAX_PARTS + 1:
                self.errors.append(catalogue.names.expands_too_far(node.span, MAX_PARTS))
            return UNKNOWN
        match node:
            case tree.Literal():
                return SCALAR
            case tree.Name():
                return self.name(node, env)
            case tree.Indexed(base=base, index=index):
                return self.indexed(node, base, index, env)
            case tree.Transposed():
                return self.fail(table_kinds.transposed(node, self.families))
            case tree.Primed(base=base):
                shown = base.name if isinstance(base, tree.Name) else "this"
                return self.fail(catalogue.names.function_as_value(node.span, shown))
            case tree.Applied():
                return self.applied(node, env)
            case tree.Chain(operands=operands, operators=operators):
                return self.chain(operands, operators, env)
            case tree.Negated(operand=operand):
                return self.join([(operand, self.infer(operand, env))])
            case tree.Power(base=base, exponent=exponent):
                if self.is_width(base, env) and is_rational(exponent, self.scope.exponents):
                    return SCALAR
                return self.join([(x, self.infer(x, env)) for x in (base, exponent)])
            case tree.MatrixProduct():
                return self.matmul(node, env)
            case tree.Comparison(left=left, right=right):
                kind = self.join([(x, self.infer(x, env)) for x in (left, right)])
                return kind if kind.name == "unknown" else replace(kind, name=CONDITION.name)
            case tree.Mean(body=body):
                self.join([(body, self.infer(body, env))])
                return SCALAR  # whatever is wrong inside, or not known yet
            case tree.Summation():
                return self.sum(node, env)
            case tree.Attribute():
                shown = node.base.name if isinstance(node.base, tree.Name) else ""
                return self.fail(catalogue.networks.not_a_network(node.base.span, shown, ()))

    # names

    def name(self, node: tree.Name, env: Env) -> Kind:
        if node.name in env:
            return replace(env[node.name].kind, at=node.span)
        if node.name in CONSTANTS or node.name in self.scope.dims:
            return SCALAR
        symbol = self.scope.symbols.get(node.name)
        if symbol is None:
            if is_function(node.name):
                return self.fail(catalogue.names.function_as_value(node.span, node.name))
            return self.fail(catalogue.names.unknown_name(node.span, node.name, [*self.scope.symbols, *env]))
        if symbol.what == "function":
            return self.fail(catalogue.names.function_as_value(node.span, node.name))
        if symbol.what == "width":
            return self.fail(catalogue.laws.width_misplaced(node.span, node.name))
        if symbol.what == "matrix":
            return self.matrix_as_value(node.span, node.name)
        return self.member(node.span, node.name, symbol, (), env)

    def indexed(self, node: tree.Tree, base: tree.Tree, index: Sequence[tree.Tree], env: Env) -> Kind:
        if not isinstance(base, tree.Name) or base.name in env:
            return self.fail(catalogue.indices.bad_target(node.span))
        symbol = self.scope.symbols.get(base.name)
        if symbol is None:
            return self.fail(catalogue.names.unknown_name(base.span, base.name, self.scope.symbols))
        if symbol.what == "matrix":
            return self.matrix_as_value(node.span, base.name)
        if symbol.what in ("function", "width", "dim"):
            return self.fail(catalogue.indices.index_count(node.span, base.name, 0, len(index)))
        return self.member(node.span, base.name, symbol, index, env)

    def matrix_as_value(self, span: Span, name: str) -> Kind:
        wrong = catalogue.tables.matrix_in_a_table if self.tabular else catalogue.kinds.matrix_misplaced
        return self.fail(wrong(span, name))

    def member(self, span: Span, name: str, symbol: Symbol, index: Sequence[tree.Tree], env: Env) -> Kind:
        """A reference to a value; recorded."""
        if len(index) != symbol.axes:
            return self.fail(catalogue.indices.index_count(span, name, symbol.axes, len(index)))
        self.record(span, name, index, env)
        if symbol.what == "family":
            return replace(self.families.get(name, UNKNOWN), at=span)
        return replace(symbol.kind, at=span)

    def record(self, span: Span, name: str, index: Sequence[tree.Tree], env: Env) -> None:
        affine, extra = [], []
        for i in index:
            value = self.scope.affine(i, env)
            if value is None:
                bound = self.gather(i, env)
                if bound is None:
                    self.errors.append(catalogue.indices.not_affine(i.span))
                    return
                self.fresh += 1
                extra.append(Loop(f"#{self.fresh}", Affine(bound)))
                value = Affine.var(extra[-1].variable)
            affine.append(value)
        self.uses.append(Reference(name, tuple(affine), (*self.loops, *extra), self.stamp, span))

    def gather(self, node: tree.Tree, env: Env) -> int | None:
        """The bound of an index that is read from an input declared `: index(d)`, else None."""
        base, index = tree.base_and_index(node)
        if not isinstance(base, tree.Name) or base.name in env:
            return None
        symbol = self.scope.symbols.get(base.name)
        if symbol is None or symbol.bound is None:
            return None
        inside = next((i for i in index if self.scope.affine(i, env) is None), None)
        if inside is not None:
            self.errors.append(catalogue.indices.index_in_index(inside.span))
        else:
            self.member(node.span, base.name, symbol, index, env)
        return symbol.bound

    # operators

    def chain(self, operands: Sequence[tree.Tree], operators: Sequence[str], env: Env) -> Kind:
        for op, operand in zip(operators, operands[1:], strict=True):
            if op == "/" and isinstance(operand, tree.Literal) and not operand.value:
                self.errors.append(catalogue.kinds.division_by_zero(operand.span))
        products = operators[0] in "*/"
        return self.join(
            [(x, SCALAR if products and self.is_width(x, env) else self.infer(x, env)) for x in operands]
        )

    def is_width(self, node: tree.Tree, env: Env) -> bool:
        return isinstance(node, tree.Name) and node.name not in env and node.name in self.scope.widths

    def join(self, items: Sequence[tuple[tree.Tree, Kind]]) -> Kind:
        """The kind of an elementwise combination."""
        if any(kind.name == "table" for _, kind in items):
            found = table_kinds.joined(items)
            return found if isinstance(found, Kind) else self.fail(found)
        out, unknown = SCALAR, False
        for node, kind in items:
            if kind.name == "condition":
                return self.fail(catalogue.kinds.condition_misplaced(node.span))
            unknown |= kind.name == "unknown"
            if kind.name == "vector":
                if out.name == "vector" and out.width != kind.width:
                    return self.fail(
                        catalogue.kinds.mixed_widths(
                            kind.at or node.span, str(kind.width), out.at or node.span, str(out.width)
                        )
                    )
                out = out if out.name == "vector" else kind
        return UNKNOWN if unknown and out.name != "vector" else out

    def matmul(self, node: tree.MatrixProduct, env: Env) -> Kind:
        if (wrong := table_kinds.product(node, self.families)) is not None:
            return self.fail(wrong)
        operand = self.infer(node.operand, env)
        found = self.matrix(node.matrix, env)
        if found is None:
            return UNKNOWN
        name, (rows, columns), transposed, at = found
        if transposed:
            rows, columns = columns, rows
        result = Kind("vector", rows, at=node.span)
        if operand.name == "table":
            what = f"what {name} is multiplied to"
            return self.fail(catalogue.tables.table_misplaced(node.operand.span, what))
        if operand.name == "condition":
            return self.fail(catalogue.kinds.condition_misplaced(node.operand.span))
        if operand.name == "scalar":
            return self.fail(catalogue.kinds.vector_due(node.operand.span, f"what {name} is multiplied to"))
        if operand.name == "vector" and operand.width != columns:
            shown, other = (f"{name}.T", name) if transposed else (name, f"{name}.T")
            remedy = f"`{other} @ …` has the right side" if operand.width == rows else None
            return self.fail(
                catalogue.kinds.wrong_side(node.operand.span, shown, columns, str(operand.width), at, remedy)
            )
        return result

    def matrix(self, node: tree.Tree, env: Env) -> tuple[str, tuple[str, str], bool, Span] | None:
        """The matrix, or the table, on the left of `@`.

        Its name, its sides, whether it is transposed, and where it was declared.
        """
        transposed = False
        inner = node
        while isinstance(inner, tree.Transposed):
            transposed, inner = not transposed, inner.base
        base, index = tree.base_and_index(inner)
        symbol = (
            self.scope.symbols.get(base.name)
            if isinstance(base, tree.Name) and base.name not in env
            else None
        )
        known = self.families.get(base.name, UNKNOWN) if isinstance(base, tree.Name) else UNKNOWN
        if symbol is None or not (symbol.what == "matrix" or known.name == "table"):
            if symbol is not None and symbol.what == "family" and known.name == "unknown":
                return None
            if (
                isinstance(base, tree.Name)
                and symbol is None
                and base.name not in env
                and not is_function(base.name)
            ):
                self.errors.append(catalogue.names.unknown_name(base.span, base.name, self.scope.symbols))
            else:
                self.errors.append(catalogue.kinds.not_a_matrix(node.span))
            return None
        assert isinstance(base, tree.Name)
        if len(index) != symbol.axes:
            self.errors.append(catalogue.indices.index_count(inner.span, base.name, symbol.axes, len(index)))
            return None
        self.record(inner.span, base.name, index, env)
        if known.name == "table":
            return base.name, table_kinds.sides(known), transposed, symbol.span
        assert isinstance(symbol.node, tree.MatrixStatement)
        return base.name, (_text(symbol.node.rows), _text(symbol.node.columns)), transposed, symbol.span

    def sum(self, node: tree.Summation, env: Env) -> Kind:
        inner, loops = dict(env), self.loops
        for item in node.ranges:
            name = item.variable
            if name.name in inner or name.name in self.scope.symbols:
                self.errors.append(catalogue.names.shadows(name.span, name.name))
            count = self.scope.affine(item.count, inner)
            if count is None:
                self.errors.append(catalogue.indices.not_affine(item.count.span))
                count = Affine()
            self.fresh += 1
            variable = f"{name.name}#{self.fresh}"
            self.loops = (*self.loops, Loop(variable, count))
            inner[name.name] = Local(SCALAR, Affine.var(variable))
        kind = self.join([(node.body, self.infer(node.body, inner))])
        self.loops = loops
        return kind

    # functions

    def applied(self, node: tree.Applied, env: Env) -> Kind:
        if isinstance(node.function, tree.Name) and node.function.name not in env:
            return self.call(node, node.function, node.args, env)
        derivative = derivative_of(node)
        if derivative is None:
            return self.fail(catalogue.names.unknown_function(node.function.span, "", function_names()))
        function, argument = derivative
        count = self.scope.argument_count(function, len(node.args))
        if argument is None and count is not None and count != 1:
            return self.fail(catalogue.kinds.which_derivative(node.function.span, function.name, count))
        if isinstance(node.function, tree.Applied):
            position = self.scope.integer(node.function.args[1])
            if position is None:
                return UNKNOWN
            if count is not None and not 0 <= position < count:
                return self.fail(
                    catalogue.names.no_such_argument(
                        node.function.args[1].span, function.name, count, position
                    )
                )
        if not self.scope.is_elementwise(function):
            return self.fail(catalogue.kinds.derivative_of_program(node.function.span, function.name))
        return self.call(node, function, node.args, env)

    def call(self, node: tree.Applied, function: tree.Name, args: Sequence[tree.Tree], env: Env) -> Kind:
        kinds = [self.infer(arg, env) for arg in args]
        symbol = self.scope.symbols.get(function.name)
        if symbol is not None and isinstance(symbol.node, tree.Function):
            return self.expand(node, symbol.node, args, kinds, env)
        if function.name in ("outer", *SPECTRAL) and symbol is None:
            found = table_kinds.made_kind(node, function.name, kinds, self.scope.integer)
            return found if isinstance(found, Kind) else self.fail(found)
        if not is_function(function.name):
            known = [
                *function_names(),
                *(name for name, s in self.scope.symbols.items() if s.what == "function"),
            ]
            return self.fail(catalogue.names.unknown_function(function.span, function.name, known))
        least, most = arity(function.name)
        if not least <= len(args) <= most:
            return self.fail(catalogue.names.arguments(node.span, function.name, least, most, len(args)))
        if function.name != "where":
            return self.join(list(zip(args, kinds, strict=True)))
        if kinds[0].name not in ("condition", "unknown"):
            return self.fail(catalogue.kinds.condition_due(args[0].span))
        tested = (
            kinds[0]
            if kinds[0].name == "unknown"
            else replace(kinds[0], name="vector" if kinds[0].columns is None else "table")
            if kinds[0].width is not None
            else SCALAR
        )
        return self.join([(args[0], tested), *zip(args[1:], kinds[1:], strict=True)])

    def expand(
        self,
        node: tree.Applied,
        function: tree.Function,
        args: Sequence[tree.Tree],
        kinds: Sequence[Kind],
        env: Env,
    ) -> Kind:
        name = function.name.name
        if name in self.calls:
            return self.fail(catalogue.names.recursive(node.span, name))
        if len(args) != len(function.parameters):
            return self.fail(
                catalogue.names.arguments(
                    node.span, name, len(function.parameters), len(function.parameters), len(args)
                )
            )
        inner: dict[str, Local] = {}
        for parameter, arg, kind in zip(function.parameters, args, kinds, strict=True):
            if kind.name == "condition":
                return self.fail(catalogue.kinds.condition_misplaced(arg.span))
            inner[parameter.name] = Local(kind, self.scope.affine(arg, env))
        self.calls.append(name)
        for line in function.body:
            if not isinstance(line.target, tree.Name) or line.clauses:
                self.errors.append(catalogue.indices.bad_target(line.target.span))
                continue
            if line.target.name in inner:
                self.errors.append(catalogue.names.shadows(line.target.span, line.target.name))
            inner[line.target.name] = Local(
                self.infer(line.value, inner), self.scope.affine(line.value, inner)
            )
        kind = self.infer(function.result, inner)
        self.calls.pop()
        return replace(kind, at=node.span)


def _text(side: tree.Name | tree.Literal) -> str:
    return side.name if isinstance(side, tree.Name) else str(side.value)
