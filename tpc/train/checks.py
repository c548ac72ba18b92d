"""What is looked at before anything is written out.

So messages are about what the user wrote, and never about lines made from it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

from tpc.core.functions import arity, function_names
from tpc.core.option_bound import Bound
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Label, RefusedError
from tpc.diagnostics.spans import Span
from tpc.syntax import tree
from tpc.syntax.forms import derivative_of
from tpc.syntax.scope import NotANumberError, fraction
from tpc.syntax.tree import Range, Tree
from tpc.syntax.walk import names_in, needed_ranges, parts, walk
from tpc.train.records import ArrayExpr
from tpc.train.scene import Scene
from tpc.train.weights import Side, Weight

MAX_ROUNDS = 10_000  # of a loop that another's count depends on, looked at one by one
OF_SHAPES = frozenset({"TP201", "TP707", "TP712"})
ARRAYS = ("onehot", "pad")  # functions of arrays, in networks


# counts and indices


def whole(scene: Scene, node: Tree, at: Mapping[str, int]) -> int | None:
    """The value of a whole number made of numbers, dims and variables, else None."""
    try:
        value = fraction(node, {**scene.constants, **at})
    except (NotANumberError, OverflowError):
        return None
    return int(value) if value.denominator == 1 else None


def corners(scene: Scene, ranges: Sequence[Range], at: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """The extreme points of nested loops: an index, being affine, is greatest and least at some of them."""
    if not ranges:
        yield dict(at)
        return
    first, rest = ranges[0], ranges[1:]
    count = whole(scene, first.count, at) or 0
    depended_on = any(name.name == first.variable.name for r in rest for name in names_in(r.count))
    values = range(min(count, MAX_ROUNDS)) if depended_on else sorted({0, count - 1}) if count > 0 else ()
    for value in values:
        yield from corners(scene, rest, {**at, first.variable.name: value})


def rounds(at: Mapping[str, int]) -> str:
    return f", at {', '.join(f'{name} = {value}' for name, value in at.items())}" if at else ""


def check_variables(scene: Scene, ranges: Sequence[Range]) -> None:
    """Whether the variables of loops mean nothing else."""
    for item in ranges:
        if meaning(scene, item.variable.name) or item.variable.name in scene.outer:
            raise RefusedError(catalogue.names.shadows(item.variable.span, item.variable.name))


def check_steps(scene: Scene, count: Tree) -> None:
    """Whether a training, or inner steps, have a number of steps that is known and not 0."""
    steps = scene.integer(count)
    if steps is None:
        raise RefusedError(
            catalogue.indices.dim_value(count.span, "the number of steps is made of dims and numbers")
        )
    if steps < 1:
        raise RefusedError(catalogue.trainings.no_steps(count.span))


def check_counts(scene: Scene, clauses: Sequence[Range], outer: Sequence[Range]) -> None:
    """Whether there are examples in every round of the loops around."""
    check_variables(scene, clauses)
    own = {c.variable.name for c in clauses}
    for clause in clauses:
        for name in names_in(clause.count):
            if name.name in own:
                raise RefusedError(catalogue.trainings.ragged_examples(name.span, name.name))
        for at in corners(scene, needed_ranges(outer, [clause.count]), {}):
            _require_examples(scene, clause.count, at)


def _require_examples(scene: Scene, count: Tree, at: Mapping[str, int]) -> None:
    found = whole(scene, count, at)
    if found is None:
        made = "a count is made of dims, numbers and outer loop variables"
        raise RefusedError(catalogue.indices.dim_value(count.span, made))
    if found < 1 and at:
        raise RefusedError(catalogue.trainings.no_examples_at(count.span, rounds(at)))
    if found < 1:
        raise RefusedError(catalogue.trainings.no_examples(count.span))


def check_indices(scene: Scene, nodes: Sequence[Tree], ranges: Sequence[Range]) -> None:
    """Checks that the indices of inputs and vectors are inside their axes.

    So they must be for all values of the variables of `ranges` and of sums.
    """
    for root in nodes:
        inner = [
            *ranges,
            *(r for node in walk(root) if isinstance(node, tree.Summation) for r in node.ranges),
        ]
        for node in walk(root):
            if (
                isinstance(node, tree.Indexed)
                and isinstance(node.base, tree.Name)
                and node.base.name in scene.outer
            ):
                for axis, (index, extent) in enumerate(
                    zip(node.index, scene.outer[node.base.name].axes, strict=False)
                ):
                    check_known(scene, index, inner)
                    check_index(
                        scene,
                        node,
                        node.base.name,
                        axis,
                        index,
                        None if extent is None else scene.integer(extent),
                        inner,
                    )


def check_index(
    scene: Scene, node: Tree, name: str, axis: int, index: Tree, extent: int | None, ranges: Sequence[Range]
) -> None:
    for at in corners(scene, needed_ranges(ranges, [index]), {}) if extent is not None else ():
        value = whole(scene, index, at)
        if value is not None and extent is not None and not 0 <= value < extent:
            raise RefusedError(
                catalogue.indices.out_of_range(node.span, name, axis, value, extent, rounds(at))
            )


def check_known(scene: Scene, index: Tree, ranges: Sequence[Range]) -> None:
    """Whether every name in an index means something."""
    variables = [r.variable.name for r in ranges]
    for name in names_in(index):
        if name.name not in variables and name.name not in scene.outer and not meaning(scene, name.name):
            raise RefusedError(
                catalogue.names.unknown_name(
                    name.span, name.name, [*variables, *scene.constants, *scene.outer]
                )
            )


def check_time(scene: Scene, node: Tree, name: str, time: Tree, steps: int, ranges: Sequence[Range]) -> None:
    """Whether there is a network `name[time]`."""
    check_known(scene, time, ranges)
    for at in corners(scene, needed_ranges(ranges, [time]), {}):
        value = whole(scene, time, at)
        if value is None:
            raise RefusedError(catalogue.indices.not_affine(time.span))
        if not 0 <= value <= steps:
            raise RefusedError(catalogue.networks.network_time(node.span, name, value, steps, rounds(at)))


# names


def meaning(scene: Scene, name: str) -> str:
    """What a name of the whole program stands for, in words; inputs, vectors and families apart."""
    kinds = (
        ("a weight", scene.weights),
        ("a network", scene.networks),
        ("a width", scene.widths),
        ("a dim", scene.constants),
        ("a function", scene.functions),
        ("a matrix", scene.matrices),
    )
    found = next((what for what, names in kinds if name in names), "")
    return found or ("part of the language" if scene.is_elementwise(name) or scene.is_constant(name) else "")


def check_free(scene: Scene, name: tree.Name) -> None:
    """Whether a name can be given to something new."""
    what = meaning(scene, name.name)
    if what == "part of the language":
        raise RefusedError(catalogue.names.built_in(name.span, name.name))
    if what or name.name in scene.outer:
        raise RefusedError(catalogue.trainings.name_taken(name.span, name.name))


def adapt_target(scene: Scene, node: tree.Adapted, adapted: Container[str]) -> str:
    """The name of an adapted network, if it is a new one, indexed by the variables of its clauses.

    adapted: those that there are.
    """
    base, index = tree.base_and_index(node.target)
    if not isinstance(base, tree.Name) or [i.name if isinstance(i, tree.Name) else "" for i in index] != [
        c.variable.name for c in node.clauses
    ]:
        raise RefusedError(catalogue.trainings.adapt_target(node.target.span))
    if base.name in adapted:
        raise RefusedError(catalogue.trainings.name_taken(base.span, base.name))
    check_free(scene, base)
    return base.name


def check_network(scene: Scene, node: tree.Network, later: Mapping[str, str]) -> None:
    """Whether every name in a network means something, and hides nothing.

    later: what the file declares, in words, this line or later.
    """
    seen: dict[str, Span] = {}
    for parameter in node.parameters:
        check_hides(scene, parameter, later)
        if parameter.name in seen:
            raise RefusedError(
                catalogue.names.defined_twice(parameter.span, parameter.name, seen[parameter.name])
            )
        seen[parameter.name] = parameter.span
    made = {parameter.name for parameter in node.parameters}
    for part in walk(node):
        if isinstance(part, tree.Define):
            target = part.target.base if isinstance(part.target, tree.Indexed) else part.target
            if isinstance(target, tree.Name):
                check_hides(scene, target, later)
                made.add(target.name)
        elif isinstance(part, Range):
            check_hides(scene, part.variable, later)
            made.add(part.variable.name)
    for line in (*node.body, node.result):
        check_names(scene, line, made, later)


def check_hides(scene: Scene, name: tree.Name, later: Mapping[str, str]) -> None:
    what = meaning(scene, name.name) or later.get(name.name, "")
    if what == "part of the language":
        raise RefusedError(catalogue.names.built_in(name.span, name.name))
    if what:
        raise RefusedError(catalogue.trainings.hidden(name.span, name.name, what))


def check_names(scene: Scene, root: tree.Node, made: set[str], later: Mapping[str, str]) -> None:
    found = [(root, name) for name in [root] if isinstance(name, tree.Name)]
    found += [(node, part) for node in walk(root) for part in parts(node) if isinstance(part, tree.Name)]
    for node, name in sorted(found, key=lambda pair: (pair[1].span.line, pair[1].span.column)):
        known = (
            name.name in made or name.name in scene.outer or name.name in later or meaning(scene, name.name)
        )
        if known or (isinstance(node, tree.Attribute) and name is node.name) or name.name in (*ARRAYS, "D"):
            continue
        if isinstance(node, tree.Applied) and name is node.function:
            raise RefusedError(
                catalogue.names.unknown_function(
                    name.span, name.name, [*function_names(), *scene.functions, *scene.networks]
                )
            )
        raise RefusedError(
            catalogue.names.unknown_name(
                name.span, name.name, [*made, *scene.outer, *later, *scene.weights, *scene.constants]
            )
        )


def check_cycles(networks: Mapping[str, tree.Network]) -> None:
    """Whether no network uses itself, directly or through others."""

    def visit(name: str, path: tuple[str, ...]) -> None:
        for node in (node for line in (*networks[name].body, networks[name].result) for node in walk(line)):
            if (
                not isinstance(node, tree.Applied)
                or not isinstance(node.function, tree.Name)
                or node.function.name not in networks
            ):
                continue
            if node.function.name in (*path, name):
                raise RefusedError(catalogue.names.recursive(node.span, node.function.name))
            if node.function.name not in clean:
                visit(node.function.name, (*path, name))
        clean.add(name)

    clean: set[str] = set()
    for name in networks:
        visit(name, ())


# values


def operand_in_words(scene: Scene, side: Side) -> str:
    """What a side of a weight is multiplied to, in words."""
    if side.width:
        return f"vectors of width {side.width}"
    return "scalars" if side.count is None else f"arrays of {scene.shown((side.count,))} entries"


def described(width: str | None, shape: str) -> str:
    """What something is, in words. shape: its lengths as text."""
    entries = f"{shape} {'entry' if shape == '1' else 'entries'}"
    if width:
        return f"{entries} that are vectors of width {width}" if shape else f"a vector of width {width}"
    return f"an array of {entries}" if shape else "a scalar"


def check_operand(
    scene: Scene, node: tree.MatrixProduct, weight: Weight, near: Side, operand: ArrayExpr
) -> None:
    """Whether a weight is multiplied to what its side takes."""
    shown = f"{weight.name}.T" if isinstance(node.matrix, tree.Transposed) else weight.name
    fits = near.count is None or (operand.shape and scene.same(near.count, operand.shape[-1]))
    if near.width != operand.width or not fits:
        given = described(operand.width, scene.shown(operand.shape))
        raise RefusedError(
            catalogue.networks.weight_side(
                node.operand.span, shown, operand_in_words(scene, near), given, weight.node.span
            )
        )


def check_scalar(scene: Scene, option: str, value: Tree) -> None:
    """Whether an option's value has nothing but scalars in it."""
    for name in names_in(value):
        known = scene.outer.get(name.name)
        if (
            name.name in scene.weights
            or name.name in scene.networks
            or (known is not None and known.width is not None)
        ):
            raise RefusedError(catalogue.options.option_of_vector(name.span, option, name.name))


def check_application(scene: Scene, node: tree.Applied) -> None:
    """Checks that functions of the language and derivatives are applied to as many arguments as they take."""
    if not isinstance(node.function, tree.Name):
        if derivative_of(node) is None:
            raise RefusedError(catalogue.networks.network_part(node.function.span))
        return
    name, given = node.function.name, len(node.args)
    own = scene.functions.get(name)
    least, most = arity(name) if own is None else (len(own.parameters), len(own.parameters))
    if not least <= given <= most:
        raise RefusedError(catalogue.names.arguments(node.span, name, least, most, given))


def check_sign(
    scene: Scene,
    option: str,
    value: Tree,
    least: Fraction | None,
    wanted: str,
    at: Mapping[str, int] | None = None,
) -> None:
    """Whether a number is large enough: at least `least`, or above 0 if that is None.

    An input's value is not known yet. at: values of variables.
    """
    try:
        number = fraction(value, {**scene.constants, **(at or {})})
    except (NotANumberError, OverflowError):
        return
    if not Bound(option, least or Fraction(0), least is None, None, wanted).holds(number):
        raise RefusedError(catalogue.options.option_range(value.span, option, wanted + rounds(at or {})))


@contextmanager
def called(at: tree.Node) -> Iterator[None]:
    """What is said about shapes inside a network says also where it was called."""
    try:
        yield
    except RefusedError as refused:
        d = refused.diagnostic
        if d.code not in OF_SHAPES or d.at is None or d.at.span.line == at.span.line:
            raise
        raise RefusedError(replace(d, also=(*d.also, Label(at.span, "called here")))) from None
