"""What is particular to modules that integrate over few Gaussians, by a rule that Sobol points check."""

from __future__ import annotations

from tpc.emit.sections import copied, defined
from tpc.plan.plan import ORDERS, CheckedPlan, GridPlan, PanelsPlan, Plan

SECTIONS = ("whitening", "sobol", "sensitivity")  # that such a module has besides its rule's and "checked"


def described(plan: PanelsPlan | GridPlan) -> str:
    """How the module works, for its docstring."""
    if isinstance(plan, PanelsPlan):
        how = (
            f"Quadrature on adaptive panels, up to {plan.samples} points of {plan.gaussians} standard "
            "Gaussians; the errors\n"
            "shown are from coarser rules on the same panels."
        )
    else:
        how = (
            f"Gauss–Hermite quadrature with {plan.grid} points in each of {plan.gaussians} dimensions; the "
            "errors shown are\n"
            f"differences from {plan.coarse} points."
        )
    samples, repeats = plan.checks
    return (
        f"{how} {repeats} x {samples} scrambled Sobol points check them, and are taken\nwhere they are "
        "better."
    )


def imports(plan: CheckedPlan) -> list[str]:
    own = ["from numpy.polynomial import legendre"] if isinstance(plan, PanelsPlan) else []
    special = "ndtri" if isinstance(plan, PanelsPlan) else "ndtri, roots_hermitenorm"
    return [
        *own,
        "from scipy.linalg import solve_triangular",
        f"from scipy.special import {special}",
        "from scipy.stats import qmc",
    ]


def constants(plan: PanelsPlan | GridPlan) -> list[str]:
    """The lines that set them."""
    if isinstance(plan, PanelsPlan):
        own = (
            f"ORDER, CAPACITIES, SENSITIVE = {ORDERS[plan.gaussians]}, {plan.capacities!r}, {plan.sensitive}"
        )
    else:
        own = f"GRIDS, SENSITIVE = ({plan.grid}, {plan.coarse}), {plan.sensitive}"
    samples, repeats = plan.checks
    return [own, f"SAMPLES, REPEATS, WHITEN = {samples}, {repeats}, True    # of Sobol points, which check"]


def sections() -> dict[str, str]:
    """The helpers, by title."""
    return copied("quadrature.py") | copied("panels.py")


def names(plan: Plan) -> tuple[str, ...]:
    """What the helpers call their own."""
    return defined("quadrature.py", "panels.py") if isinstance(plan, CheckedPlan) else ()
