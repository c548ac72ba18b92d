"""Expressions of the tree to elementwise expressions.

Products and means inside them become instructions of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tpc.core import functions
from tpc.core.affine import Affine
from tpc.core.calculus import NotDifferentiableError, differentiate
from tpc.core.expr import (
    ONE,
    ZERO,
    Compare,
    Constant,
    Expr,
    Extent,
    Gather,
    Index,
    Mul,
    Number,
    OuterProduct,
    Ref,
    Value,
    add,
    call,
    coefficient,
    divide,
    is_vector,
    mul,
    neg,
    new_position,
    number,
    outer_product,
    power,
    replace,
    summed,
    values,
    walk,
)
from tpc.core.laws import is_zero
from tpc.core.program import Family, MatMul, Moment, Nonlin, OuterMul, OuterNonlin, Scalar
from tpc.core.spectral import SPECTRAL, SpectralMap, is_spectral, of_constants, spectral_map
from tpc.core.traverse import free_variables
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.lower.block import Binding, Block, Env, size
from tpc.lower.constants import require_number
from tpc.syntax import tree
from tpc.syntax.forms import derivative_of
from tpc.syntax.order import greatest
from tpc.syntax.scope import SCALAR, Local, Loop, Scope
from tpc.syntax.walk import names_in

MAX_SIZE = 20_000  # nodes of one instruction's expression
MAX_FACTORS = 500  # of one product, whose derivative has the square of it
UNNAMED = Ref("")


@dataclass
class ExpressionLowering:
    """Lowers expressions in `scope`, parts going to `block`."""

    scope: Scope
    block: Block
    # inside a function that is differentiated, nothing is hoisted
    elementwise: bool = False

    def lower(self, node: tree.Tree, env: Env) -> Expr:
        match node:
            case tree.Literal(value=value):
                return Number(value)
            case tree.Name(name=name):
                return self.name(name, env)
            case tree.Indexed(base=tree.Name(name=name), index=index):
                return self.member(name, index, env)
            case tree.Applied():
                return self.applied(node, env)
            case tree.Chain(operands=operands, operators=operators):
                return self.chain(node, operands, operators, env)
            case tree.Negated(operand=operand):
                return neg(self.lower(operand, env))
            case tree.Power(base=base, exponent=exponent):
                return self.checked(power(self.lower(base, env), self.lower(exponent, env)), node)
            case tree.MatrixProduct():
                return self.matmul(node, env)
            case tree.Comparison(op=op, left=left, right=right):
                return Compare(op, self.lower(left, env), self.lower(right, env))
            case tree.Mean(body=body):
                return self.mean(body, env)
            case tree.Summation():
                return self.sum(node, env)
        raise AssertionError(f"resolve let {type(node).__name__} through")

    def checked(self, x: Expr, node: tree.Tree) -> Expr:
        """`x`, unless no float can hold it, or it is too large for one instruction.

        Raises RefusedError in these cases.
        """
        require_number(x, node.span)
        if isinstance(x, Mul) and len(x.factors) > MAX_FACTORS:
            raise RefusedError(catalogue.names.too_many_factors(node.span, MAX_FACTORS))
        if size(x, MAX_SIZE) >= MAX_SIZE:
            raise RefusedError(catalogue.names.expands_too_far(node.span, MAX_SIZE))
        return x

    def chain(
        self, node: tree.Tree, operands: Sequence[tree.Tree], operators: Sequence[str], env: Env
    ) -> Expr:
        parts = [self.lower(operand, env) for operand in operands]
        if operators[0] in "+-":
            return add(
                parts[0], *(x if op == "+" else neg(x) for op, x in zip(operators, parts[1:], strict=True))
            )
        factors: list[Expr] = [parts[0]]
        constant: Expr = coefficient(parts[0])
        for op, x, operand in zip(operators, parts[1:], operands[1:], strict=True):
            if op == "/" and is_zero(x):
                raise RefusedError(catalogue.kinds.division_by_zero(operand.span))
            factors.append(x if op == "*" else divide(ONE, x))
            constant = self.checked(mul(constant, coefficient(factors[-1])), operand)
        return self.checked(mul(*factors), node)

    # names

    def name(self, name: str, env: Env) -> Expr:
        if name in env:
            return env[name].value
        if name in functions.CONSTANTS:
            return Constant(name)
        if name in self.scope.widths:
            return Extent(name)
        if name in self.scope.dims:
            return number(self.scope.dims[name])
        return self.member(name, (), env)

    def member(self, name: str, index: Sequence[tree.Tree], env: Env) -> Value:
        symbol = self.scope.symbols[name]
        vector = symbol.what == "vector" or (
            name in self.block.made and self.block.made[name].kind != "scalar"
        )
        return Value(self.ref(name, index, env), vector)

    def ref(self, name: str, index: Sequence[tree.Tree], env: Env) -> Ref:
        return Ref(name, tuple(self.index(i, env) for i in index))

    def index(self, node: tree.Tree, env: Env) -> Index:
        if isinstance(node, tree.Name) and node.name in env and (own := env[node.name].index) is not None:
            return own
        known = (
            {}
            if isinstance(node, tree.Literal)
            else {name: Local(SCALAR, binding.index) for name, binding in env.items()}
        )
        affine = self.scope.affine(node, known)
        if affine is not None:
            return affine
        base, inner = tree.base_and_index(node)
        assert isinstance(base, tree.Name)
        positions = []
        for i in inner:
            position = self.index(i, env)
            assert isinstance(position, Affine)
            positions.append(position)
        return Gather(base.name, tuple(positions))

    # instructions inside expressions

    def matmul(self, node: tree.MatrixProduct, env: Env) -> Value:
        inner, transposed = node.matrix, False
        while isinstance(inner, tree.Transposed):
            inner, transposed = inner.base, not transposed
        base, index = tree.base_and_index(inner)
        assert isinstance(base, tree.Name)
        declared = self.scope.symbols[base.name].node
        if not isinstance(declared, tree.MatrixStatement):
            return self.table_product(node, base.name, index, transposed, env)
        side, other = (declared.columns, declared.rows) if transposed else (declared.rows, declared.columns)
        assert isinstance(side, tree.Name)
        assert isinstance(other, tree.Name)
        operand = self.vector(self.lower(node.operand, env), other.name)
        op = MatMul(UNNAMED, self.ref(base.name, index, env), operand, transposed, origin=self.block.origin)
        return self.block.part(op, Family("", "vector", side.name, ()))

    def table_product(
        self, node: tree.MatrixProduct, name: str, index: Sequence[tree.Tree], transposed: bool, env: Env
    ) -> Value:
        """`A @ x`, the mean over the columns of a table's entries times a vector's, or `A.T @ y`."""
        table = self.block.made[name]
        side, other = (table.columns, table.width) if transposed else (table.width, table.columns)
        assert side is not None
        assert other is not None
        operand = self.vector(self.lower(node.operand, env), other)
        op = OuterMul(UNNAMED, self.ref(name, index, env), operand, transposed, origin=self.block.origin)
        return self.block.part(op, Family("", "vector", side, ()))

    def outer(self, args: Sequence[Expr]) -> Expr:
        """`outer(a, b)`: of vectors under names and of scalars."""
        return outer_product(
            *(self.named(x) if is_vector(x) and not isinstance(x, Value) else x for x in args)
        )

    def spectral(self, name: str, args: Sequence[Expr], indices: Sequence[Affine | None]) -> Expr:
        """A function of tables as operators, each being one under a name."""
        own = SPECTRAL[name]
        count = len(own.tables)
        tables, rest = args[:count], args[count + own.steps :]
        steps = indices[count] if own.steps else Affine(1)
        assert steps is not None
        if tables[0] == ZERO:
            return ZERO
        if not any(map(is_vector, tables)):
            return of_constants(name, steps.const, tables, rest, self.named)
        sides = dict[str, str | None]()
        for letters, family in zip(own.tables, map(self.table, tables), strict=True):
            sides |= {} if family is None else {letters[0]: family.width, letters[1]: family.columns}
        for letter, side in zip(own.result, self.sides_of_line(), strict=True):
            sides[letter] = sides.get(letter) or side
        some = next(side for side in sides.values() if side)
        made = [Family("", "table", sides.get(x[0]) or some, (), sides.get(x[1]) or some) for x in own.tables]
        tables = [self.table_named(x, family) for x, family in zip(tables, made, strict=True)]
        return spectral_map(name, steps.const, tables, rest)

    def sides_of_line(self) -> tuple[str | None, str | None]:
        """The sides of the table that the line makes: those that nothing else tells are these, or any."""
        line = self.block.made[self.block.base]
        return (line.width, line.columns) if line.kind == "table" else (None, None)

    def table_named(self, x: Expr, family: Family) -> Expr:
        """A table under a name."""
        if isinstance(x, Value) and x.vector:
            return x
        return self.block.part(OuterNonlin(UNNAMED, x, origin=self.block.origin), family)

    def table(self, x: Expr) -> Family | None:
        """The family that would have `x` as a member if it is a table, else None."""
        for node in walk(x):
            if isinstance(node, SpectralMap):
                families = [self.table(part) for part in node.tables]
                sides = [(own.width, own.columns) for own in families if own is not None]
                rows, columns = node.signature.result_sides(sides)
                return Family("", "table", rows, (), columns)
            if isinstance(node, OuterProduct):
                line = self.sides_of_line()
                rows, columns = (
                    self.width(part) or side for part, side in zip(node.parts, line, strict=True)
                )
                return Family("", "table", rows or columns, (), columns or rows)
            if isinstance(node, Value) and node.vector and node.ref.name in self.block.made:
                known = self.block.made[node.ref.name]
                return Family("", "table", known.width, (), known.columns) if known.kind == "table" else None
        return None

    def width(self, x: Expr) -> str | None:
        found = (self.block.made[v.ref.name].width for v in values(x) if v.vector)
        return next(found, None)

    def vector(self, x: Expr, width: str) -> Ref:
        """`x` as a vector of the program.

        An instruction of its own makes it if it is not one yet, or has no vector left in it.
        """
        if isinstance(x, Value) and x.vector:
            return x.ref
        return self.block.part(
            Nonlin(UNNAMED, x, origin=self.block.origin), Family("", "vector", width, ())
        ).ref

    def named(self, x: Expr) -> Expr:
        vectors = [v for v in values(x) if v.vector]
        if not vectors:
            return self.block.part(
                Scalar(UNNAMED, x, origin=self.block.origin), Family("", "scalar", None, ())
            )
        table = self.table(x)
        if table is not None:
            return self.block.part(OuterNonlin(UNNAMED, x, origin=self.block.origin), table)
        width = self.block.made[vectors[0].ref.name].width
        return self.block.part(Nonlin(UNNAMED, x, origin=self.block.origin), Family("", "vector", width, ()))

    def mean(self, body: tree.Tree, env: Env) -> Expr:
        x = self.lower(body, env)
        if not is_vector(x):
            return x
        if is_spectral(x) or any(isinstance(node, OuterProduct) for node in walk(x)):
            x = self.named(x)
        return self.block.part(Moment(UNNAMED, x, origin=self.block.origin), Family("", "scalar", None, ()))

    def sum(self, node: tree.Summation, env: Env) -> Expr:
        inner, loops = dict(env), list[Loop]()
        for item in node.ranges:
            count = self.index(item.count, inner)
            assert isinstance(count, Affine)
            with self.block.summing(loops):
                variable = self.block.unused(item.variable.name)
            if not greatest(count, [*self.block.loops, *self.block.sums, *loops]):
                return ZERO  # never a term: what it would refer to is never made
            loops.append(Loop(variable, count))
            inner[item.variable.name] = Binding(new_position(Affine.var(variable)), Affine.var(variable))
        with self.block.summing(loops):
            body = self.lower(node.body, inner)
        for loop in reversed(loops):
            body = summed(loop.variable, loop.count, body)
        return body

    # functions

    def applied(self, node: tree.Applied, env: Env) -> Expr:
        if isinstance(node.function, tree.Name) and node.function.name == "where":
            chosen = call("where", self.lower(node.args[0], env), ONE, ZERO)
            if chosen in (ONE, ZERO):  # what is not chosen need not have a value
                return self.lower(node.args[1 if chosen == ONE else 2], env)
        args = [self.lower(arg, env) for arg in node.args]
        if isinstance(node.function, tree.Name):
            indices = [
                self.scope.affine(arg, {n: Local(SCALAR, b.index) for n, b in env.items()})
                for arg in node.args
            ]
            return self.checked(self.call(node.function.name, args, indices), node)
        derivative = derivative_of(node)
        assert derivative is not None
        name, position = derivative
        order = node.function.order if isinstance(node.function, tree.Primed) else 1
        which = 0 if position is None else self.scope.integer(position)
        assert which is not None
        return self.derivative(node, name.name, which, order, args)

    def call(self, name: str, args: Sequence[Expr], indices: Sequence[Affine | None]) -> Expr:
        symbol = self.scope.symbols.get(name)
        if name == "outer" and symbol is None:
            return self.outer(args)
        if name in SPECTRAL and symbol is None:
            return self.spectral(name, args, indices)
        if symbol is None or not isinstance(symbol.node, tree.Function):
            return functions.written(name, *args)
        function = symbol.node
        inner: dict[str, Binding] = {}
        for parameter, arg, index in zip(function.parameters, args, indices, strict=True):
            inner[parameter.name] = Binding(
                self.shared(arg, self.occurrences(function, parameter.name)), index
            )
        for line in function.body:
            assert isinstance(line.target, tree.Name)
            uses = self.occurrences(function, line.target.name) - 1
            affine = self.scope.affine(line.value, {n: Local(SCALAR, b.index) for n, b in inner.items()})
            inner[line.target.name] = Binding(self.shared(self.lower(line.value, inner), uses), affine)
        return self.lower(function.result, inner)

    def occurrences(self, function: tree.Function, name: str) -> int:
        return sum(node.name == name for part in (*function.body, function.result) for node in names_in(part))

    def shared(self, x: Expr, uses: int) -> Expr:
        """`x` under a name if it is used more than once and is more than a few nodes."""
        return x if self.elementwise or uses < 2 or size(x, 5) < 5 or self.free_sums(x) else self.named(x)

    def free_sums(self, x: Expr) -> bool:
        return bool(free_variables(x) & {loop.variable for loop in self.block.sums})

    def derivative(self, node: tree.Applied, name: str, which: int, order: int, args: Sequence[Expr]) -> Expr:
        """`φ'(…)`: the function on placeholders, differentiated, and the arguments put in."""
        slots = [Value(Ref(f"${i}"), is_vector(arg)) for i, arg in enumerate(args)]
        outer, self.elementwise = self.elementwise, True
        body = self.call(name, slots, [None] * len(slots))
        self.elementwise = outer
        for _ in range(order):
            try:
                body = differentiate(
                    body, lambda x: ONE if x == slots[which] else ZERO if isinstance(x, Value) else None
                )
            except NotDifferentiableError as error:
                raise RefusedError(catalogue.kinds.no_derivative(node.span, error.function)) from None
            self.checked(body, node)
        uses = [sum(x == slot for x in walk(body)) for slot in slots]
        given = {slot: self.shared(arg, count) for slot, arg, count in zip(slots, args, uses, strict=True)}
        return self.checked(replace(body, lambda x: given.get(x) if isinstance(x, Value) else None), node)
