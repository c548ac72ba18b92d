"""Declarations: ratios of widths, defaults of inputs, and the laws of matrices and vectors."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from tpc.core.affine import Affine
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic
from tpc.syntax import tree
from tpc.syntax.kinds import Kinds
from tpc.syntax.scope import SCALAR, Local, NotANumberError, Scope, fraction
from tpc.syntax.walk import names_in, walk


def check_laws(file: tree.File, scope: Scope, errors: list[Diagnostic]) -> None:
    for statement in file.statements:
        match statement:
            case tree.WidthStatement(name=name, ratio=ratio):
                _width(name, ratio, scope, errors)
            case tree.InputStatement(default=default) if default is not None:
                _given(default, {}, scope, errors, widths=False)
                default_value(default, scope)
            case tree.MatrixStatement(declared=declared):
                for side in (statement.rows, statement.columns):
                    check_side(side, scope, errors)
                for item in declared:
                    _matrix(statement, item, scope, errors)
            case tree.Vector(declared=declared):
                check_side(statement.width, scope, errors)
                _vector(statement, scope, errors)


def default_value(node: tree.Tree, scope: Scope) -> Fraction | None:
    """The number that an input has if none is given. It is known before the program runs."""
    try:
        return fraction(node, scope.dims)
    except NotANumberError as unknown:
        scope.errors.append(catalogue.indices.dim_value(unknown.span, unknown.why))
    except OverflowError:
        scope.errors.append(catalogue.kinds.overflow(node.span))
    return None


def _width(name: tree.Name, ratio: tree.Tree | None, scope: Scope, errors: list[Diagnostic]) -> None:
    first = scope.widths[0] if scope.widths else name.name
    if name.name == first:
        if ratio is not None:
            errors.append(catalogue.laws.width_ratio(ratio.span, "n"))
    elif ratio is None:
        errors.append(catalogue.laws.width_ratio(name.span, first))
    else:
        before = len(errors)
        _given(ratio, {}, scope, errors, widths=True)
        names = {node.name for node in names_in(ratio) if node.name in scope.widths}
        if len(errors) == before and (names != {first} or degree(ratio, {first}) != 1):
            errors.append(catalogue.laws.width_ratio(ratio.span, first))


def check_side(side: tree.Name | tree.Literal, scope: Scope, errors: list[Diagnostic]) -> None:
    if not isinstance(side, tree.Name) or side.name not in scope.widths:
        text = side.name if isinstance(side, tree.Name) else str(side.value)
        known = isinstance(side, tree.Literal) or side.name in scope.symbols
        errors.append(
            catalogue.laws.not_a_width(side.span, text)
            if known
            else catalogue.names.unknown_name(side.span, text, scope.symbols)
        )


def axis_variables(declared: tree.Declared) -> dict[str, Local]:
    return {
        axis.variable.name: Local(SCALAR, Affine.var(axis.variable.name))
        for axis in declared.axes
        if axis.variable
    }


def _matrix(
    statement: tree.MatrixStatement, item: tree.Declared, scope: Scope, errors: list[Diagnostic]
) -> None:
    law, columns = statement.law, statement.columns
    if isinstance(law.mean, tree.ListOf) or isinstance(law.covariance, tree.ListOf):
        errors.append(catalogue.laws.law_shape(law.span, "a matrix has one mean and one variance"))
        return
    if not (isinstance(law.mean, tree.Literal) and not law.mean.value):
        errors.append(catalogue.laws.matrix_mean(law.mean.span))
    before = len(errors)
    _given(law.covariance, axis_variables(item), scope, errors, widths=True)
    power = degree(law.covariance, set(scope.widths))
    if len(errors) == before and power != -1 and isinstance(columns, tree.Name):
        shown = _shown_power(power, columns.name)
        errors.append(catalogue.laws.variance_power(law.covariance.span, shown, columns.name))


def _shown_power(power: Fraction | None, width: str) -> str:
    if power is None:
        return "no single power"
    if power == 0:
        return "1"
    return f"{width}^{power}" if power.denominator == 1 else f"{width}^({power})"


def _vector(statement: tree.Vector, scope: Scope, errors: list[Diagnostic]) -> None:
    law, declared = statement.law, statement.declared
    env = axis_variables(declared[0])
    if statement.joint:
        for other in declared[1:]:
            if [axis.count for axis in other.axes] != [axis.count for axis in declared[0].axes]:
                errors.append(
                    catalogue.laws.law_shape(other.span, "jointly Gaussian vectors have the same axes")
                )
                return
            env |= axis_variables(other)
        size = len(declared)
        if not (isinstance(law.mean, tree.ListOf) and len(law.mean.items) == size):
            errors.append(catalogue.laws.law_shape(law.mean.span, f"the mean must be a list of {size}"))
            return
        rows = law.covariance.items if isinstance(law.covariance, tree.ListOf) else ()
        if len(rows) != size or not all(
            isinstance(row, tree.ListOf) and len(row.items) == size for row in rows
        ):
            errors.append(
                catalogue.laws.law_shape(
                    law.covariance.span, f"the covariance must be {size} lists of {size}"
                )
            )
            return
    elif isinstance(law.mean, tree.ListOf) or isinstance(law.covariance, tree.ListOf):
        errors.append(catalogue.laws.law_shape(law.span, "a single vector has one mean and one variance"))
        return
    for entry in entries(law):
        if isinstance(entry, tree.ListOf):
            errors.append(catalogue.laws.law_shape(entry.span, "lists are nested too deep"))
        else:
            for item in declared if not statement.joint else declared[:1]:
                _given(entry, env | axis_variables(item), scope, errors, widths=False)


def entries(law: tree.Gaussian) -> list[tree.Tree | tree.ListOf]:
    """The expressions of a law: means first, then covariances by rows."""
    out: list[tree.Tree | tree.ListOf] = []
    for part, depth in ((law.mean, 1), (law.covariance, 2)):
        level: list[tree.Tree | tree.ListOf] = [part]
        for _ in range(depth):
            level = [
                inner
                for item in level
                for inner in (item.items if isinstance(item, tree.ListOf) else (item,))
            ]
        out += level
    return out


def _given(
    node: tree.Tree, axes: Mapping[str, Local], scope: Scope, errors: list[Diagnostic], *, widths: bool
) -> None:
    """Checks that `node` is a scalar made of numbers, inputs, dims and the variables of axes.

    widths: it may have widths in it, too.
    """
    env = {**axes, **({w: Local(SCALAR) for w in scope.widths} if widths else {})}
    for name in names_in(node):
        symbol = scope.symbols.get(name.name)
        if symbol is not None and symbol.what in ("family", "vector") and name.name not in env:
            errors.append(catalogue.laws.not_given(name.span, name.name))
            return
        if not widths and name.name in scope.widths and name.name not in env:
            errors.append(catalogue.laws.width_misplaced(name.span, name.name, law=True))
            return
    for inner in walk(node):
        if isinstance(inner, tree.Mean | tree.MatrixProduct):
            errors.append(catalogue.laws.not_given(inner.span, "this"))
            return
    kind = Kinds(scope, {}, errors, []).infer(node, env)
    if kind.name == "condition":
        errors.append(catalogue.kinds.condition_misplaced(node.span))


def degree(node: tree.Tree, widths: set[str]) -> Fraction | None:
    """The power of the widths in a scalar expression, None if it is not a single one."""
    match node:
        case tree.Name(name=name):
            return Fraction(name in widths)
        case tree.Negated(operand=operand):
            return degree(operand, widths)
        case tree.Chain(operands=operands, operators=operators):
            powers = [degree(x, widths) for x in operands]
            if any(p is None for p in powers):
                return None
            known = [p for p in powers if p is not None]
            if operators[0] in "+-":
                return known[0] if len(set(known)) == 1 else None
            return known[0] + sum(p if op == "*" else -p for op, p in zip(operators, known[1:], strict=True))
        case tree.Power(base=base, exponent=exponent):
            power = degree(base, widths)
            if power == 0 and degree(exponent, widths) == 0:
                return Fraction(0)
            negative = isinstance(exponent, tree.Negated)
            inner = exponent.operand if isinstance(exponent, tree.Negated) else exponent
            if power is None or not isinstance(inner, tree.Literal):
                return None
            return power * (-inner.value if negative else inner.value)
        case tree.Applied(function=tree.Name(name="sqrt"), args=(argument,)):
            power = degree(argument, widths)
            return None if power is None else power / 2
        case tree.Applied(args=args):
            return Fraction(0) if all(degree(x, widths) == 0 for x in args) else None
        case tree.Comparison(left=left, right=right):
            return Fraction(0) if degree(left, widths) == degree(right, widths) == 0 else None
        case tree.Summation(body=body):
            return degree(body, widths)
        case tree.Literal() | tree.Indexed():
            return Fraction(0)
    return None
