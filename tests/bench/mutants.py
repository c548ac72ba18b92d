"""Small changes to the compiler, drawn at random, of which its tests should tell.

What cannot matter is not drawn: docstrings, annotations, decorators, `__repr__`, assertions, imports.
"""

import ast
import collections
import copy
import dataclasses
import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_DRAWN = {"helpers"}  # folders: what modules copy has oracles of its own, slow ones

ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.MatMult: ast.Mult,
}
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change.

    path: the file, relative to the root
    kind: what sort of change
    line: where it begins
    start, end: the bytes that are replaced
    before, after: the text there, and what stands there instead
    """

    path: str
    kind: str
    line: int
    start: int
    end: int
    before: str
    after: str

    @property
    def key(self) -> str:
        return f"{self.path}:{self.start}:{self.end}:{self.after}"

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants(path: str, source: bytes) -> list[Mutant]:
    """All mutants of a file, in the order of the text."""
    starts = list(itertools.accumulate((len(line) for line in source.splitlines(keepends=True)), initial=0))
    found = []
    for whole in relevant(ast.parse(source)):
        node = whole.test if isinstance(whole, ast.If | ast.While | ast.IfExp) else whole
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        for kind, new in changes(whole):
            after = ast.unparse(new)
            if isinstance(new, ast.expr):
                after = f"({after})"
            found.append(Mutant(path, kind, node.lineno, start, end, source[start:end].decode(), after))
    return found


def relevant(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """The expressions and statements under a node that can matter."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "format_spec", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or cannot_matter(child):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            if not isinstance(child, ast.JoinedStr):  # places in it are those of the whole, in Python 3.11
                yield from relevant(child)


def cannot_matter(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Assert() | ast.Import() | ast.ImportFrom() | ast.Global():
            return True
        case ast.FunctionDef(name="__repr__") | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(op=ast.BitOr())):
            return name[:1].isupper() and not name.isupper()  # a type that has alternatives
        case ast.Call(func=ast.Name(id="cast" | "TypeVar")) | ast.Subscript(value=ast.Name(id="Literal")):
            return True
    return False


def changes(node: ast.expr | ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in place of a node, or of the condition that it has, with the kind of the change."""
    match node:
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            yield "operator", edited(node, op=ARITHMETIC[type(op)]())
        case ast.AugAssign(op=op) if type(op) in ARITHMETIC:
            yield "operator", edited(node, op=ARITHMETIC[type(op)]())
            yield "deleted", ast.Pass()
        case ast.BoolOp(op=op):
            yield "operator", edited(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield "negated", operand
        case ast.Compare(ops=[op]):
            for other in COMPARISONS[type(op)]:
                yield "comparison", edited(node, ops=[other()])
        case ast.Constant(value=bool(value)):
            yield "negated", ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield "constant", ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield "constant", ast.Constant(2 * value or 1.0)
        case ast.Constant(value=str(value)):
            yield "constant", ast.Constant(value + "~")
        case ast.JoinedStr(values=values):
            for k, part in enumerate(values):
                if isinstance(part, ast.Constant):
                    other = ast.Constant(part.value + "~")
                    yield "constant", edited(node, values=[*values[:k], other, *values[k + 1 :]])
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield "negated", ast.UnaryOp(ast.Not(), test)
        case ast.Call(args=[first, second, *rest]) if not isinstance(first, ast.Starred):
            if not isinstance(second, ast.Starred) and ast.dump(first) != ast.dump(second):
                yield "arguments", edited(node, args=[second, first, *rest])
        case ast.Expr(value=ast.Call()) | ast.Continue() | ast.Break() | ast.Raise():
            yield "deleted", ast.Pass()
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield "deleted", ast.Pass()


def edited(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def drawn(rooms: Sequence[str], seed: int, root: Path = ROOT) -> Iterator[Mutant]:
    """Mutants of rooms in turn, in an order that the seed fixes: the kind first, then one of its kind."""
    yield from itertools.chain.from_iterable(
        (m for m in turn if m is not None)
        for turn in itertools.zip_longest(*(of_room(room, seed, root) for room in rooms))
    )


def of_room(room: str, seed: int, root: Path) -> Iterator[Mutant]:
    kinds = collections.defaultdict(list)
    for file in sorted((root / "tpc" / room).rglob("*.py")):
        if not NOT_DRAWN & set(file.relative_to(root).parts):
            for mutant in mutants(str(file.relative_to(root)), file.read_bytes()):
                kinds[mutant.kind].append(mutant)
    order = random.Random(f"{seed} {room}")
    for kind in sorted(kinds):
        order.shuffle(kinds[kind])
    while kinds:
        kind = order.choice(sorted(kinds))
        yield kinds[kind].pop()
        if not kinds[kind]:
            del kinds[kind]
