"""What the rule of an optimizer of the user's own may read."""

from __future__ import annotations

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.syntax.walk import names_in, walk
from tpc.train.checks import meaning
from tpc.train.optimizer_rules import GIVEN, OVER, RATE, OptimizerRule
from tpc.train.scene import Scene

# what the weight itself would be called
WEIGHTS = ("w", "W", "weight", "weights", "param", "params", "theta")


def check_rule(scene: Scene, rule: OptimizerRule, update: tree.Update) -> None:
    """Whether every name in a rule means something in it. Raises RefusedError."""
    if OVER in scene.functions and rule.reads(OVER):
        why = "has a meaning in every rule, and is a function of the file, too"
        raise RefusedError(catalogue.optimizers.rule_name(update.name.span, OVER, why))
    own = (*GIVEN, *rule.parameters, *dict(rule.lines))
    for value in (*(value for _, value in rule.lines), rule.result):
        called = _functions_in(value)
        for name in sorted(names_in(value), key=lambda name: (name.span.line, name.span.column)):
            if name.name not in (*own, *called):
                check_name(scene, name, own)


def check_name(scene: Scene, name: tree.Name, own: tuple[str, ...]) -> None:
    """Whether a name that is none of the rule's own is that of a number or a vector of the file."""
    what = meaning(scene, name.name)
    made = name.name in scene.outer or name.name in scene.made or name.name in scene.arrays
    if what == "a weight" or (name.name in WEIGHTS and not (what or made)):
        raise RefusedError(catalogue.optimizers.weight_in_rule(name.span, name.name))
    if what == "a matrix":
        raise RefusedError(catalogue.optimizers.rule_part(name.span, f"the matrix `{name.name}`"))
    if name.name in RATE and not made:
        raise RefusedError(catalogue.optimizers.option_in_rule(name.span, name.name))
    if not (what or made):
        known = [*own, *scene.outer, *scene.constants]
        raise RefusedError(catalogue.names.unknown_name(name.span, name.name, known))


def _functions_in(value: Tree) -> set[str]:
    applied = (node.function for node in walk(value) if isinstance(node, tree.Applied))
    return {name.name for function in applied for name in names_in(function)}
