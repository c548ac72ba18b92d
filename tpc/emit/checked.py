"""What is particular to modules that integrate over few Gaussians, by a rule that Sobol points check."""

from __future__ import annotations

from tpc.emit.assemble import Setting
from tpc.plan.plan import ORDERS, GridPlan, PanelsPlan


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


def settings(plan: PanelsPlan | GridPlan) -> list[Setting]:
    """What such a module is made with."""
    sensitive = str(plan.sensitive)
    if isinstance(plan, PanelsPlan):
        own = {
            "ORDER": str(ORDERS[plan.gaussians]),
            "CAPACITIES": repr(plan.capacities),
            "SENSITIVE": sensitive,
        }
    else:
        own = {"GRIDS": f"({plan.grid}, {plan.coarse})", "SENSITIVE": sensitive}
    samples, repeats = plan.checks
    check = {"SAMPLES": str(samples), "REPEATS": str(repeats), "WHITEN": "True"}
    return [Setting(own), Setting(check, "of Sobol points, which check")]
