"""The table of elementwise functions: everything tpc knows of each, in one place.

A function is added here, and nowhere else; one that is made of those here, in `composed.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from tpc.core.composed import COMPOSED
from tpc.core.elementwise import Elementwise, Shape
from tpc.core.expr import (
    HALF,
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

PI = Constant("pi")


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
        name="relu",
        arguments=1,
        derivatives=(lambda x: call("step", x),),
        jax="jnp.maximum({}, 0)",
        latex=r"\operatorname{{relu}}\left({}\right)",
        array=lambda ns, x: ns.np.maximum(x, 0),
        sympy=lambda sy, x: sy.Max(x, 0),
        shape="kink",
        sign="not negative",
        degree=Fraction(1),
        at_zero=ZERO,
        simpler=lambda x: mul(x, call("step", x)),
    ),
    Elementwise(
        name="step",
        arguments=1,
        derivatives=(None,),
        jax="jnp.heaviside({}, 0.5)",
        latex=r"\operatorname{{step}}\left({}\right)",
        array=lambda ns, x: ns.np.heaviside(x, 0.5),
        sympy=lambda sy, x: sy.Heaviside(x, sy.Rational(1, 2)),
        shape="jump",
        bounded=True,
        sign="not negative",
        degree=Fraction(0),
        at_zero=HALF,
    ),
    Elementwise(
        name="sign",
        arguments=1,
        derivatives=(None,),
        jax="jnp.sign({})",
        latex=r"\operatorname{{sign}}\left({}\right)",
        array=lambda ns, x: ns.np.sign(x),
        sympy=lambda sy, x: sy.sign(x),
        shape="jump",
        bounded=True,
        parity=-1,
        degree=Fraction(0),
        at_zero=ZERO,
        fades=False,
        sign="of its argument",
    ),
    Elementwise(
        name="abs",
        arguments=1,
        derivatives=(lambda x: call("sign", x),),
        jax="jnp.abs({})",
        latex=r"\left|{}\right|",
        array=lambda ns, x: ns.np.abs(x),
        sympy=lambda sy, x: sy.Abs(x),
        shape="kink",
        sign="not negative",
        parity=1,
        degree=Fraction(1),
        at_zero=ZERO,
        fades=False,
        simpler=lambda x: mul(x, call("sign", x)),
    ),
    Elementwise(
        name="tanh",
        arguments=1,
        derivatives=(lambda x: add(ONE, neg(power(call("tanh", x), number(2)))),),
        jax="jnp.tanh({})",
        latex=r"\tanh\left({}\right)",
        array=lambda ns, x: ns.np.tanh(x),
        sympy=lambda sy, x: sy.tanh(x),
        bounded=True,
        parity=-1,
        at_zero=ZERO,
        fades=False,
        sign="of its argument",
    ),
    Elementwise(
        name="sigmoid",
        arguments=1,
        derivatives=(lambda x: mul(call("sigmoid", x), add(ONE, neg(call("sigmoid", x)))),),
        jax="jax.nn.sigmoid({})",
        latex=r"\operatorname{{sigmoid}}\left({}\right)",
        array=lambda ns, x: ns.special.expit(x),
        sympy=lambda sy, x: 1 / (1 + sy.exp(-x)),
        bounded=True,
        sign="positive",
        at_zero=HALF,
        simpler=lambda x: add(HALF, mul(HALF, call("tanh", mul(HALF, x)))),
    ),
    Elementwise(
        name="erf",
        arguments=1,
        derivatives=(
            lambda x: mul(divide(number(2), call("sqrt", PI)), call("exp", neg(power(x, number(2))))),
        ),
        jax="erf({})",
        latex=r"\operatorname{{erf}}\left({}\right)",
        array=lambda ns, x: ns.special.erf(x),
        sympy=lambda sy, x: sy.erf(x),
        bounded=True,
        parity=-1,
        at_zero=ZERO,
        fades=False,
        sign="of its argument",
    ),
    Elementwise(
        name="gelu",
        arguments=1,
        derivatives=(_gelu_derivative,),
        jax="jax.nn.gelu({}, approximate=False)",
        latex=r"\operatorname{{gelu}}\left({}\right)",
        array=lambda ns, x: x * ns.special.ndtr(x),
        sympy=lambda sy, x: x / 2 * (1 + sy.erf(x / sy.sqrt(2))),
        at_zero=ZERO,
        simpler=lambda x: add(mul(HALF, x), mul(HALF, x, call("erf", divide(x, call("sqrt", number(2)))))),
        sign="of its argument",
    ),
    Elementwise(
        name="softplus",
        arguments=1,
        derivatives=(lambda x: call("sigmoid", x),),
        jax="jax.nn.softplus({})",
        latex=r"\operatorname{{softplus}}\left({}\right)",
        array=lambda ns, x: ns.np.logaddexp(x, 0),
        sympy=lambda sy, x: sy.log(1 + sy.exp(x)),
        sign="positive",
    ),
    Elementwise(
        name="exp",
        arguments=1,
        derivatives=(lambda x: call("exp", x),),
        jax="jnp.exp({})",
        latex=r"\exp\left({}\right)",
        array=lambda ns, x: ns.np.exp(x),
        sympy=lambda sy, x: sy.exp(x),
        growth="exponential",
        sign="positive",
        at_zero=ONE,
    ),
    Elementwise(
        name="sinh",
        arguments=1,
        derivatives=(lambda x: call("cosh", x),),
        jax="jnp.sinh({})",
        latex=r"\sinh\left({}\right)",
        array=lambda ns, x: ns.np.sinh(x),
        sympy=lambda sy, x: sy.sinh(x),
        growth="exponential",
        parity=-1,
        at_zero=ZERO,
        fades=False,
        simpler=lambda x: add(mul(HALF, call("exp", x)), mul(neg(HALF), call("exp", neg(x)))),
        sign="of its argument",
    ),
    Elementwise(
        name="cosh",
        arguments=1,
        derivatives=(lambda x: call("sinh", x),),
        jax="jnp.cosh({})",
        latex=r"\cosh\left({}\right)",
        array=lambda ns, x: ns.np.cosh(x),
        sympy=lambda sy, x: sy.cosh(x),
        growth="exponential",
        sign="positive",
        parity=1,
        at_zero=ONE,
        fades=False,
        simpler=lambda x: add(mul(HALF, call("exp", x)), mul(HALF, call("exp", neg(x)))),
    ),
    Elementwise(
        name="log",
        arguments=1,
        derivatives=(lambda x: power(x, number(-1)),),
        jax="jnp.log({})",
        latex=r"\log\left({}\right)",
        array=lambda ns, x: ns.np.log(x),
        sympy=lambda sy, x: sy.log(x),
        shape="kink",
        growth="local",
    ),
    Elementwise(
        name="sin",
        arguments=1,
        derivatives=(lambda x: call("cos", x),),
        jax="jnp.sin({})",
        latex=r"\sin\left({}\right)",
        array=lambda ns, x: ns.np.sin(x),
        sympy=lambda sy, x: sy.sin(x),
        bounded=True,
        parity=-1,
        at_zero=ZERO,
        bends=False,
        fades=False,
    ),
    Elementwise(
        name="cos",
        arguments=1,
        derivatives=(lambda x: neg(call("sin", x)),),
        jax="jnp.cos({})",
        latex=r"\cos\left({}\right)",
        array=lambda ns, x: ns.np.cos(x),
        sympy=lambda sy, x: sy.cos(x),
        bounded=True,
        parity=1,
        at_zero=ONE,
        bends=False,
        fades=False,
    ),
    Elementwise(
        name="sqrt",
        arguments=1,
        derivatives=(lambda x: divide(HALF, call("sqrt", x)),),
        jax="jnp.sqrt({})",
        latex=r"\sqrt{{{}}}",
        array=lambda ns, x: ns.np.sqrt(x),
        sympy=lambda sy, x: sy.sqrt(x),
        shape="kink",
        growth="local",
        sign="not negative",
        degree=Fraction(1, 2),
        at_zero=ZERO,
    ),
    Elementwise(
        name="max",
        arguments=2,
        derivatives=(
            lambda x, y: call("step", add(x, neg(y))),
            lambda x, y: call("step", add(y, neg(x))),
        ),
        jax="jnp.maximum({}, {})",
        latex=r"\max\left({}, {}\right)",
        array=lambda ns, x, y: ns.np.maximum(x, y),
        sympy=lambda sy, x, y: sy.Max(x, y),
        shape="kink",
        degree=Fraction(1),
        at_zero=ZERO,
        simpler=lambda x, y: add(y, call("relu", add(x, neg(y)))),
    ),
    Elementwise(
        name="min",
        arguments=2,
        derivatives=(
            lambda x, y: call("step", add(y, neg(x))),
            lambda x, y: call("step", add(x, neg(y))),
        ),
        jax="jnp.minimum({}, {})",
        latex=r"\min\left({}, {}\right)",
        array=lambda ns, x, y: ns.np.minimum(x, y),
        sympy=lambda sy, x, y: sy.Min(x, y),
        shape="kink",
        degree=Fraction(1),
        at_zero=ZERO,
        simpler=lambda x, y: add(x, neg(call("relu", add(x, neg(y))))),
    ),
    Elementwise(
        name="where",
        arguments=3,
        derivatives=(None, _where_derivative(1), _where_derivative(2)),
        jax="jnp.where({}, {}, {})",
        latex=r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
        array=lambda ns, c, x, y: ns.np.where(c, x, y),
        sympy=lambda sy, c, x, y: sy.Piecewise((x, c), (y, True)),
        shape="jump",
    ),
)
FUNCTIONS: dict[str, Elementwise] = {entry.name: entry for entry in _ENTRIES}
TANH_SLOPE = Elementwise(
    name="tanh'",
    arguments=1,
    derivatives=(lambda x: mul(number(-2), call("tanh", x), call("tanh'", x)),),
    jax="1 - jnp.tanh({})**2",
    latex=r"\tanh'\left({}\right)",
    array=lambda ns, x: 1 - ns.np.tanh(x) ** 2,
    sympy=lambda sy, x: 1 - sy.tanh(x) ** 2,
    bounded=True,
    sign="positive",
    parity=1,
    at_zero=ONE,
)
# not of the language: made of others while covariances are found
INTERNAL: Mapping[str, Elementwise] = {TANH_SLOPE.name: TANH_SLOPE}
CONSTANTS = ("pi", "e")


def elementwise(name: str) -> Elementwise:
    """What is known of a function, internal ones included."""
    return FUNCTIONS.get(name) or INTERNAL[name]


def function_names() -> tuple[str, ...]:
    """The names of all that programs may call without a `def`."""
    return (*FUNCTIONS, *COMPOSED)


def arity(name: str) -> tuple[int, int]:
    """The least and the greatest number of arguments of `name` as written in a `.tp` file."""
    if name in COMPOSED:
        return COMPOSED[name].least, COMPOSED[name].most
    count = FUNCTIONS[name].arguments
    return count, count


def is_function(name: str) -> bool:
    return name in FUNCTIONS or name in COMPOSED


def written(name: str, *args: Expr) -> Expr:
    """The expression for `name(args…)` as written: of one of the table, or composed of these."""
    return COMPOSED[name].made(*args) if name in COMPOSED else call(name, *args)


def shapes(x: Expr) -> set[Shape]:
    """Which kinds of function occur in `x`; a comparison counts with its `where`."""
    return {elementwise(node.function).shape for node in walk(x) if isinstance(node, Call)}


def is_defined(x: Expr) -> bool:
    """Whether `x` is a number wherever its values are.

    There is no division in it, no root, no logarithm, nothing that grows exponentially.
    """

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
    """Whether a function with a kink or a jump is in `x`.

    It may be 0 then, with all its derivatives, at more than single points.
    """
    return bool(shapes(x) - {"smooth"})
