"""From the tree to core programs: what comes out, line by line."""

import pytest

import tpc
from tpc.core.program import Nonlin, Scalar, instructions

HEAD = """program p
width n
width m = 2*n
matrix A : n x m ~ N(0, 1/m)
vector v : m ~ N(0, 1)
vector w : n ~ N(0, 1)
"""


def lowered(text):
    """The instructions and outputs that `text`, after HEAD, comes to."""
    return str(tpc.parse(HEAD + text)).removeprefix(HEAD)


def refused(text):
    with pytest.raises(tpc.TpcError) as error:
        tpc.parse(HEAD + text)
    return error.value.diagnostics[0].code


@pytest.mark.parametrize(
    ("text", "core"),
    [
        # one instruction a line where the line is one
        ("y = A @ v\n", "y = A @ v\n"),
        ("y = A.T @ w\n", "y = A.T @ w\n"),
        ("y = A.T.T @ v\n", "y = A @ v\n"),
        ("y = tanh(w)*w - 2*w\n", "y = tanh(w)*w - 2*w\n"),
        ("c = mean(w*w)\n", "c = mean(w*w)\n"),
        # parts get names of their own
        ("y = tanh(A @ v) + w\n", "y$1 = A @ v\ny = tanh(y$1) + w\n"),
        ("y = A @ tanh(v)\n", "y$1 = tanh(v)\ny = A @ y$1\n"),
        ("y = w*mean(w*w) + mean(w)\n", "y$1 = mean(w*w)\ny$2 = mean(w)\ny = w*y$1 + y$2\n"),
        ("c = 2*mean(tanh(A @ v))\n", "c$1 = A @ v\nc$2 = mean(tanh(c$1))\nc = 2*c$2\n"),
        # numbers are folded, exactly
        ("y = 0.1*w*3 + w^2 - 1 + 2\n", "y = 1 + 3/10*w + w^2\n"),
        ("y = w/4*2\n", "y = 1/2*w\n"),
        ("c = 2^10/3\n", "c = 1024/3\n"),
        # functions are expanded; what is used twice is shared
        ("def f(s) = s*tanh(s)\ny = f(w)\n", "y = w*tanh(w)\n"),
        (
            "def f(s) = s*tanh(s)\ny = f(sin(w + mean(w)) + w)\n",
            "y$1 = mean(w)\ny$2 = sin(w + y$1) + w\ny = y$2*tanh(y$2)\n",
        ),
        (
            "def f(s, c):\n    t = c*s + 1\n    u = tanh(t)\n    return u*t\ny = f(w, 2)\n",
            "y$1 = 1 + 2*w\ny = tanh(y$1)*y$1\n",
        ),
        ("def f(s) = mean(s)*s\ny = f(w)\n", "y$1 = mean(w)\ny = y$1*w\n"),
        ("y = square(w) + max(w, 0, 1) + gelu(w)\n", "y = w^2 + max(max(w, 0), 1) + gelu(w)\n"),
        # derivatives
        ("y = tanh'(w)\n", "y = 1 - tanh(w)^2\n"),
        ("y = sin''(w)\n", "y = -sin(w)\n"),
        ("y = relu'(w) + abs'(w)\n", "y = step(w) + sign(w)\n"),
        ("def f(s) = s^3\ny = f'(w)\nz = f''(w)\nu = f'''(w)\n", "y = 3*w^2\nz = 6*w\nu = 6 + 0*w\n"),
        ("def f(s, t) = s^2*t\ny = D(f, 0)(w, w)\nz = D(f, 1)(w, w)\n", "y = 2*w*w\nz = w^2\n"),
        ("y = exp'(w)*log'(1 + w^2)\n", "y = exp(w)/(1 + w^2)\n"),
        # sums: what does not depend on the index is made once, what does in a loop
        ("y = sum(s < 3: mean(w)*w)\n", "y$1 = mean(w)\ny = sum(s < 3: y$1*w)\n"),
        (
            "dim T = 3\nx[0] = w\nfor t < T:\n    x[t+1] = sum(s < t+1: mean(x[s]*x[t])*x[s])\n",
            "x[0] = w\n"
            "for t < 3:\n"
            "    for s < t+1:\n"
            "        x$1[t, s] = mean(x[s]*x[t])\n"
            "    x[t+1] = sum(s < t+1: x$1[t, s]*x[s])\n",
        ),
        (
            "x[i] = i*w for i < 3\ny = sum(i < 3, j < i: x[j])\n",
            "for i < 3:\n    x[i] = i*w\ny = sum(i < 3: sum(j < i: x[j]))\n",
        ),
        # indexed definitions, outputs that are expressions or whole families
        (
            "g[i, j] = mean(w^i)*j for i < 2 for j < i\n",
            "for i < 2:\n    for j < i:\n        g$1[i, j] = mean(w^i)\n        g[i, j] = g$1[i, j]*j\n",
        ),
        ("output c = mean(w*w)\n", "c = mean(w*w)\noutput c = c\n"),
        (
            "c[i] = mean(w^2)*i for i < 3\noutput c\n",
            "for i < 3:\n    c$1[i] = mean(w^2)\n    c[i] = c$1[i]*i\noutput c[i] = c[i] for i < 3\n",
        ),
        (
            "output c[i] = mean(w^2)*i for i < 3\n",
            "for i < 3:\n    c$1[i] = mean(w^2)\n    c[i] = c$1[i]*i\noutput c[i] = c[i] for i < 3\n",
        ),
    ],
)
def test_core(text, core):
    assert lowered(text) == core


def test_what_is_constant_keeps_its_kind():
    program = tpc.parse(HEAD + "x = 0*w\ny = A.T @ (2 + x*0)\nc = mean(0*w)\noutput c\n")
    kinds = {op.out.name: type(op) for op, _ in instructions(program.body)}
    assert (kinds["x"], kinds["y$1"], kinds["c"]) == (Nonlin, Nonlin, Scalar)
    assert "x = 0*w\n" in str(program)
    assert tpc.parse(str(program)) == program


def test_origins_are_lines_of_the_source():
    program = tpc.parse(HEAD + "y = tanh(A @ v)\nfor t < 2:\n    z[t] = y\n")
    assert [op.origin.line for op, _ in instructions(program.body)] == [7, 7, 9]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("y = step'(w)\n", "TP210"),
        ("def f(s) = relu(s)\ny = f''(w)\n", "TP210"),
        ("y = w/(2 - 2)\n", "TP215"),
        ("y = w*10^400\n", "TP216"),
        ("def a(s) = s*s*s*s*s*s*s*s\ndef b(s) = a(a(a(s)))\ny = b'(b(w))\n", "TP109"),
    ],
)
def test_refused(text, code):
    assert refused(text) == code


@pytest.mark.parametrize(
    "zero",
    [
        "0",
        "2 - 2",
        "w*0",
        "relu(0)",
        "2*relu(0 - 1)",
        "exp(0) - 1",
        "log(1)",
        "erf(0)/3",
        "w - w",
        "3*w - w*3",
    ],
)
def test_what_is_zero_is_not_divided_by(zero):
    """Whatever it is written as, and wherever in a product; powers of it are what they are."""
    assert refused(f"y = w/({zero})\n") == refused(f"y = 2/({zero})/3\n") == "TP215"
    assert refused(f"y = 1 + w*({zero})^(-1/2)\n") == "TP215"
    lowered(f"y = w + ({zero})^2\n")


def test_doubling_functions_stay_small():
    """30 calls in a row, of a function that uses its argument twice: shared, not expanded to 2^30."""
    lines = ["def f(s) = tanh(s)*s + sin(s)", "x0 = w", *(f"x{k + 1} = f(x{k} + w/2)" for k in range(30))]
    assert len(lowered("\n".join(lines) + "\n")) < 5000


def test_a_second_name_of_a_moment_leaves_the_first():
    assert (
        lowered("a = mean(w*w)\nb = a\nc = mean(w)*a\nd = a\noutput b\noutput d\n")
        == "a = mean(w*w)\nb = a\nc$1 = mean(w)\nc = c$1*a\nd = a\noutput b = b\noutput d = d\n"
    )


TRAINED = """
width n
dim T = 2
weight U : n x 1
weight V : 1 x n
network f(x) = V @ tanh(U @ x)
train f for t < T:
    batch (1, 2)
    loss mse
    update sgd(lr = 0.1, momentum = 0.9, clip = 1)
output loss
"""


def test_lines_that_training_writes_say_what_made_them():
    made = {op.out.name: op.origin for op, _ in instructions(tpc.parse(TRAINED).body)}
    assert made["dh1"].what == "gradient of line 6 in h1"
    assert str(made["V_buf"]) == "line 7, momentum of V"
    assert made["norm"].label.text == "norm of the gradient"
    assert made["h1"].what == ""
    assert str(made["h1"]) == "line 6"


def test_what_is_wrong_in_a_line_that_training_writes_says_what_made_it(monkeypatch):
    monkeypatch.setattr("tpc.lower.expressions.MAX_SIZE", 10)
    with pytest.raises(tpc.TpcError) as error:
        tpc.parse(TRAINED)
    assert error.value.diagnostics[0].at.text == "gradient of line 6 in h1"
