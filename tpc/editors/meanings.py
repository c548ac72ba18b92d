"""What lines and words of the language mean, in a sentence each."""

from __future__ import annotations

from tpc.core.composed import COMPOSED
from tpc.core.expr import Ref, Value
from tpc.core.functions import FUNCTIONS
from tpc.core.printer import print_expr
from tpc.syntax import tree
from tpc.train.losses import LOSSES
from tpc.train.matrix_aware import MATRIX_AWARE
from tpc.train.optimizer_rules import OPTIMIZERS, named_rule
from tpc.train.optimizers import options_of_known

LINES: dict[type, str] = {
    tree.ProgramName: "the program's name",
    tree.WidthStatement: "a width, which tends to infinity",
    tree.Dim: "a whole number, which `--set` may override",
    tree.InputStatement: "numbers given at run time",
    tree.MatrixStatement: "a random matrix, entries independent",
    tree.Vector: "random vectors, coordinates independent copies of one Gaussian",
    tree.Function: "a function of numbers, used coordinate by coordinate",
    tree.ForBlock: "a loop: its lines once for each value of the variable",
    tree.OutputStatement: "what is reported",
    tree.WeightStatement: "parameters, random at first and trained",
    tree.Activation: "a function by another name",
    tree.Parametrization: "how weights and learning rates scale with the width",
    tree.Network: "a network: a function of its arguments and of the weights",
    tree.Optimizer: "a rule for entries of weights: what a step takes off, from the gradient `g`",
    tree.Train: "a training, a step for each value of the variable",
    tree.Adapted: "a network after inner steps of its own",
    tree.AddTo: "an update of a weight by hand",
    tree.Examples: "the examples of a step",
    tree.Loss: "what training makes small",
    tree.Update: "how a step changes the weights",
    tree.Gradient: "where the gradient of a step is taken",
}
WORDS = {
    "mean": "`mean(x)`: the mean over coordinates, in the limit an expectation",
    "sum": "`sum(i < k: …)`: a sum over indices",
    "where": "`where(condition, x, y)`: x where the condition holds, else y",
    "D": "`D(f, i)`: the derivative of f in its argument i, from 0",
    "pad": "`pad(x, 1)`: the array with a zero before and after it along its first axis",
    "onehot": "`onehot(j)`: the array that is 1 at j, and else 0",
    "nngp": "`nngp(f)(x, z)`: the covariance of the network's outputs at initialisation",
    "ntk": "`ntk(f)(x, z)`: the neural tangent kernel at initialisation",
    "outer": "`outer(a, b)`: the table of all products a·b, which takes x to a·mean(b·x)",
    "newton_schulz": "`newton_schulz(A, steps, a, b, c)`: steps aA + bAAᵀA + cAAᵀAAᵀA from A over its norm",
    "polar": "`polar(A)`: the table with A's singular vectors, and 1 for its singular values",
    "left_gram": "`left_gram(A)`: the table AAᵀ of two sides that are the rows of A",
    "right_gram": "`right_gram(A)`: the table AᵀA of two sides that are the columns of A",
    "preconditioned": "`preconditioned(A, L, R, eps, p)`: the table (eps + L)^(-p) A (eps + R)^(-p)",
    "adapt": "`adapt(f, (x, y), loss = …, lr = …, steps = …)`: f after inner steps",
    "pi": "π",
    "e": "Euler's number",
    "mup": "maximal update parametrization: every layer learns features",
    "sp": "standard parametrization",
    "ntp": "NTK parametrization: training follows a kernel",
    "mfp": "mean-field parametrization",
    "uniform": "`uniform(r = …)`: from mup (r = 0) to ntp (r = 1/2)",
    "abc": "`abc(a = […], b = […], c = …)`: exponents of one's own, by weight; so may c, and then d, be",
}
UNSET = {"lr": "…", "clip": "none", "limit": "none"}  # options that are no numbers if they are left out


def _meaning_of_optimizer(name: str) -> str:
    """How it is written, with its defaults, and what it is."""
    parameters = named_rule(name).parameters if name in OPTIMIZERS else {}
    untold = {**UNSET, **(MATRIX_AWARE[name].untold if name in MATRIX_AWARE else {})}
    written = [f"{o} = {untold.get(o) or _default(parameters.get(o))}" for o in options_of_known()[name]]
    known = OPTIMIZERS.get(name) or MATRIX_AWARE.get(name)
    meaning = known and known.meaning
    return f"`{name}({', '.join(written)})`" + (f": {meaning}" if meaning else "")


def _default(value: tree.Tree | None) -> str:
    """A decimal number; 0 of options that every optimizer has."""
    return f"{float(value.value):g}".replace("e-0", "e-") if isinstance(value, tree.Literal) else "0"


def meaning_of_word(word: str) -> str:
    """Empty if it has none in the language."""
    if word in WORDS:
        return WORDS[word]
    if word in LOSSES:
        return LOSSES[word].meaning
    if word in options_of_known():
        return _meaning_of_optimizer(word)
    if word in FUNCTIONS:
        return _meaning_of_function(word)
    return _meaning_of_composed(word) if word in COMPOSED else ""


def _meaning_of_function(word: str) -> str:
    entry = FUNCTIONS[word]
    arguments = ", ".join("xyz"[: entry.arguments])
    derivative = ", has no derivative at a jump" * (entry.derivatives[0] is None)
    return f"`{word}({arguments})`, coordinate by coordinate{derivative}"


def _meaning_of_composed(word: str) -> str:
    """The expressions that it stands for, with as many arguments as it may have."""
    entry, variables = COMPOSED[word], [Value(Ref(name), True) for name in "xyz"]
    counts = range(entry.least, min(entry.most, len(variables)) + 1)
    return "; ".join(
        f"`{word}({', '.join('xyz'[:k])})` is {print_expr(entry.made(*variables[:k]))}" for k in counts
    )
