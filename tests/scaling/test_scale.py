"""`tpc scale`: its JSON and table, the named parametrizations, and networks beyond MLPs (TP4 Table 1, App
C.1)."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

import tpc
from tests.scaling.test_verdict_text import CONDITIONS
from tpc.cli.main import main
from tpc.scaling import conditions

ROOT = Path(__file__).parents[2]
BODIES = {
    "two layers": ("weight W : n x n", "return V @ phi(W @ phi(U @ x))"),
    "biases": ("weight W : n x n\nbias b : n\nbias c : 1", "return V @ phi(W @ phi(U @ x + b)) + c"),
    "residual": (
        "weight W : n x n\nweight X : n x n",
        "h = U @ x\ng = h + phi(W @ phi(h))\nreturn V @ (g + phi(X @ g))",
    ),
    "recurrent": (
        "weight W : n x n",
        "h[0] = phi(U @ x)\nh[s+1] = phi(W @ h[s] + U @ x) for s < 2\nreturn V @ h[2]",
    ),
    "tied": ("weight W : n x n", "return V @ phi(W.T @ phi(W @ phi(U @ x)))"),
}
TEXT = """width n
input x[2, 3], y[2]
activation phi = tanh
weight U : n x 3
{weights}
weight V : 1 x n
parametrization {name}
network f(x):
    {body}
train f for t < 2:
    batch (x[t], y[t])
    loss mse
    update sgd(lr = 1)
output loss
"""


def net(body, name):
    weights, lines = BODIES[body]
    return tpc.parse(TEXT.format(weights=weights, name=name, body=lines.replace("\n", "\n    ")))


@pytest.mark.parametrize("body", BODIES)
def test_tp4_app_c_mup_updates_every_weight_maximally(body):
    found = net(body, "mup").scale().to_json()
    assert (found["stable"], found["trivial"], found["regime"], found["r"]) == (True, False, "feature", "0")
    assert all(layer["updated_maximally"] for layer in found["layers"]), found
    assert found["last_layer"] == {"updated_maximally": True, "initialised_maximally": True}
    assert found["blows_up"] == []
    assert all(layer.keys() == {"weight", "r", "updated_maximally"} for layer in found["layers"])


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("name", ["ntp", "sp"])
def test_tp4_the_usual_ones_are_kernels(body, name):
    found = net(body, name).scale().to_json()
    assert (found["stable"], found["regime"], found["r"]) == (True, "kernel", "1/2"), found


@pytest.mark.parametrize("body", BODIES)
def test_sp_with_a_constant_rate_is_not_stable(body):
    found = net(body, "sp(c = 0)").scale().to_json()
    assert not found["stable"]
    assert {"quantity": "f", "power": "1"} in found["blows_up"]


def test_a_readout_that_is_0_at_first_does_not_pass_features_on():
    """Its updates alone change the output; features are passed on by a bias that is 0 at first."""
    weights, body = BODIES["biases"]
    text = TEXT.format(weights=weights, name="mup", body=body.replace("\n", "\n    "))
    for line, passed in (("weight V : 1 x n", False), ("bias b : n", True)):
        found = tpc.parse(text.replace(line, f"{line}, std = 0")).scale()
        assert (found.regime, found.last_layer.initialised_maximally) == ("feature", passed)


def test_mfp_is_mup_moved_by_the_symmetry():
    text = TEXT.format(weights="", name="mfp", body="return V @ phi(U @ x)").replace("\n\n", "\n")
    found = tpc.parse(text).scale().to_json()
    assert (found["stable"], found["regime"], found["r"]) == (True, "feature", "0")


def test_the_command_prints_one_object_and_takes_exponents(capsys, tmp_path):
    path = tmp_path / "net.tp"
    weights, body = BODIES["two layers"]
    path.write_text(TEXT.format(weights=weights, name="mup", body=body))
    assert main(["scale", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"stable", "trivial", "regime", "r", "layers", "last_layer", "blows_up"}
    assert all(set(layer) == {"weight", "r", "updated_maximally"} for layer in found["layers"])
    assert [(layer["weight"], layer["r"]) for layer in found["layers"]] == [
        ("U", "0"),
        ("W", "0"),
        ("V", "0"),
    ]
    assert (
        main(
            [
                "scale",
                str(path),
                "--json",
                "--set",
                "a1=-1/4",
                "--set",
                "b1=1/4",
                "--set",
                "a2=1/4",
                "--set",
                "b2=1/4",
                "--set",
                "b3=1/4",
            ]
        )
        == 0
    )
    moved = json.loads(capsys.readouterr().out)
    assert (moved["regime"], moved["r"]) == ("kernel", "1/4")
    assert main(["scale", str(path)]) == 0
    assert "feature learning (r = 0)" in capsys.readouterr().out


def test_conditions_to_the_letter():
    """No line that follows from the others, and no form that is never the smallest."""
    told = CONDITIONS.replace("xb", "x2").splitlines()
    assert str(conditions(net("two layers", "mup"))).splitlines()[1:] == told[1:]


def test_conditions_say_what_the_verdict_says():
    """On a grid of c and the exponents of the readout, the stable ones are those that the symbolic conditions
    allow."""
    program = net("two layers", "mup")
    symbolic = conditions(program)
    assert "a1 + b1 = 0" in str(symbolic)
    assert "a2 + b2 = 1/2" in str(symbolic)
    own = {"a1": Fraction(-1, 2), "b1": Fraction(1, 2), "a2": Fraction(0), "b2": Fraction(1, 2)}
    for c in (Fraction(-1, 2), Fraction(0), Fraction(1, 2), Fraction(1)):
        for a3 in (Fraction(0), Fraction(1, 2), Fraction(1)):
            for b3 in (Fraction(0), Fraction(1, 2)):
                r = min(a3 + b3, 2 * a3 + c) + c - 1 + min(2 * Fraction(-1, 2) + 1, 0)
                # Thm 3.2
                stable = a3 + b3 >= Fraction(1, 2) and r >= 0 and 2 * a3 + c >= 1 and a3 + b3 + r >= 1
                verdict = tpc.classify(program, c=c, a3=a3, b3=b3)
                assert verdict.stable == stable == symbolic.stable({**own, "a3": a3, "b3": b3, "c": c}), (
                    c,
                    a3,
                    b3,
                )


@pytest.mark.parametrize("frozen", ["U", "V"])
def test_conditions_do_not_take_a_norm_to_be_below_its_bound(frozen):
    """The norm of the gradient is n^(1/2) here, and clipped; without clipping the rate is too large."""
    text = TEXT.format(weights="", name="mup", body="return V @ phi(U @ x)").replace("\n\n", "\n")
    text = text.replace("loss mse", "loss logistic")
    text = re.sub(rf"weight {frozen} : .*", r"\g<0>, frozen", text)
    values = {"a2": 0, "b2": "1/2", "c": "1/2"}
    plain, clipped = (tpc.parse(text.replace("lr = 1", f"lr = 1{clip}")) for clip in ("", ", clip = 1"))
    assert not tpc.classify(plain, **values).stable
    assert tpc.classify(clipped, **values).stable
    assert "c - 1 >= 0" in str(conditions(plain))
    with pytest.raises(tpc.TpcError, match="TP736"):
        conditions(clipped)


@pytest.mark.parametrize("name", ["mlp2", "recurrent", "residual"])
def test_shipped_trainings_learn_features(name):
    assert tpc.load(ROOT / "programs" / "architectures" / f"{name}.tp").scale().regime == "feature"
