"""Programs and expressions as text in the core language. Parsing what is printed gives the same program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from tpc.core.affine import Affine
from tpc.core.apart import variables_apart
from tpc.core.expr import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Call,
    Compare,
    Constant,
    Expr,
    Extent,
    Mul,
    Number,
    OuterProduct,
    Position,
    Pow,
    Ref,
    Sum,
    Value,
    brackets,
    is_vector,
    mul,
    power,
)
from tpc.core.names import SplitName
from tpc.core.program import (
    Axis,
    Family,
    For,
    Gaussians,
    Input,
    MatMul,
    Matrix,
    Moment,
    Nonlin,
    Op,
    OuterMul,
    OuterNonlin,
    Program,
    Scalar,
    all_families,
)
from tpc.core.spectral import SpectralEntry, SpectralMap
from tpc.core.traverse import substitute_ref


def as_written(ref: Ref) -> str:
    """A member as messages show it.

    What has got a number, as expressions without a name have, by what it is a part of.
    """
    return str(Ref(SplitName.of(ref.name).base or ref.name, ref.index))


SUM, PRODUCT, UNARY, POWER, ATOM = range(5)  # binding strengths
DIGITS = 60  # that a number of a file may have


def print_fraction(value: Fraction) -> str:
    return (
        _whole(value.numerator)
        if value.denominator == 1
        else f"{_whole(value.numerator)}/{_whole(value.denominator)}"
    )


def _whole(value: int) -> str:
    """A whole number as a file may have it: of more digits than a number of a file has, as a sum of such."""
    digits = str(abs(value))
    if len(digits) <= DIGITS:
        return str(value)
    mantissa = digits.rstrip("0")
    if len(mantissa) <= DIGITS:
        return f"{'-' * (value < 0)}{mantissa}e{len(digits) - len(mantissa)}"
    parts = [
        f"{digits[max(0, end - DIGITS) : end]}e{len(digits) - end}" for end in range(len(digits), 0, -DIGITS)
    ]
    return f"{'-' * (value < 0)}({' + '.join(reversed(parts))})"


def print_expr(x: Expr, strength: int = SUM) -> str:
    """`x` as text, in parentheses if it binds less than `strength`."""
    text, own = _print(x)
    return f"({text})" if own < strength else text


def _print(x: Expr) -> tuple[str, int]:
    match x:
        case Number(value):
            return print_fraction(
                value
            ), ATOM if value >= 0 and value.denominator == 1 else SUM if value < 0 else PRODUCT
        case Constant(name):
            return name, ATOM
        case Extent(width):
            return width, ATOM
        case Position(index):
            return str(index), ATOM if str(index).isalnum() else SUM
        case Value(ref, _):
            return str(ref), ATOM
        case Add(terms):
            return _print_sum(terms), SUM
        case Mul(factors):
            return _print_product(factors)
        case Pow(base, exponent):
            if exponent == MINUS_ONE:
                return f"1/{print_expr(base, POWER)}", PRODUCT
            return f"{print_expr(base, ATOM)}^{print_expr(exponent, ATOM)}", POWER
        case Call(function, args):
            return f"{function}({', '.join(print_expr(a) for a in args)})", ATOM
        case Compare(op, left, right):
            return f"{print_expr(left)} {op} {print_expr(right)}", SUM
        case OuterProduct(rows, columns):
            return f"outer({print_expr(rows)}, {print_expr(columns)})", ATOM
        case SpectralMap(function, steps, tables, coefficients):
            counted = [str(steps)] if x.signature.steps else []
            own = [*map(print_expr, tables), *counted, *map(print_expr, coefficients)]
            return f"{function}({', '.join(own)})", ATOM
        case SpectralEntry(function, steps, _, _, cells, coefficients, block, at):
            made_of = ", ".join(print_expr(part) for part in (*cells, *coefficients))
            return f"{function}({made_of}; {steps}){brackets([*block, *map(print_expr, at)])}", ATOM
        case Sum(variable, count, body):
            return f"sum({variable} < {count}: {print_expr(body)})", ATOM
    raise TypeError(f"no text for {type(x).__name__}")


def _print_sum(terms: Sequence[Expr]) -> str:
    out = ""
    for term in terms:
        negative = (isinstance(term, Number) and term.value < 0) or (
            isinstance(term, Mul) and isinstance(term.factors[0], Number) and term.factors[0].value < 0
        )
        body = print_expr(mul(MINUS_ONE, term) if negative else term, PRODUCT)
        out += (" - " if negative else " + ") + body if out else ("-" if negative else "") + body
    return out


def _print_product(factors: Sequence[Expr]) -> tuple[str, int]:
    head, rest = factors[0], factors[1:]
    sign = ""
    if isinstance(head, Number):
        sign = "-" if head.value < 0 else ""
        factors = rest if abs(head.value) == 1 else (Number(abs(head.value)), *rest)
    text = ""
    for factor in factors:
        match factor:
            case Pow(base, Number(k)) if k.denominator == 1 and k < 0:
                body = print_expr(power(base, Number(-k)), POWER)
                text = f"{text}/{body}" if text else f"1/{body}"
            case _:
                body = print_expr(factor, PRODUCT if isinstance(factor, Number) else UNARY)
                text = f"{text}*{body}" if text else body
    return sign + text, SUM if sign else PRODUCT


def print_axes(axes: Sequence[Axis]) -> str:
    return brackets([f"{variable} < {count}" for variable, count in axes])


def _print_input(item: Input) -> str:
    bound = "" if item.bound is None else f" : index({item.bound})"
    default = "" if item.default is None else f" = {print_expr(Number(item.default))}"
    return f"input {item.name}{brackets(item.shape)}{bound}{default}"


def _print_matrix(m: Matrix) -> str:
    return (
        f"matrix {m.name}{print_axes(m.axes)} : {m.rows} x {m.columns} ~ N(0, "
        f"{print_expr(m.variance, PRODUCT)}/{m.columns})"
    )


def _print_gaussians(g: Gaussians) -> str:
    names = [name + print_axes(g.axes) for name in g.names]
    if len(names) == 1:
        return f"vector {names[0]} : {g.width} ~ N({print_expr(g.mean[0])}, {print_expr(g.covariance[0][0])})"
    mean = ", ".join(print_expr(x) for x in g.mean)
    rows = ", ".join(f"[{', '.join(print_expr(x) for x in row)}]" for row in g.covariance)
    return f"vector ({', '.join(names)}) : {g.width} ~ N([{mean}], [{rows}])"


def _sides(ref: Ref, families: Mapping[str, Family]) -> str:
    """The sides of a table as they are declared, if they are known."""
    family = families.get(ref.name)
    return "" if family is None else f" : {family.width} x {family.columns}"


def print_op(op: Op, indent: str = "", families: Mapping[str, Family] | None = None) -> list[str]:
    """The lines of an instruction, or of a loop. families: those of the program, for the sides of tables."""
    families = families or {}
    match op:
        case OuterNonlin(out, phi):
            return [f"{indent}table {out}{_sides(out, families)} = {print_expr(phi)}"]
        case OuterMul(out, matrix, operand, transposed) | MatMul(out, matrix, operand, transposed):
            return [f"{indent}{out} = {matrix}{'.T' * transposed} @ {operand}"]
        case Nonlin(out, phi) | Scalar(out, phi):
            return [f"{indent}{out} = {print_expr(phi)}"]
        case Moment(out, phi):
            return [f"{indent}{out} = mean({print_expr(phi)})"]
        case For(variable, count, body):
            return [
                f"{indent}for {variable} < {count}:",
                *(line for inner in body for line in print_op(inner, indent + "    ", families)),
            ]
    raise TypeError(f"no text for {type(op).__name__}")


def _print_body(
    body: Sequence[Op], indent: str, families: Mapping[str, Family], made: dict[str, Ref]
) -> list[str]:
    """A body as text that parses.

    Where no vector is left in the φ of a Nonlin, 0 times one of its width is added, which tells its kind.

    made: for a width, a vector that is made by now; what the body makes
    is added.
    """
    lines = []
    for op in body:
        if isinstance(op, For):
            inner = dict(made)
            lines += [
                f"{indent}for {op.variable} < {op.count}:",
                *_print_body(op.body, indent + "    ", families, inner),
            ]
            if op.count.constant:
                made |= {
                    width: substitute_ref(ref, {op.variable: Affine(0)})
                    for width, ref in inner.items()
                    if width not in made
                }
            continue
        own = families[op.out.name]
        width = own.width if own.kind == "vector" and own.width else ""
        if isinstance(op, Nonlin) and not is_vector(op.phi) and width in made:
            lines.append(
                f"{indent}{op.out} = {'' if op.phi == ZERO else print_expr(op.phi) + ' + '}0*{made[width]}"
            )
        else:
            lines += print_op(op, indent, families)
        if width:
            made.setdefault(width, op.out)
    return lines


def print_program(program: Program) -> str:
    program = variables_apart(program)
    lines = [f"program {program.name}"]
    for i, width in enumerate(program.widths):
        ratio = (
            ""
            if i == 0
            else f" = {print_expr(width.ratio, PRODUCT)}*{program.widths[0].name}"
            if width.ratio != ONE
            else f" = {program.widths[0].name}"
        )
        lines.append(f"width {width.name}{ratio}")
    lines += [_print_input(item) for item in program.inputs]
    lines += [_print_matrix(m) for m in program.matrices]
    lines += [_print_gaussians(g) for g in program.gaussians]
    given = {
        g.width: Ref(g.names[0], tuple(Affine(0) for _ in g.axes))
        for g in reversed(program.gaussians)
        if all(count for _, count in g.axes)
    }
    lines += _print_body(program.body, "", all_families(program), given)
    for output in program.outputs:
        clauses = "".join(f" for {variable} < {count}" for variable, count in output.axes)
        index = brackets([variable for variable, _ in output.axes])
        kind = " divisor" if output.divisor else ""
        word = f"check {output.check}{kind} :" if output.check else "output"
        lines.append(f"{word} {output.name}{index} = {output.ref}{clauses}")
    return "\n".join(lines) + "\n"
