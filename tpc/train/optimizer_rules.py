"""Rules of entrywise optimizers: what is known by name, as text of the language, and the user's own.

A rule has one line for each of its values. A name that is read before its line, or on it, is a state: there
it is what the last step has left of it, 0 at first. `g` is the gradient of order 1, `t` the number of the
step, from 0 on. `over(a, b)` is a/b, and 0 where b is; no b of the rules here is below 0.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.parse import parse_file
from tpc.syntax.tree import Tree
from tpc.syntax.walk import names_in, walk
from tpc.train.option_ranges import NOT_BELOW_0, ParameterRange

OVER = "over"
GIVEN = ("g", "t", OVER)
RATE = ("lr", "clip", "limit")  # options of every optimizer
DECOUPLED = "decay"
# of the parameters of averages
BELOW_ONE = ParameterRange(
    "at least 0 and below 1: it is the share of the past in an average", Fraction(0), Fraction(1)
)
AVERAGES = ("beta", "beta1", "beta2", "momentum", "rho")


@dataclass(frozen=True, slots=True)
class NamedOptimizer:
    """All that is known of an optimizer by its name."""

    # its rule, as an `optimizer` block
    text: str
    # what it is, in a few words, if its name does not say that
    meaning: str = ""
    # whether its `update` line may have decay, which is beside the rule
    decays: bool = True
    # the rule in place of it where an option is given, and is not 0
    variants: tuple[tuple[str, str], ...] = ()
    # ranges of its parameters, if they are others than those of all
    ranges: Mapping[str, ParameterRange] = field(default_factory=dict)


ADAM = """
optimizer adam(beta1 = 0.9, beta2 = 0.999, eps = 1e-8, root = 0):
    m = beta1*m + (1 - beta1)*g
    v = beta2*v + (1 - beta2)*g^2
    return over(m/(1 - beta1^(t + 1)), sqrt(v/(1 - beta2^(t + 1))) + eps)
"""
ADAM_ROOT = """
optimizer adam(beta1 = 0.9, beta2 = 0.999, eps = 1e-8, root = 1):
    m = beta1*m + (1 - beta1)*g
    v = beta2*v + (1 - beta2)*g^2
    return over(m/(1 - beta1^(t + 1)), sqrt(v/(1 - beta2^(t + 1)) + eps^2))
"""
# Kingma and Ba, arXiv 1412.6980 (Adam, Adamax); Loshchilov and Hutter, 1711.05101 (AdamW); Bernstein et al.,
# 1802.04434 (signSGD); Chen et al., 2302.06675 (Lion); Duchi et al., JMLR 12 (Adagrad); Dozat, ICLR 2016;
# Zeiler, 1212.5701 (Adadelta); Riedmiller and Braun, ICNN 1993 (Rprop), after a change of sign without a step
OPTIMIZERS: dict[str, NamedOptimizer] = {
    "adam": NamedOptimizer(ADAM, decays=False, variants=(("root", ADAM_ROOT),)),
    "adamw": NamedOptimizer(ADAM, "decay beside the rule", variants=(("root", ADAM_ROOT),)),
    "signsgd": NamedOptimizer(
        """
optimizer signsgd(momentum = 0, eps = 0):
    m = momentum*m + (1 - momentum)*g
    return sign(m)
""",
        "the sign of the gradient's average",
        variants=(
            (
                "eps",
                """
optimizer signsgd(momentum = 0, eps = 0):
    m = momentum*m + (1 - momentum)*g
    return over(m, sqrt(m^2 + eps^2))
""",
            ),
        ),
    ),
    "rmsprop": NamedOptimizer("""
optimizer rmsprop(beta2 = 0.99, eps = 1e-8, momentum = 0):
    v = beta2*v + (1 - beta2)*g^2
    b = momentum*b + over(g, sqrt(v) + eps)
    return b
"""),
    "adagrad": NamedOptimizer("""
optimizer adagrad(eps = 1e-10):
    v = v + g^2
    return over(g, sqrt(v) + eps)
"""),
    "lion": NamedOptimizer("""
optimizer lion(beta1 = 0.9, beta2 = 0.99):
    u = beta1*m + (1 - beta1)*g
    m = beta2*m + (1 - beta2)*g
    return sign(u)
"""),
    "adamax": NamedOptimizer("""
optimizer adamax(beta1 = 0.9, beta2 = 0.999, eps = 1e-8):
    m = beta1*m + (1 - beta1)*g
    u = max(beta2*u, abs(g) + eps)
    return over(m/(1 - beta1^(t + 1)), u)
"""),
    "nadam": NamedOptimizer("""
optimizer nadam(beta1 = 0.9, beta2 = 0.999, eps = 1e-8):
    m = beta1*m + (1 - beta1)*g
    v = beta2*v + (1 - beta2)*g^2
    n = beta1*m/(1 - beta1^(t + 2)) + (1 - beta1)*g/(1 - beta1^(t + 1))
    return over(n, sqrt(v/(1 - beta2^(t + 1))) + eps)
"""),
    "adadelta": NamedOptimizer(
        """
optimizer adadelta(rho = 0.9, eps = 1e-6):
    v = rho*v + (1 - rho)*g^2
    u = g*sqrt(d + eps)/sqrt(v + eps)
    d = rho*d + (1 - rho)*u^2
    return u
""",
        ranges={"eps": ParameterRange("above 0: it is all that a first step is made of", None)},
    ),
    "rprop": NamedOptimizer(
        """
optimizer rprop(eta_minus = 0.5, eta_plus = 1.2, min_step = 1e-4, max_step = 5000):
    s = sign(g)
    q = p*s
    k = max(min((1 + r)*(1 + q*((q + 1)*(eta_plus - 1) + (q - 1)*(eta_minus - 1))/2), max_step), min_step)
    r = k - 1
    p = s*(1 - q*(q - 1)/2)
    return k*p
""",
        "the gradient's sign, its steps longer where it stays",
        ranges={
            "eta_minus": ParameterRange("above 0 and below 1: it shortens steps", None, Fraction(1)),
            "eta_plus": ParameterRange("at least 1: it lengthens steps", Fraction(1)),
            "min_step": ParameterRange("at least 0 and below 1: it is a multiple of lr", below=Fraction(1)),
            "max_step": ParameterRange("at least 1: it is a multiple of lr", Fraction(1)),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class OptimizerRule:
    """A rule: the defaults of its parameters, its lines and what it returns."""

    name: str
    parameters: Mapping[str, Tree | None]
    lines: tuple[tuple[str, Tree], ...]
    result: Tree
    # whether an `update` line of it may have decay
    decays: bool = True

    @property
    def options(self) -> tuple[str, ...]:
        """The options that an `update` line of it may have."""
        decay = (DECOUPLED,) if self.decays else ()
        return (*RATE[:1], *self.parameters, *decay, *RATE[1:])

    def reads(self, name: str) -> bool:
        """Whether a name stands in it."""
        return any(name in reads(value) for value in (*dict(self.lines).values(), self.result))


def range_of(optimizer: str, parameter: str, own: Container[str]) -> ParameterRange | None:
    """What a parameter, or decay, may be; those of the user's own rules may be anything."""
    if parameter == DECOUPLED:
        return NOT_BELOW_0
    if optimizer in own:
        return None
    ranges = OPTIMIZERS[optimizer].ranges if optimizer in OPTIMIZERS else {}
    return ranges.get(parameter, BELOW_ONE if parameter in AVERAGES else NOT_BELOW_0)


def named_rule(name: str, option: str = "") -> OptimizerRule:
    """The rule of an optimizer that is known by its name, or that in place of it where an option is given."""
    known = OPTIMIZERS[name]
    return _parsed(name, dict(known.variants)[option] if option else known.text, known.decays)


@cache
def _parsed(name: str, text: str, decays: bool) -> OptimizerRule:
    (statement,) = parse_file(text, "optimizers").statements
    assert isinstance(statement, tree.Optimizer)
    return replace(read(statement), name=name, decays=decays)


def rule_of(name: str, options: Mapping[str, tree.Option], own: Mapping[str, OptimizerRule]) -> OptimizerRule:
    """The rule that a name stands for with these options. The name is known."""
    if name in own:
        return own[name]

    def given(option: str) -> bool:
        value = options[option].value if option in options else None
        return value is not None and not (isinstance(value, tree.Literal) and not value.value)

    return named_rule(name, next((option for option, _ in OPTIMIZERS[name].variants if given(option)), ""))


def read(statement: tree.Optimizer) -> OptimizerRule:
    """The rule of an `optimizer` block. Raises RefusedError."""
    parameters = _parameters(statement)
    lines = _lines(statement, parameters)
    for value in (*(value for _, value in lines), statement.result):
        check_part(value)
    return OptimizerRule(statement.name.name, parameters, tuple(lines), statement.result)


def _parameters(statement: tree.Optimizer) -> dict[str, Tree | None]:
    parameters: dict[str, Tree | None] = {}
    for option in statement.parameters:
        name = option.name.name
        if name in parameters or name in (*GIVEN, *RATE, DECOUPLED):
            why = "is a parameter twice" if name in parameters else "has a meaning in every rule"
            raise RefusedError(catalogue.optimizers.rule_name(option.name.span, name, why))
        if isinstance(option.value, tree.ListOf):
            raise RefusedError(catalogue.options.option_value(option.span, name, "a number"))
        parameters[name] = option.value
    return parameters


def _lines(statement: tree.Optimizer, parameters: Container[str]) -> list[tuple[str, Tree]]:
    lines: list[tuple[str, Tree]] = []
    for line in statement.body:
        if not isinstance(line.target, tree.Name) or line.clauses:
            raise RefusedError(catalogue.optimizers.rule_part(line.target.span, "a family"))
        name = line.target.name
        if name in parameters or name in GIVEN:
            raise RefusedError(catalogue.optimizers.rule_name(line.target.span, name, "is given"))
        if name in dict(lines):
            raise RefusedError(catalogue.optimizers.own_first_step(line.target.span, name))
        lines.append((name, line.value))
    return lines


def check_part(value: Tree) -> None:
    """Whether an expression of a rule acts on entries. Raises RefusedError."""
    for node in walk(value):
        match node:
            case tree.Mean():
                raise RefusedError(catalogue.optimizers.rule_part(node.span, "a mean"))
            case tree.MatrixProduct() | tree.Transposed():
                raise RefusedError(catalogue.optimizers.rule_part(node.span, "a product with a matrix"))
            case tree.Summation():
                raise RefusedError(catalogue.optimizers.rule_part(node.span, "a sum over indices"))
            case tree.Applied(function=tree.Name(name=name), args=args) if name == OVER and len(args) != 2:
                raise RefusedError(catalogue.names.arguments(node.span, OVER, 2, 2, len(args)))
            case tree.Indexed() | tree.Attribute():
                raise RefusedError(catalogue.optimizers.rule_part(node.span, "a member of a family"))


def reads(value: Tree) -> set[str]:
    return {name.name for name in names_in(value)}


def states_of(lines: Sequence[tuple[str, Tree]]) -> tuple[str, ...]:
    """The names that are read before their line, or on it, in the order of the lines."""
    found, made = set[str](), set[str]()
    own = {name for name, _ in lines}
    for name, value in lines:
        found |= (reads(value) & own) - made
        made.add(name)
    return tuple(name for name, _ in lines if name in found)
