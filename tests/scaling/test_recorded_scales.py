"""Verdicts and conditions to the letter: `recorded/NAME.txt`, of programs, and of small nets in many ways.

`pytest tests/scaling --update-golden` records them anew; whether they are right is seen by reading them.
"""

from pathlib import Path

import pytest

import tpc
from tpc.scaling import classify, conditions

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "recorded"
PROGRAMS = sorted(
    path for path in ROOT.glob("programs/*/*.tp") if "\ntrain " in path.read_text(encoding="utf-8")
)
EXPONENTS = {  # of the first, the middle and the last weight
    "large": {"a": ("0", "0", "0"), "b": ("0", "1/4", "1/2"), "c": ("0", "0", "0"), "d": ("0", "0", "0")},
    "small": {
        "a": ("0", "1/2", "1"),
        "b": ("1/4", "1/4", "1/4"),
        "c": ("0", "1", "2"),
        "d": ("1/2", "1", "1"),
    },
}
PARAMETRIZATIONS = ("mup", "ntp", "sp", "uniform(r = 1/4)", *EXPONENTS)
UPDATES = {
    "sgd": "update sgd(lr = eta)",
    "momentum": "update sgd(lr = eta, momentum = 1/2, decay = 1/10)",
    "clipped": "update sgd(lr = eta, clip = 1)",
    "adam": "update adam(lr = eta)",
    "muon": "update muon(lr = eta) of W\n    update sgd(lr = eta) otherwise",
}
NETS = {
    "one_layer": "    x = tanh(U @ xi)\n    return V @ x\n",
    "two_layers": "    x = relu(U @ xi)\n    z = relu(W @ x)\n    return V @ z\n",
    "residual": "    x = U @ xi\n    z = x + W @ tanh(x)\n    return V @ z\n",
    "biased": "    x = tanh(U @ xi + beta)\n    return V @ x\n",
    "normed": "    x = tanh(U @ xi)\n    m = mean(x^2)\n    z = W @ (x/sqrt(m))\n    return V @ z\n",
    "gated": "    x = tanh(U @ xi)\n    s = mean(x*beta)\n    z = s*x + W @ x\n    return V @ z\n",
    "reused": "    x = tanh(U @ xi)\n    z = tanh(W.T @ (W @ x))\n    return V @ z\n",
}
WEIGHTS = {"U": "n x d", "beta": "n", "W": "n x n", "V": "1 x n"}
TEXT = """width n
dim T = 3, d = 2
input eta = 0.5, xi[t < T, d] = 1, y[t < T] = -1
{weights}
parametrization {name}
network f(xi):
{body}
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    {update}
output loss
"""


def net(name, parametrization, update):
    own = [w for w in WEIGHTS if w in NETS[name]]
    weights = "\n".join(f"{'bias' if w == 'beta' else 'weight'} {w} : {WEIGHTS[w]}" for w in own)
    if parametrization in EXPONENTS:
        lists = {
            letter: ", ".join((*values[: len(own) - 1], values[-1]))
            for letter, values in EXPONENTS[parametrization].items()
        }
        parametrization = f"abc({', '.join(f'{letter} = [{row}]' for letter, row in lists.items())})"
    return tpc.parse(
        TEXT.format(weights=weights, name=parametrization, body=NETS[name], update=UPDATES[update])
    )


def said(what, *net_of):
    try:
        return str(what(net(*net_of)))
    except tpc.TpcError as refused:
        return "\n".join(d.message for d in refused.diagnostics)


def compare(found, name, request):
    file = RECORDED / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        file.write_text(found.rstrip() + "\n", encoding="utf-8")
    assert found.rstrip() + "\n" == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_verdicts_on_programs_are_as_recorded(path, request):
    compare(str(classify(tpc.load(path))), path.stem, request)


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("name", NETS)
def test_verdicts_on_nets_are_as_recorded(name, update, request):
    if update == "muon" and "W" not in NETS[name]:
        return
    found = "\n\n".join(said(classify, name, parametrization, update) for parametrization in PARAMETRIZATIONS)
    compare(found, f"{name}.{update}", request)


@pytest.mark.parametrize("update", ["sgd", "adam"])
@pytest.mark.parametrize("name", NETS)
def test_conditions_are_as_recorded(name, update, request):
    compare(said(conditions, name, "mup", update), f"{name}.{update}.conditions", request)
