"""The table of elementwise functions: everything tpc knows of each, in one place.

Each entry has its derivatives as expressions, what it is like for the theorem and for quadrature, and how it
is written in JAX, in LaTeX and on arrays. Closed Gaussian expectations of these functions are in
`tpc/derive/closed.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from tpc.core.expr import (
    ONE,
    ZERO,
    Call,
    Constant,
    Expr,
    Number,
    Pow,
    add,
    call,
    divide,
    mul,
    neg,
    number,
    power,
    walk,
)

Shape = Literal["smooth", "kink", "jump"]
Growth = Literal["polynomial", "exponential", "local"]
HALF = Number(Fraction(1, 2))
PI = Constant("pi")
# of the smooth part of `gelu(x, σ)`: at σ = 0 it is relu(x), without a division by 0
LEAST_WIDTH = Number(Fraction(1, 10**6))


@dataclass(frozen=True, slots=True)
class Elementwise:
    """An elementwise function.

    shape: smooth (analytic near the reals), kink (continuous, a derivative almost everywhere), jump (no
    derivative at all, TP4 Remark F.2).
    growth: polynomial (pseudo-Lipschitz if not a jump), exponential, or local (defined on part of the line
    only).
    derivatives: one builder per argument, None where there is no derivative. jax, latex: format strings over
    the printed arguments.
    bends: whether it has a kink or jump, or what is narrow for large arguments, where its argument is 0 (of
    several, where the first two are one, or the condition changes).
    """

    name: str
    arguments: int
    derivatives: tuple[Callable[..., Expr] | None, ...]
    jax: str
    latex: str
    array: Callable[..., Any] = field(compare=False)
    shape: Shape = "smooth"
    growth: Growth = "polynomial"
    positively_homogeneous: bool = False
    bends: bool = True


def _where_derivative(position: int) -> Callable[..., Expr]:
    zero = number(0)
    return lambda c, x, y: call("where", c, *(ONE if i == position else zero for i in (1, 2)))


def _gelu_derivative(x: Expr) -> Expr:
    density = divide(
        call("exp", mul(Number(Fraction(-1, 2)), power(x, number(2)))), call("sqrt", mul(number(2), PI))
    )
    return add(HALF, mul(HALF, call("erf", divide(x, call("sqrt", number(2))))), mul(x, density))


_ENTRIES = (
    Elementwise(
        "relu",
        1,
        (lambda x: call("step", x),),
        "jnp.maximum({}, 0)",
        r"\operatorname{{relu}}\left({}\right)",
        lambda ns, x: ns.np.maximum(x, 0),
        "kink",
        positively_homogeneous=True,
    ),
    Elementwise(
        "step",
        1,
        (None,),
        "jnp.heaviside({}, 0.5)",
        r"\operatorname{{step}}\left({}\right)",
        lambda ns, x: ns.np.heaviside(x, 0.5),
        "jump",
    ),
    Elementwise(
        "sign",
        1,
        (None,),
        "jnp.sign({})",
        r"\operatorname{{sign}}\left({}\right)",
        lambda ns, x: ns.np.sign(x),
        "jump",
    ),
    Elementwise(
        "abs",
        1,
        (lambda x: call("sign", x),),
        "jnp.abs({})",
        r"\left|{}\right|",
        lambda ns, x: ns.np.abs(x),
        "kink",
        positively_homogeneous=True,
    ),
    Elementwise(
        "tanh",
        1,
        (lambda x: add(ONE, neg(power(call("tanh", x), number(2)))),),
        "jnp.tanh({})",
        r"\tanh\left({}\right)",
        lambda ns, x: ns.np.tanh(x),
    ),
    Elementwise(
        "sigmoid",
        1,
        (lambda x: mul(call("sigmoid", x), add(ONE, neg(call("sigmoid", x)))),),
        "jax.nn.sigmoid({})",
        r"\operatorname{{sigmoid}}\left({}\right)",
        lambda ns, x: ns.special.expit(x),
    ),
    Elementwise(
        "erf",
        1,
        (lambda x: mul(divide(number(2), call("sqrt", PI)), call("exp", neg(power(x, number(2))))),),
        "erf({})",
        r"\operatorname{{erf}}\left({}\right)",
        lambda ns, x: ns.special.erf(x),
    ),
    Elementwise(
        "gelu",
        1,
        (_gelu_derivative,),
        "jax.nn.gelu({}, approximate=False)",
        r"\operatorname{{gelu}}\left({}\right)",
        lambda ns, x: x * ns.special.ndtr(x),
    ),
    Elementwise(
        "softplus",
        1,
        (lambda x: call("sigmoid", x),),
        "jax.nn.softplus({})",
        r"\operatorname{{softplus}}\left({}\right)",
        lambda ns, x: ns.np.logaddexp(x, 0),
    ),
    Elementwise(
        "exp",
        1,
        (lambda x: call("exp", x),),
        "jnp.exp({})",
        r"\exp\left({}\right)",
        lambda ns, x: ns.np.exp(x),
        growth="exponential",
    ),
    Elementwise(
        "sinh",
        1,
        (lambda x: call("cosh", x),),
        "jnp.sinh({})",
        r"\sinh\left({}\right)",
        lambda ns, x: ns.np.sinh(x),
        growth="exponential",
    ),
    Elementwise(
        "cosh",
        1,
        (lambda x: call("sinh", x),),
        "jnp.cosh({})",
        r"\cosh\left({}\right)",
        lambda ns, x: ns.np.cosh(x),
        growth="exponential",
    ),
    Elementwise(
        "log",
        1,
        (lambda x: power(x, number(-1)),),
        "jnp.log({})",
        r"\log\left({}\right)",
        lambda ns, x: ns.np.log(x),
        "kink",
        "local",
    ),
    Elementwise(
        "sin",
        1,
        (lambda x: call("cos", x),),
        "jnp.sin({})",
        r"\sin\left({}\right)",
        lambda ns, x: ns.np.sin(x),
        bends=False,
    ),
    Elementwise(
        "cos",
        1,
        (lambda x: neg(call("sin", x)),),
        "jnp.cos({})",
        r"\cos\left({}\right)",
        lambda ns, x: ns.np.cos(x),
        bends=False,
    ),
    Elementwise(
        "sqrt",
        1,
        (lambda x: divide(HALF, call("sqrt", x)),),
        "jnp.sqrt({})",
        r"\sqrt{{{}}}",
        lambda ns, x: ns.np.sqrt(x),
        "kink",
        "local",
    ),
    Elementwise(
        "max",
        2,
        (lambda x, y: call("step", add(x, neg(y))), lambda x, y: call("step", add(y, neg(x)))),
        "jnp.maximum({}, {})",
        r"\max\left({}, {}\right)",
        lambda ns, x, y: ns.np.maximum(x, y),
        "kink",
    ),
    Elementwise(
        "min",
        2,
        (lambda x, y: call("step", add(y, neg(x))), lambda x, y: call("step", add(x, neg(y)))),
        "jnp.minimum({}, {})",
        r"\min\left({}, {}\right)",
        lambda ns, x, y: ns.np.minimum(x, y),
        "kink",
    ),
    Elementwise(
        "where",
        3,
        (None, _where_derivative(1), _where_derivative(2)),
        "jnp.where({}, {}, {})",
        r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
        lambda ns, c, x, y: ns.np.where(c, x, y),
        "jump",
    ),
)
FUNCTIONS: Mapping[str, Elementwise] = {entry.name: entry for entry in _ENTRIES}
TANH_SLOPE = Elementwise(
    "tanh'",
    1,
    (lambda x: mul(number(-2), call("tanh", x), call("tanh'", x)),),
    "1 - jnp.tanh({})**2",
    r"\tanh'\left({}\right)",
    lambda ns, x: 1 - ns.np.tanh(x) ** 2,
)
# not of the language: made of others while covariances are found
INTERNAL: Mapping[str, Elementwise] = {TANH_SLOPE.name: TANH_SLOPE}
# arities of what `written` rewrites
SUGARED = {"square": (1, 1), "gelu": (1, 2), "max": (2, 64), "min": (2, 64)}
FUNCTION_NAMES = (*FUNCTIONS, *SUGARED)  # of all that programs may call without a `def`
CONSTANTS = ("pi", "e")


def elementwise(name: str) -> Elementwise:
    """What is known of a function, internal ones included."""
    return FUNCTIONS.get(name) or INTERNAL[name]


def arity(name: str) -> tuple[int, int]:
    """The least and the greatest number of arguments of `name` as written in a `.tp` file."""
    if name in SUGARED:
        return SUGARED[name]
    count = FUNCTIONS[name].arguments
    return count, count


def is_function(name: str) -> bool:
    return name in FUNCTION_NAMES


def written(name: str, *args: Expr) -> Expr:
    """The expression for `name(args…)` as written: `gelu(x, σ)` (TP4, x/2·(1 + erf(x/σ)) +
    σ/(2√π)·e^{−x²/σ²}) and n-ary max and min included."""
    if name == "gelu" and len(args) == 2:
        x, sigma = args
        if sigma == ZERO:
            return call("relu", x)
        ratio = divide(x, sigma if isinstance(sigma, Number) else call("max", sigma, LEAST_WIDTH))
        smooth = divide(
            mul(sigma, call("exp", neg(power(ratio, number(2))))), mul(number(2), call("sqrt", PI))
        )
        return add(mul(HALF, x, add(ONE, call("erf", ratio))), smooth)
    if name in ("max", "min") and len(args) > 2:
        out = args[0]
        for x in args[1:]:
            out = call(name, out, x)
        return out
    return call(name, *args)


def shapes(x: Expr) -> set[Shape]:
    """Which kinds of function occur in `x`; a comparison counts with its `where`."""
    return {elementwise(node.function).shape for node in walk(x) if isinstance(node, Call)}


def is_defined(x: Expr) -> bool:
    """Whether `x` is a number wherever its values are: there is no division in it, no root, no logarithm,
    nothing that grows exponentially."""

    def of(node: Expr) -> bool:
        match node:
            case Pow(_, Number(k)):
                return k.denominator == 1 and k >= 0
            case Pow():
                return False
            case Call(name, _):
                return elementwise(name).growth == "polynomial"
        return True

    return all(of(node) for node in walk(x))


def has_kinks(x: Expr) -> bool:
    """Whether a function with a kink or a jump is in `x`, which then may be 0, with all its derivatives, at
    more than single points."""
    return bool(shapes(x) - {"smooth"})
