"""A tree as text in the language, as a user would write it."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.core.option_bound import Bound
from tpc.core.printer import print_fraction
from tpc.syntax import tree
from tpc.syntax.tree import Tree

SUM, PRODUCT, UNARY, POWER, ATOM = range(5)  # binding strengths


def print_file(file: tree.File) -> str:
    return "".join(line + "\n" for statement in file.statements for line in print_statement(statement))


def print_statement(s: tree.Statement, indent: str = "") -> list[str]:
    """The lines of a statement: of the core language, of which written-out programs are made, or another."""
    match s:
        case tree.ProgramName(name=name):
            return [f"{indent}program {name.name}"]
        case tree.WidthStatement(name=name, ratio=ratio):
            return [f"{indent}width {name.name}" + ("" if ratio is None else f" = {print_tree(ratio)}")]
        case tree.Dim(name=name, value=value):
            return [f"{indent}dim {name.name} = {print_tree(value)}"]
        case tree.InputStatement(declared=declared, bound=bound, default=default):
            tail = ("" if bound is None else f" : index({print_tree(bound)})") + (
                "" if default is None else f" = {print_tree(default)}"
            )
            return [f"{indent}input {_declared(declared)}{tail}"]
        case tree.MatrixStatement(declared=items, rows=rows, columns=columns, law=law):
            return [
                f"{indent}matrix {', '.join(map(_declared, items))} : {_side(rows)} x {_side(columns)} ~ "
                f"{_law(law)}"
            ]
        case tree.Vector(declared=items, joint=joint, width=width, law=law):
            names = ", ".join(map(_declared, items))
            return [f"{indent}vector {f'({names})' if joint else names} : {_side(width)} ~ {_law(law)}"]
        case tree.Define(target=target, value=value, clauses=clauses, sides=sides):
            head = f"table {print_tree(target)} : {' x '.join(map(_side, sides))}" if sides else ""
            return [f"{indent}{head or print_tree(target)} = {print_tree(value)}{_clauses(clauses)}"]
        case tree.OutputStatement(bound=Bound()):
            return []
        case tree.OutputStatement(target=target, value=value, clauses=clauses, check=check, divisor=divisor):
            looked = f"check {check}{f' {tree.DIVISOR}' if divisor else ''} :"
            return [
                f"{indent}{looked if check else 'output'} "
                f"{print_tree(target)}{'' if value is None else f' = {print_tree(value)}'}{_clauses(clauses)}"
            ]
        case tree.Function(name=name, parameters=parameters, body=body, result=result):
            head = f"{indent}def {name.name}({', '.join(p.name for p in parameters)})"
            if not body:
                return [f"{head} = {print_tree(result)}"]
            inner = [line for d in body for line in print_statement(d, indent + "    ")]
            return [f"{head}:", *inner, f"{indent}    return {print_tree(result)}"]
        case tree.ForBlock(range=head, body=body):
            inner = [line for part in body for line in print_statement(part, indent + "    ")]
            return [f"{indent}for {head.variable.name} < {print_tree(head.count)}:", *inner]
    return _print_network(s, indent)


def _print_network(s: tree.Statement, indent: str) -> list[str]:
    """The lines of what `tpc.train` writes out: networks, and their training."""
    match s:
        case tree.WeightStatement(name=name, rows=rows, columns=columns, options=options, axes=axes):
            head = f"{indent}{'bias' if columns is None else 'weight'} {_family(name, axes)} : {_side(rows)}"
            side = "" if columns is None else f" x {_side(columns)}"
            return [head + side + "".join(f", {_option(o)}" for o in options)]
        case tree.Activation(name=name, function=function):
            return [f"{indent}activation {name.name} = {function.name}"]
        case tree.Parametrization(name=name, options=options):
            return [f"{indent}parametrization {name.name}{_in_parentheses(options)}"]
        case tree.Network(name=name, parameters=parameters, body=body, result=result):
            head = f"{indent}network {name.name}({', '.join(p.name for p in parameters)})"
            if not body:
                return [f"{head} = {print_tree(result)}"]
            inner = [line for part in body for line in print_statement(part, indent + "    ")]
            return [f"{head}:", *inner, f"{indent}    return {print_tree(result)}"]
        case tree.Optimizer(name=name, parameters=parameters, body=body, result=result):
            inner = [line for part in body for line in print_statement(part, indent + "    ")]
            head = f"{indent}optimizer {name.name}({', '.join(map(_option, parameters))}):"
            return [head, *inner, f"{indent}    return {print_tree(result)}"]
        case tree.Train(network=network, name=alias, range=head, items=items):
            named = "" if alias is None else f" as {alias.name}"
            return [
                f"{indent}train {network.name}{named}{_clauses((head,))}:",
                *(f"{indent}    {_training(item)}" for item in items),
            ]
        case tree.Adapted():
            return [indent + _training(s)]
        case tree.AddTo(target=target, value=value, clauses=clauses):
            return [f"{indent}{print_tree(target)} += {print_tree(value)}{_clauses(clauses)}"]
    raise TypeError(f"no text for {type(s).__name__}")


def _training(item: tree.Examples | tree.Loss | tree.Update | tree.Gradient | tree.Adapted) -> str:
    """A line of a `train` block."""
    match item:
        case tree.Examples():
            return f"batch ({_fed(item)}){_clauses(item.clauses)}"
        case tree.Loss(name=None, parameters=parameters, value=value):
            assert value is not None
            return f"loss({', '.join(p.name for p in parameters)}) = {print_tree(value)}"
        case tree.Loss(name=name, options=options):
            assert name is not None
            return f"loss {name.name}{_in_parentheses(options)}"
        case tree.Update(name=name, options=options, weights=weights, word=word):
            which = "" if word is None else f" {word.name} {', '.join(w.name for w in weights)}".rstrip()
            return f"update {name.name}{_in_parentheses(options)}{which}"
        case tree.Gradient(network=network, examples=examples, options=options):
            rest = _clauses(examples.clauses) + "".join(f", {_option(o)}" for o in options)
            return f"gradient ({print_tree(network)}, {_fed(examples)}){rest}"
        case tree.Adapted(
            target=target, network=network, examples=examples, options=options, clauses=clauses
        ):
            data = f"({_fed(examples)}){_clauses(examples.clauses)}"
            args = ", ".join((network.name, data, *map(_option, options)))
            return f"{print_tree(target)} = adapt({args}){_clauses(clauses)}"


def _fed(examples: tree.Examples) -> str:
    inputs = ", ".join(map(print_tree, examples.inputs))
    return f"{inputs if len(examples.inputs) == 1 else f'({inputs})'}, {print_tree(examples.label)}"


def _option(option: tree.Option) -> str:
    return option.name.name + ("" if option.value is None else f" = {_entries(option.value)}")


def _in_parentheses(options: Sequence[tree.Option]) -> str:
    return f"({', '.join(map(_option, options))})" if options else ""


def _declared(d: tree.Declared) -> str:
    return _family(d.name, d.axes)


def _family(name: tree.Name, axes: Sequence[tree.Axis]) -> str:
    shown = ", ".join(
        print_tree(a.count) if a.variable is None else f"{a.variable.name} < {print_tree(a.count)}"
        for a in axes
    )
    return name.name + (f"[{shown}]" if shown else "")


def _side(side: tree.Name | tree.Literal) -> str:
    return side.name if isinstance(side, tree.Name) else print_fraction(side.value)


def _law(law: tree.Gaussian) -> str:
    return f"N({_entries(law.mean)}, {_entries(law.covariance)})"


def _entries(x: Tree | tree.ListOf) -> str:
    return f"[{', '.join(map(_entries, x.items))}]" if isinstance(x, tree.ListOf) else print_tree(x)


def _clauses(clauses: Sequence[tree.Range]) -> str:
    return "".join(f" for {c.variable.name} < {print_tree(c.count)}" for c in clauses)


def print_tree(x: Tree, strength: int = SUM) -> str:
    """`x` as text, in parentheses if it binds less than `strength`."""
    text, own = _print(x)
    return f"({text})" if own < strength else text


def _print(x: Tree) -> tuple[str, int]:
    match x:
        case tree.Literal(value=value):
            whole = UNARY if value < 0 else ATOM
            return print_fraction(value), whole if value.denominator == 1 else PRODUCT
        case tree.Name(name=name):
            return name, ATOM
        case tree.Indexed(base=base, index=index):
            return f"{_base(base)}[{', '.join(map(print_tree, index))}]", ATOM
        case tree.Attribute(base=base, name=name):
            return f"{_base(base)}.{name.name}", ATOM
        case tree.Transposed(base=base):
            return f"{_base(base)}.T", ATOM
        case tree.Primed(base=base, order=order):
            return (
                f"({print_tree(base)})" if isinstance(base, tree.Primed) else _base(base)
            ) + "'" * order, ATOM
        case tree.Applied(function=function, args=args):
            return f"{_base(function)}({', '.join(map(print_tree, args))})", ATOM
        case tree.Chain(operands=operands, operators=operators):
            return _chain(operands, operators)
        case tree.Negated(operand=operand):
            # a second one without parentheses: a text may have more signs than these may be nested
            return f"-{print_tree(operand, SUM if isinstance(operand, tree.Negated) else UNARY)}", SUM
        case tree.Power(base=base, exponent=exponent):
            return f"{print_tree(base, ATOM)}^{print_tree(exponent, ATOM)}", POWER
        case tree.MatrixProduct(matrix=matrix, operand=operand):
            return f"{print_tree(matrix, POWER)} @ {print_tree(operand, POWER)}", UNARY
        case tree.Comparison(op=op, left=left, right=right):
            return f"{print_tree(left)} {op} {print_tree(right)}", SUM
        case tree.Mean(body=body):
            return f"mean({print_tree(body)})", ATOM
        case tree.Summation(ranges=ranges, body=body):
            return (
                f"sum({', '.join(f'{r.variable.name} < {print_tree(r.count)}' for r in ranges)}: "
                f"{print_tree(body)})",
                ATOM,
            )
    raise TypeError(f"no text for {type(x).__name__}")


def _chain(operands: Sequence[Tree], operators: Sequence[str]) -> tuple[str, int]:
    additive = operators[0] in "+-"
    leading = isinstance(operands[0], tree.Negated)
    text = print_tree(operands[0], UNARY if not additive else SUM if leading else PRODUCT)
    for op, operand in zip(operators, operands[1:], strict=True):
        text += f" {op} {print_tree(operand, PRODUCT)}" if additive else f"{op}{print_tree(operand, UNARY)}"
    return text, SUM if additive else PRODUCT


def _base(x: Tree) -> str:
    """What something is appended to; a number would take a point for its own."""
    return f"({print_tree(x)})" if isinstance(x, tree.Literal) else print_tree(x, ATOM)
