"""What a plan promises before anything is computed: which representation, how many points, what it costs."""

import random
from dataclasses import replace

import numpy as np
import pytest

import tpc
from tpc.diagnostics.diagnostic import TpcError
from tpc.plan import plan_points
from tpc.plan.cost import (
    MEMORY,
    RULES_BANDWIDTH,
    SECONDS,
    SPARE_VECTORS,
    VectorCount,
    bytes_of,
    cost_of_points,
    cost_of_rules,
    shown_seconds,
    total_seconds,
)
from tpc.plan.draft import Draft
from tpc.plan.gaussians import Layout, Rows, lay_out
from tpc.plan.make_plan import make_plan
from tpc.plan.options import DTYPES, METHODS, Options
from tpc.plan.plan import (
    REPEATS,
    SAMPLES,
    ChaosPlan,
    CoefficientsPlan,
    CovariancesPlan,
    GridPlan,
    PanelsPlan,
    SampledPlan,
)
from tpc.plan.plan_points import PANELS
from tpc.plan.print_plan import print_plan
from tpc.plan.sectors import Sectors, separate
from tpc.plan.space import Chaos, Linear, Nodes

U = "width n\nvector u : n ~ N(0, 1)\n"
W = "matrix W : n x n ~ N(0, 1/n)\n"


def planned(text, **options):
    return make_plan(tpc.parse(text), Options(**options))


# options


@pytest.mark.parametrize("name", ["samples", "repeats", "max_rank"])
def test_numbers_of_points_are_whole_and_positive(name):
    for bad in (0, -1, 1.5, "8", True, 2**63):
        with pytest.raises(TpcError) as caught:
            Options(**{name: bad})
        assert caught.value.diagnostics[0].code == "TP602"
        assert f"--{name.replace('_', '-')}" in str(caught.value)
    made = getattr(Options(**{name: np.int64(2)}), name)
    assert made == 2
    assert type(made) is int


@pytest.mark.parametrize(("name", "choices"), [("dtype", DTYPES), ("method", METHODS)])
def test_choices_are_named(name, choices):
    for choice in choices:
        assert getattr(Options(**{name: choice}), name) == choice
    with pytest.raises(TpcError) as caught:
        Options(**{name: "fast"})
    assert f"must be {', '.join(choices[:-1])} or {choices[-1]}, not fast" in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "precision", "packed"),
    [("float64", "float64", False), ("float32", "float32", False), ("bfloat16", "float32", True)],
)
def test_precision_of_points_and_of_what_loops_carry(dtype, precision, packed):
    options = Options(dtype=dtype)
    assert (options.precision, options.packed) == (precision, packed)


# representations


PROGRAMS = {  # and the method that they need where covariances are enough
    CoefficientsPlan: (U + W + "x = W @ u\ny = W.T @ x\noutput m = mean(y*u)\n", "auto"),
    ChaosPlan: (U + "x = u^2 - 1\noutput m = mean(x^2*u^2)\n", "chaos"),
    GridPlan: (
        U + "vector (v, w) : n ~ N([0, 0], [[1, 0], [0, 1]])\noutput m = mean(tanh(u + v*w)^2)\n",
        "nodes",
    ),
    PanelsPlan: (U + "output m = mean(tanh(abs(u))*sigmoid(3*u))\n", "nodes"),
    SampledPlan: (
        U
        + W
        + "x[0] = u\nfor t < 8:\n    x[t+1] = tanh(W @ x[t] + W.T @ x[t])\noutput m = mean(x[8]^4*u^2)\n",
        "auto",
    ),
}
SAMPLED = PROGRAMS[SampledPlan][0]


@pytest.mark.parametrize("kind", PROGRAMS, ids=lambda kind: kind.__name__)
def test_each_kind_of_program_has_its_plan(kind):
    text, method = PROGRAMS[kind]
    plan = planned(text, method=method)
    assert isinstance(plan, kind)
    assert plan.exact == (kind in (CoefficientsPlan, ChaosPlan))
    assert plan.sampled == (kind is SampledPlan)
    assert plan.seconds >= 0
    assert plan.memory > 0
    assert plan.evaluations >= 1
    assert str(plan) == " ".join(str(plan).split())
    shown = plan._repr_html_()
    assert ">dtype<" in shown
    assert f">{plan.dtype}<" in shown
    assert ("points of a repeat" in shown, ">repeats<" in shown) == (plan.samples > 1, plan.sampled)
    if any(plan.checks):
        samples, repeats = plan.checks
        assert samples >= 1024
        assert repeats >= 2
    if isinstance(plan, GridPlan):
        assert f", {plan.grid}^3 and {plan.coarse}^3 points, checked by" in str(plan)
        assert plan.samples == plan.grid**3
    text = print_plan(plan)
    assert text.startswith(f"plan of the_program: {plan}\n")
    assert f"{plan.gaussians} Gaussian" in text
    for line in plan.program.body:
        assert str(line.out if hasattr(line, "out") else line.variable) in text


def test_covariances_are_planned_for_networks():
    plan = planned(
        "width n\ninput x[2, 3]\nweight A : n x 3\nweight B : 1 x n\nnetwork f(z) = B @ relu(A @ z)\n"
        "output K[i, j] = nngp(f)(x[i], x[j]) for i < 2 for j < 2\n"
    )
    assert isinstance(plan, CovariancesPlan)
    assert plan.exact
    assert "covariances" in print_plan(plan)


@pytest.mark.parametrize(
    ("method", "kind", "said"),
    [
        ("linear", GridPlan, "more than products of two vectors"),
        ("chaos", GridPlan, "polynomial"),
        ("gram", SampledPlan, ""),
    ],
)
def test_a_method_that_cannot_is_refused_for_a_reason(method, kind, said):
    with pytest.raises(TpcError) as caught:
        planned(PROGRAMS[kind][0], method=method)
    assert caught.value.diagnostics[0].code == "TP601"
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("table A : n x n = outer(u, u)^2\ny = A @ u\noutput m = mean(y*u)\n", "`A` is a table, whose limit"),
        (
            "input x[300, 300]\n" + "vector w[k < 300] : n ~ N(0, 1)\n"
            "h[i] = sum(k < 300: x[i, k]*w[k]) for i < 300\n"
            "output m[i, j, k] = mean(sin(exp(h[i])*h[j]*h[k])) for i < 300 for j < 300 for k < 300\n",
            "by quadrature, over 3 Gaussians at most, would take",
        ),
    ],
)
def test_why_covariances_are_refused(text, said):
    with pytest.raises(TpcError, match=said):
        planned(U + text, method="gram")


@pytest.mark.parametrize(("rounds", "sensitive"), [(10, True), (1000, False)])
def test_how_outputs_depend_on_points_is_not_asked_where_it_is_dear(rounds, sensitive):
    """Smooth functions of few Gaussians are integrated all the same, on the fewest points; others sampled."""
    text = U + (
        "x[0] = u\nfor t < {T}:\n    x[t+1] = x[t] + {f}(x[t])/{T}\noutput m[t] = mean(x[t]^2) for t < {T}\n"
    )
    plan = planned(text.format(T=rounds, f="tanh"), method="nodes")
    assert isinstance(plan, PanelsPlan)
    assert plan.sensitive == sensitive
    assert plan.capacities == (PANELS[1] if sensitive else PANELS[1][:1])
    assert isinstance(planned(text.format(T=rounds, f="relu"), method="nodes"), PanelsPlan) == sensitive


SMALL, LARGE = PANELS[1]
ROOM = (SECONDS, MEMORY)


@pytest.mark.parametrize(
    ("sensitive", "plain", "expected"),
    [
        ({SMALL: ROOM, LARGE: ROOM}, {}, (True, (SMALL, LARGE), SECONDS, MEMORY)),
        ({SMALL: ROOM, LARGE: (SECONDS + 1, 0)}, {}, (True, (SMALL,), SECONDS, MEMORY)),
        ({SMALL: ROOM, LARGE: (0, MEMORY + 1)}, {}, (True, (SMALL,), SECONDS, MEMORY)),
        # smooth: on the fewest points, if these have room, whatever the others have
        ({SMALL: (99, 99), LARGE: (99, 99)}, {SMALL: (7, MEMORY)}, (False, (SMALL,), 7, MEMORY)),
        ({SMALL: (0, 2 * MEMORY), LARGE: (99, 99)}, {SMALL: (7, 5)}, (False, (SMALL,), 7, 5)),
        ({SMALL: (99, 99), LARGE: (99, 99)}, {SMALL: (7, MEMORY + 1)}, None),
    ],
)
def test_panels_are_as_many_as_have_room(monkeypatch, sensitive, plain, expected):
    """In seconds and bytes; what is checked by takes a third as long on each of its repeats."""
    plain = {SAMPLES: (3, 4), LARGE: (1e9, 1e9)} | plain
    monkeypatch.setattr(plan_points._Needs, "sensitive", lambda _, m: sensitive[m])
    monkeypatch.setattr(plan_points._Needs, "plain", lambda _, m: plain[m])
    plan = planned(U + "output m = mean(tanh(u)^2)\n", method="nodes")
    if expected is None:
        assert isinstance(plan, SampledPlan)
    else:
        seconds = expected[2] + REPEATS * plain[SAMPLES][0] / 3
        memory = max(expected[3], plain[SAMPLES][1])
        assert (plan.sensitive, plan.capacities, plan.seconds, plan.memory) == (
            *expected[:2],
            seconds,
            memory,
        )


def test_numbers_of_points_are_those_asked_for():
    plan = planned(SAMPLED, samples=100, repeats=3)
    assert (plan.samples, plan.repeats) == (100, 3)
    assert plan.shape == (plan.gaussians, 100)


def test_sixteen_bits_are_for_coefficients():
    assert planned(PROGRAMS[CoefficientsPlan][0], dtype="bfloat16").packed
    with pytest.raises(TpcError) as caught:
        planned(PROGRAMS[ChaosPlan][0], dtype="bfloat16")
    assert caught.value.diagnostics[0].code == "TP602"


@pytest.mark.parametrize(
    ("points", "entries", "streamed"),
    [
        # u's 4 and what Wᵀ gives, W's 3 operands, in each of 5 rounds 2 vectors and 6 of single rounds
        ((100, 0), 2 * 5 + 2 * 3 + 1 + SPARE_VECTORS + 2 * 2 * 5 + 2 * 5 * 6, 5 * 9 + 2 * 1 + 3 * 12 / 2),
        ((0, 100), 2 * 11 + 2 * 1 + 3 + SPARE_VECTORS + 2 * 1 * 3, 5 * 1 + 2 * 9 + 3 * 12 / 2),
    ],
)
def test_products_of_rules_are_by_the_sector_of_their_operands(points, entries, streamed):
    over, back = ("W", False), ("W", True)
    layout = Layout({"u": Rows(0, 4), "v": Rows(4, 2)}, {over: 3, back: 1}, {over: 6}, {"W": 1})
    sectors = Sectors(2, {"u": 0, "v": 1, "x": 0, "y": 1}, {over: 1, back: 0}, {over: 0, back: 1})
    kept = {"x": VectorCount(2, 5), "y": VectorCount(1, 3)}
    for dtype, size in (("float32", 4), ("float64", 8)):
        seconds, memory = cost_of_rules(points, layout, sectors, kept, 12, dtype)
        assert memory == entries * 100 * size
        assert seconds == pytest.approx(streamed * 100 * size / RULES_BANDWIDTH)


def test_half_the_precision_takes_half_the_memory():
    single, double = (planned(SAMPLED, dtype=d) for d in ("float32", "float64"))
    assert double.memory == pytest.approx(2 * single.memory)
    assert (bytes_of("float64"), bytes_of("float32")) == (8, 4)


@pytest.mark.parametrize(
    ("text", "linear", "chaos"),
    [
        ("x = 2*u + 1\noutput m = mean(x*u)\n", True, True),
        ("x = 2*u\noutput m = mean(x^3)\n", False, True),
        ("x = u^2\noutput m = mean(x)\n", False, True),
        ("x = abs(u)\noutput m = mean(x)\n", False, False),
        ("output m = mean(exp(u))\n", False, False),
        ("c = mean(u^2)\nx = exp(c)*u\noutput m = mean(x*u)\n", True, True),
    ],
)
def test_what_a_space_represents(text, linear, chaos):
    program = tpc.parse(U + text)
    assert (Linear().refuses(program) is None) == linear
    assert (Chaos(separate(program)).refuses(program) is None) == chaos
    assert Nodes().refuses(program) is None


# Gaussians and cost


@pytest.mark.parametrize("seed", range(10))
def test_gaussians_are_counted_as_if_unrolled(seed):
    """A row for each member of an initial vector, a direction for each product of a side of a matrix."""
    r = random.Random(seed)
    steps, batch, back = r.randint(1, 4), r.randint(1, 3), r.randint(0, 2)
    program = tpc.parse(f"""width n
vector u[i < {batch}] : n ~ N(0, 1)
vector (p, q) : n ~ N([0, 0], [[1, 1/2], [1/2, 1]])
{W}for i < {batch}:
    x[0, i] = u[i]
for t < {steps}:
    for i < {batch}:
        x[t+1, i] = tanh(W @ x[t, i]) + p
for k < {back}:
    y[k] = W.T @ q
output m = mean(x[{steps}, 0]*q){"" if not back else " + mean(y[0]*p)"}
""")
    layout = lay_out(program, {}, None)
    assert layout.initial == {"u": Rows(0, batch), "p": Rows(batch, 2)}
    assert layout.capacity.get(("W", False)) == steps * batch
    assert layout.capacity.get(("W", True), 0) == back
    assert layout.total == batch + 2 + steps * batch + back
    flat = lay_out(program.unroll(), {}, None)
    assert (flat.initial, flat.total, flat.members) == (layout.initial, layout.total, layout.members)
    assert lay_out(program, {}, 1).total <= batch + 4


def test_cost_grows_with_what_is_done():
    small = Layout({"u": Rows(0, 1)}, {("W", False): 4}, {}, {"W": 1})
    seconds, memory = cost_of_points(small, 10, 1000, "float64")
    for layout, vectors, points in (
        (replace(small, capacity={("W", False): 8}), 10, 1000),
        (replace(small, members={"W": 3}), 10, 1000),
        (small, 20, 1000),
        (small, 10, 2000),
    ):
        more = cost_of_points(layout, vectors, points, "float64")
        assert more[0] > seconds
        assert more[1] > memory
    assert cost_of_points(replace(small, rows=64), 10, 1000, "float64")[0] < seconds
    streamed = [
        cost_of_points(layout, 0, 1000, "float64")[0]
        for layout in (small, replace(small, members={"W": 3}), replace(small, capacity={("W", True): 8}))
    ]
    assert streamed == pytest.approx([streamed[0], 3 * streamed[0], 4 * streamed[0]])
    assert total_seconds(4, 1.0, 10, 2) == pytest.approx(2 * total_seconds(2, 1.0, 10, 2))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12 ms"), (0.0, "0 ms"), (1.4, "1 s"), (119, "119 s"), (121, "2 min")]
)
def test_times_are_said_as_by_a_person(seconds, text):
    assert shown_seconds(seconds) == text


def test_vectors_are_counted_as_they_are_kept():
    draft = Draft.of(tpc.parse(SAMPLED), None)
    assert draft.kept["x"] == VectorCount(1)
    assert draft.vectors == sum(number.count for number in draft.kept.values())
    longer = Draft.of(tpc.parse(SAMPLED.replace("x[8]^4", "x[8]^3*x[1]")), None)
    assert longer.kept["x"] == VectorCount(9)
