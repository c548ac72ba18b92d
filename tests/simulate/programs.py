"""Programs that meet every construct of the core, with inputs for them."""

import numpy as np

RANDOM = np.random.default_rng(0)
ONE_HIDDEN_LAYER = """
width n
dim T = 6
input xi[T], y[T]
input eta = 0.5
vector V0 : n ~ N(0, 1)
vector U0 : n ~ N(0, 1)
def phi(x) = tanh(x)
V[0] = V0
U[0] = U0
for t < T:
    h[t] = xi[t]*U[t]
    f[t] = mean(V[t]*phi(h[t]))
    chi[t] = f[t] - y[t]
    V[t+1] = V[t] - eta*chi[t]*phi(h[t])
    U[t+1] = U[t] - eta*chi[t]*xi[t]*V[t]*phi'(h[t])
output f[t] for t < T
"""
TWO_HIDDEN_LAYERS = """
width n
width m = 3/2*n
dim T = 4, d = 3, N = 5
input xi[T, d], y[T]
input xs[N, d]
input eta = 0.5
matrix W : m x n ~ N(0, 1/n)
vector V0 : m ~ N(0, 1)
vector U0[j < d] : n ~ N(0, 1 + j/d)
V[0] = V0
for j < d:
    U[0, j] = U0[j]
for t < T:
    h[t] = sum(j < d: xi[t, j]*U[t, j])
    x[t] = tanh(h[t])
    k[t] = W @ x[t] - eta*sum(s < t: chi[s]*mean(x[s]*x[t])*dk[s])
    z[t] = tanh(k[t])
    f[t] = mean(V[t]*z[t])
    chi[t] = f[t] - y[t]
    dk[t] = V[t]*(1 - z[t]^2)
    dx[t] = W.T @ dk[t] - eta*sum(s < t: chi[s]*mean(dk[s]*dk[t])*x[s])
    V[t+1] = V[t] - eta*chi[t]*z[t]
    for j < d:
        U[t+1, j] = U[t, j] - eta*chi[t]*xi[t, j]*dx[t]*(1 - x[t]^2)
for i < N:
    hs[i] = sum(j < d: xs[i, j]*U[T, j])
    q[i] = W @ tanh(hs[i]) - eta*sum(s < T: chi[s]*mean(x[s]*tanh(hs[i]))*dk[s])
    g[i] = mean(V[T]*tanh(q[i]))
output f[t] for t < T
output g[i] for i < N
output K[i, j] = mean(q[i]*q[j]) for i < N for j < N
"""
EVERYTHING = """
width n
width m = 2*n
input rho = 0.5
input xi[3]
input jj[3] : index(4)
matrix A : n x m ~ N(0, 1/m)
matrix B[k < 3] : n x n ~ N(0, (1+k)/n)
vector v : m ~ N(0, 1)
vector (a, b) : n ~ N([0, 1], [[1, rho], [rho, 1]])
vector (c[i<3], d[i<3]) : n ~ N([0, i], [[1, 1], [1, 1]])
vector u[j < 4] : n ~ N(0, 1+j)
y = A @ v
z = A.T @ y
g[i,k] = mean(u[i]*u[jj[k]]) for i < 4 for k < 3
q = sum(t < 3: xi[t]*u[t])
q2 = sum(t < 3: sum(s < t: xi[t]*u[s]))
q3 = sum(t < 3: sum(s < 3 - t: xi[t+s]*u[s+t]*c[t] + 1))
V[0]=u[0]
for t < 3:
    V[t+1] = V[t] - sum(s < t: mean(V[s]*u[s])*tanh(u[s])) + t*d[2-t] + log(1 + t)*u[jj[t]]
    E[t] = A @ (A.T @ V[t+1])
w[k] = B[k] @ u[jj[k]] for k < 3
w2[k] = B[2-k].T @ u[k] for k < 3
w3[0] = u[0]
for k < 3:
    w3[k+1] = B[2-k] @ w3[k]
w4 = B[1] @ u[0]
r[i, j] = mean(u[i]*c[j]*exp(u[j]/4)) + i - 2*j for i < 3 for j < i+1
for i < 3:
    p[i, 0] = u[i] + c[i]
    for s < i + 1:
        p[i, s+1] = 0.5*tanh(A @ (A.T @ p[i, s])) + d[s]
        for l < s + 1:
            pp[i, s, l] = mean(p[i, l]*p[i, s+1]*xi[l])
last[i] = mean(p[i, i+1]*where(p[i, 0] < 0, 1, p[i,i])) for i < 3
output m2 = mean(v*z)
output g
output last
output ab = mean(a*b*q*q2*q3)
output ee[t] = mean(E[t]^2) for t < 3
output ww[k] = mean(w[k]*w2[k]) for k < 3
output w33[k] = mean(w3[k]*w4) for k < 4
output r21 = r[2, 1]
output r11 = r[1, 1]
output p211 = pp[2, 1, 1]
output p220 = pp[2, 2, 0]
output p000 = pp[0, 0, 0]
output cd = mean((c[0]-d[0])^2)
output tri = sum(i < 3: sum(s < i + 1: sum(l < s + 1: pp[i, s, l]*xi[s])))
output tri2[i] = sum(s < i + 1: r[i, s]) for i < 3
"""
PROGRAMS = {
    "one_hidden_layer": (
        ONE_HIDDEN_LAYER,
        {"xi": RANDOM.standard_normal(6), "y": RANDOM.standard_normal(6), "eta": np.array(0.5)},
    ),
    "two_hidden_layers": (
        TWO_HIDDEN_LAYERS,
        {
            "xi": RANDOM.standard_normal((4, 3)),
            "y": RANDOM.standard_normal(4),
            "xs": RANDOM.standard_normal((5, 3)),
            "eta": np.array(0.5),
        },
    ),
    "everything": (
        EVERYTHING,
        {"rho": np.array(0.5), "xi": RANDOM.standard_normal(3), "jj": np.array([3, 1, 1])},
    ),
}
