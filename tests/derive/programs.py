"""Programs that several tests of the derivation use."""

WISHART = """
width n
matrix A : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
"""

TWO_LAYERS = """
width n
dim T = {T}
input xi[t < T], y[t < T]
input xt = 0.7
matrix W : n x n ~ N(0, 1/n)
vector (U0, V0) : n ~ N([0, 0], [[1, 0], [0, 1]])
def phi(x) = {phi}
U[0] = U0
V[0] = V0
for t < T:
    h0[t] = xi[t]*U[t]
    x[t] = phi(h0[t])
    h[t] = W @ x[t] - sum(s < t: chi[s]*mean(x[s]*x[t])*dh[s])
    f[t] = mean(V[t]*phi(h[t]))
    chi[t] = f[t] - y[t]
    dh[t] = V[t]*phi'(h[t])
    dx[t] = W.T @ dh[t] - sum(s < t: chi[s]*mean(dh[s]*dh[t])*x[s])
    V[t+1] = V[t] - chi[t]*phi(h[t])
    U[t+1] = U[t] - chi[t]*xi[t]*phi'(h0[t])*dx[t]
output f
"""


def wishart(k: int) -> str:
    """E v·(AᵀA)^k v / n."""
    lines, last = [], "v"
    for i in range(k):
        lines += [f"y{i} = A @ {last}", f"z{i} = A.T @ y{i}"]
        last = f"z{i}"
    return WISHART + "\n".join(lines) + f"\noutput m = mean(v*{last})\n"


def two_layers(rounds: int = 3, phi: str = "tanh(x)") -> str:
    return TWO_LAYERS.format(T=rounds, phi=phi)
