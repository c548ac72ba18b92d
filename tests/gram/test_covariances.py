"""The gram representation against points (`nodes`), within their standard errors, and what it refuses."""

import os

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tests.values import values_only
from tpc.gram import NotGramError, covariance_program

PROGRAMS = {
    "residual, biases, joint vectors with means": """width n
matrix W : n x n ~ N(0, 2/n)
vector (a, b) : n ~ N([1/2, 0], [[1, 1/3], [1/3, 2]])
vector u[k < 3] : n ~ N(0, k + 1)
h0 = a + sum(k < 3: u[k]*(k + 1)/3) - b
x = tanh(h0)
h1 = W @ x
z = relu(h1 + b - mean(h1))
output c = mean(z*x) + mean(h1*z)
output d = mean(a*a*b)
output e = mean(z^2)/(1 + mean(x))
output f = mean(max(h1, h0 - mean(h0))*abs(b))
""",
    "a matrix and its transpose, widths apart": """width n
width m = 3*n
dim N = 3
input xs[N] = 1
matrix A : n x m ~ N(0, 1/m)
matrix B : m x n ~ N(0, 1/2/n)
vector v : m ~ N(0, 1)
vector r : m ~ N(0, 1)
x[i] = relu(v*xs[i]*(i + 1)) for i < N
h[i] = A @ x[i] for i < N
y[i] = sin(h[i]) for i < N
g[i] = B @ y[i] for i < N
k[i] = B.T @ (r*cos(g[i])) for i < N
l[i] = A.T @ (k[i]*cos(h[i])) for i < N
output c[i, j] = mean(y[i]*y[j]) + mean(x[i]*x[j]) for i < N for j < N
output d[i, j] = mean(l[i]*l[j]) for i < N for j < N
output e[i] = mean(k[i]^2) for i < N
""",
    "parts, strides and loops": """width n
dim N = 2, L = 2, P = 4
input xs[N, P] = 1
matrix W[l < L] : n x n ~ N(0, (l + 1)/n)
matrix T[s < 2] : n x n ~ N(0, 1/2/n)
vector u[p < P] : n ~ N(0, 1)
h[0, i, p] = xs[i, p]*u[p] + xs[i, p]^2*u[0]/(p + 1) for i < N for p < P
for l < L:
    for i < N:
        for p < P:
            h[l+1, i, p] = W[l] @ relu(h[l, i, p])
for i < N:
    z[i, 0] = 0*u[0]
    z[i, P+1] = 2*h[0, i, 0]
    z[i, p+1] = erf(h[L, i, p]) for p < P
    for p < 3:
        t[i, p] = T[0] @ z[i, 2*p]
        s[i, p] = T[1] @ z[i, 2*p+1]
        q[i, p] = t[i, p] + s[i, p]
    pooled[i] = sum(p < 3: relu(q[i, p]))/3
output c[i, j] = mean(pooled[i]*pooled[j]) for i < N for j < N
output d[i] = mean(q[i, 2]*q[i, 0]) + mean(z[i, P+1]*z[i, 1]) for i < N
output e[l, i] = mean(h[l, i, 1]*h[l, i, 2]) for l < L + 1 for i < N
""",
    "indices read from data": """width n
dim N = 4, d = 5
input j[N] : index(d), w[d] = 1/2
vector u[k < d] : n ~ N(0, w[k])
matrix W : n x n ~ N(0, 1/n)
h[i] = W @ tanh(u[j[i]]) for i < N
output c[i, k] = mean(relu(h[i])*relu(h[k])) + mean(u[j[i]]*u[j[k]]) for i < N for k < N
""",
    "recurrent, with a backward pass": """width n
dim N = 2, S = 3
input xs[N, S] = 1
matrix W : n x n ~ N(0, 1/n)
vector u : n ~ N(0, 1)
vector b : n ~ N(0, 1/4)
vector v : n ~ N(0, 1)
for i < N:
    h[i, 0] = xs[i, 0]*u + b
    for s < S - 1:
        h[i, s+1] = W @ tanh(h[i, s]) + xs[i, s+1]*u + b
    g[i, S-1] = v*tanh'(h[i, S-1])
    for s < S - 1:
        g[i, S-2-s] = (W.T @ g[i, S-1-s])*tanh'(h[i, S-2-s])
output c[i, j] = mean(tanh(h[i, S-1])*tanh(h[j, S-1])) for i < N for j < N
output k[i, j] = sum(s < S, r < S: mean(g[i, s]*g[j, r])) for i < N for j < N
""",
    "scalars of scalars": """width n
dim P = 3
input xs[P] = 1
vector u[p < P] : n ~ N(0, 1)
vector v : n ~ N(0, 1)
matrix A : n x n ~ N(0, 1/n)
h[p] = u[p]*xs[p] + v for p < P
w[p, q] = exp(mean(h[p]*h[q])/2) for p < P for q < P
m[p] = A @ h[p] for p < P
o[p] = sum(q < P: w[p, q]*m[q])/sum(q < P: w[p, q]) for p < P
c[p] = (o[p] - mean(o[p]))/sqrt(mean(o[p]^2)) for p < P
output k[p, q] = mean(relu(c[p])*gelu(c[q])) for p < P for q < P
""",
    "gates": """width n
matrix W : n x n ~ N(0, 1/n)
matrix Z : n x n ~ N(0, 1/n)
vector u : n ~ N(0, 1)
x = tanh(u)
z = sigmoid(Z @ x)
h = (1 - z)*x + z*tanh(W @ x)
g = Z @ h
output c = mean(h^2) + mean(g*z)
output d = mean(sigmoid(g)*h)
""",
}


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def agree(program, inputs=None, samples=2048):
    """gram and nodes, within 5 standard errors of the points (and their bias)."""
    exact = program.compile(method="gram")(inputs or {})
    points = values_only(program.compile(method="nodes", samples=samples, repeats=8))(inputs or {})
    for name, outcome in exact.outputs.items():
        other = points[name]
        error = 0.0 if outcome.stderr is None else outcome.stderr
        size = np.abs(other.value).max(initial=1)
        assert np.all(np.abs(outcome.value - other.value) <= 5 * other.stderr + error + 2e-4 * size), (
            name,
            outcome.value,
            other,
        )
    return exact


@pytest.mark.parametrize("name", PROGRAMS)
def test_agrees_with_points(name):
    program = tpc.parse(PROGRAMS[name])
    random = np.random.default_rng(0)
    inputs = {
        i.name: random.standard_normal(i.shape)
        for i in program.inputs
        if i.default is not None and i.name != "w"
    }
    if name == "indices read from data":
        inputs["j"] = [3, 0, 3, 1]
    agree(program, inputs)


def test_inputs_of_norm_zero():
    """A vector of norm 0 divided by its norm is 0, the limit of adding less and less to the variance; relu
    and its kernels are what they are at 0."""
    text = (
        "width n\n"
        "dim N = 2\n"
        "input xs[N]\n"
        "vector u : n ~ N(0, 1)\n"
        "h[i] = xs[i]*u for i < N\n"
        "z[i] = h[i]/sqrt(mean(h[i]^2)) for i < N\n"
        "output a[i, j] = mean(relu(h[i])*relu(h[j])) for i < N for j < N\n"
        "output b[i, j] = mean(step(h[i])*step(h[j])) for i < N for j < N\n"
        "output c[i, j] = mean(relu(z[i])*relu(z[j])) for i < N for j < N\n"
    )
    result = tpc.parse(text).compile(method="gram")({"xs": [0.0, 2.0]})
    np.testing.assert_allclose(result["a"].value, [[0, 0], [0, 2]], rtol=1e-15)
    np.testing.assert_allclose(result["b"].value, [[0.25, 0.25], [0.25, 0.5]], rtol=1e-15)
    np.testing.assert_allclose(result["c"].value, [[0, 0], [0, 0.5]], rtol=1e-15)


REFUSED = {
    "the product `A.T @ h` (line 5) has a Ż: what is multiplied is correlated with `A @ v` (line 4)": "width n\n"  # noqa: E501
    "matrix A : n x n ~ N(0, 1/n)\n"
    "vector v : n ~ N(0, 1)\n"
    "h = A @ v\n"
    "g = A.T @ h\n"
    "output c = mean(g^2)\n",
    "the product `W.T @ d` (line 6) has a Ż: what is multiplied is correlated with `W @ tanh(v)` (line "
    "4)": "width n\n"
    "matrix W : n x n ~ N(0, 1/n)\n"
    "vector v : n ~ N(0, 1)\n"
    "h = W @ tanh(v)\n"
    "d = tanh'(h)*h\n"
    "g = W.T @ d\n"
    "output c = mean(g^2)\n",
    "a mean of a function of 5 dependent Gaussians": "width n\n"
    "dim k = 5\n"
    "vector u[i < k] : n ~ N(0, 1)\n"
    "x = sigmoid(u[0]*u[1]*u[2]*u[3]*u[4])\n"
    "output c = mean(x)\n",
}


@pytest.mark.parametrize("why", REFUSED)
def test_refusals_say_why(why):
    with pytest.raises(NotGramError) as error:
        covariance_program(tpc.parse(REFUSED[why]))
    assert why in str(error.value)


def test_gradient_independence_is_derived():
    """The same backward pass has no Ż from a readout of mean 0, and has one where it is of mean 1."""
    text = (
        "width n\n"
        "matrix W : n x n ~ N(0, 1/n)\n"
        "vector u : n ~ N(0, 1)\n"
        "vector v : n ~ N({}, 1)\n"
        "h = W @ tanh(u)\n"
        "d = v*tanh'(h)*sin(h)\n"
        "g = W.T @ d\n"
        "output c = mean(g^2)\n"
    )
    agree(tpc.parse(text.format(0)))
    with pytest.raises(NotGramError, match="has a Ż"):
        covariance_program(tpc.parse(text.format(1)))


def test_an_even_function_has_no_dot():
    """Stein's lemma: E ĥ·φ(ĥ) = 0 for an even φ, though φ depends on ĥ."""
    agree(
        tpc.parse(
            "width n\n"
            "matrix W : n x n ~ N(0, 1/n)\n"
            "vector u : n ~ N(0, 1)\n"
            "h = W @ u\n"
            "g = W.T @ cos(h)\n"
            "output c = mean(relu(g)*u^2)\n"
        )
    )


FUNCTIONS = [
    "relu(s)",
    "tanh(s)",
    "erf(s/2)",
    "sin(2*s)",
    "gelu(s)",
    "abs(s)",
    "s",
    "sigmoid(s) - 1/2",
    "cos(s)",
    "max(s, s/5)",
    "exp(-s^2)",
    "s^2/4",
    "where(s > 0, s, s/10)",
    "softplus(s)",
]


@st.composite
def networks(draw):
    depth = draw(st.integers(1, 3))
    lines = ["width n", "dim N = 3, d = 2", "input xs[N, d]"]
    body = []
    x = "x"
    for k in range(depth):
        phi = draw(st.sampled_from(FUNCTIONS))
        lines += [
            f"weight W{k} : n x {'d' if k == 0 else 'n'}, {'std' if k % 2 else 'scale'} = "
            f"{draw(st.sampled_from(['1', '1/2', '3/2']))}",
            f"def p{k}(s) = {phi}",
        ]
        term = f"W{k} @ {x}"
        if draw(st.booleans()):
            lines.append(f"bias b{k} : n, std = 1/2")
            term += f" + b{k}"
        if k and draw(st.booleans()):
            term += f" + h{k - 1}/2"
        body += [f"    h{k} = {term}", f"    x{k} = p{k}(h{k})"]
        x = f"x{k}"
        if draw(st.booleans()):
            body.append(f"    y{k} = {x}/sqrt(1/4 + mean({x}^2))")
            x = f"y{k}"
    lines += [
        "weight V : 1 x n",
        "parametrization ntp",
        "network f(x):",
        *body,
        f"    return V @ {x}",
        "output S[i, j] = nngp(f)(xs[i], xs[j]) for i < N for j < N",
        "output T[i, j] = ntk(f)(xs[i], xs[j]) for i < N for j < N",
    ]
    return "\n".join(lines) + "\n"


@settings(max_examples=int(os.environ.get("TPC_COVARIANCES", "2")), deadline=None)
@given(networks())
def test_random_networks_agree_with_points(text):
    agree(tpc.parse(text), {"xs": np.random.default_rng(1).standard_normal((3, 2))})


def test_modules_can_be_differentiated_and_mapped():
    """By the inputs, where two are equal, and where one is 0, too."""
    text = (
        "width n\n"
        "dim N = 4\n"
        "input xs[N, 2], a = 1\n"
        "matrix W : n x n ~ N(0, a/n)\n"
        "vector u[k < 2] : n ~ N(0, 1)\n"
        "vector v : n ~ N(0, 1)\n"
        "h[i] = sum(k < 2: xs[i, k]*u[k]) for i < N\n"
        "g[i] = W @ relu(h[i]) for i < N\n"
        "d[i] = (W.T @ (v*relu'(g[i])))*relu'(h[i]) for i < N\n"
        "output K[i, j] = mean(relu(g[i])*relu(g[j])) for i < N for j < N\n"
        "output T[i, j] = mean(d[i]*d[j])*sum(k < 2: xs[i, k]*xs[j, k]) for i < N for j < N\n"
    )
    evaluator = tpc.parse(text).compile(method="gram")
    xs = np.array([[1.0, 0.5], [-0.3, 0.8], [1.0, 0.5], [0.0, 0.0]])
    kernel, other = evaluator.function("K"), evaluator.function("T")
    slope = jax.jacobian(lambda x: kernel({"xs": x}))(xs)
    assert np.all(np.isfinite(slope))
    assert np.all(np.isfinite(jax.jacobian(lambda x: other({"xs": x}))(xs)))
    step = np.zeros((4, 2))
    step[1, 0] = step[0, 1] = 1e-6
    ends = [kernel({"xs": xs + sign * step}) for sign in (1, -1)]
    np.testing.assert_allclose(
        np.tensordot(slope, step / 1e-6, 2)[:2, :2], ((ends[0] - ends[1]) / 2e-6)[:2, :2], atol=1e-8
    )
    mapped = jax.vmap(lambda a: kernel({"xs": xs, "a": a}))(np.array([1.0, 4.0]))
    np.testing.assert_allclose(mapped[1], 4 * mapped[0], rtol=1e-13)


BAGS = """width n
dim d = 2, T = 3, B = 2, P = 3, R = 2
input word[T, P] : index(d), share[T, B, P], out[T, R] : index(d), eta = 0.3
vector U0[k < d] : n ~ N(0, 1)
vector V0[k < d] : n ~ N(0, 1)
U[0, k] = U0[k] for k < d
V[0, k] = V0[k] for k < d
for t < T:
    h[t, b] = sum(p < P: share[t, b, p]*U[t, word[t, p]]) for b < B
    f[t, b, r] = mean(V[t, out[t, r]]*h[t, b]) for b < B for r < R
    V[t+1, k] = V[t, k] - eta*sum(r < R: where(k <= out[t, r], where(k >= out[t, r], 1, 0), 0)*sum(b < B: (f[t, b, r] - 1)*h[t, b])) for k < d
    U[t+1, k] = U[t, k] - eta*sum(p < P: where(k <= word[t, p], where(k >= word[t, p], 1, 0), 0)*sum(b < B: share[t, b, p]*V[t, out[t, 0]])) for k < d
output f
"""  # noqa: E501


PICKED = """width n
dim d = 2, P = 3, R = 2
input word[2, P] : index(d), share[P], out[2, R] : index(d)
vector V0[k < d] : n ~ N(0, 1)
U[k] = sum(p < P: where(k <= word[0, p], where(k >= word[0, p], 1, 0), 0)*share[p]*V0[out[0, 0]]) for k < d
h = sum(p < P: share[p]*U[word[1, p]])
output f[k, p] = mean(V0[k]*U[word[1, p]]) for k < d for p < P
output g[r] = mean(V0[out[1, r]]*h) for r < R
"""


@pytest.mark.parametrize("text", [BAGS, PICKED], ids=["bags", "picked"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_members_that_inputs_pick_in_sums_of_sums(text, seed):
    program, random = tpc.parse(text), np.random.default_rng(seed)
    inputs = {
        i.name: random.random(i.shape) if i.bound is None else random.integers(0, i.bound, i.shape)
        for i in program.inputs
        if i.default is None
    }
    by_covariances, by_coefficients = (
        program.compile(method=method)(inputs) for method in ("gram", "linear")
    )
    assert any(np.abs(found.value).max() > 1e-3 for found in by_coefficients.outputs.values())
    for name, found in by_covariances.outputs.items():
        np.testing.assert_allclose(found.value, by_coefficients[name].value, rtol=1e-12, atol=1e-14)


def test_axes_that_inputs_do_not_tell_apart():
    """Random scalars are summed over a batch whose inputs all come to one Gaussian: axes that agree in
    nothing that the formula depends on."""
    program = tpc.parse("""width n
dim k = 2, T = 3
input x[T, 2] = 0.5, y[T, k] = 1, eta = 0.1
weight U : n x 2
weight V : k x n
bias c : k
parametrization ntp
network f(x) = V @ tanh(U @ x) + c
train f for t < T:
    batch (x[t], y[t])
    loss mse
    update sgd(lr = eta)
output e[j] = f(x[0])[j] for j < k
output Q[i, j] = ntk(f)(x[i], x[j]) for i < T for j < T
""")
    result = program.compile(initial="zero")()
    slope = result["Q"].value[0, 0]
    np.testing.assert_allclose(result["Q"].value, slope, rtol=1e-13)
    np.testing.assert_allclose(result["e"].value, 1 - (1 - slope / 10) ** 3, rtol=1e-12)
