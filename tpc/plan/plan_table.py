"""Plans as notebooks show them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tpc.plan.cost import shown_seconds

if TYPE_CHECKING:
    from tpc.display.markup import Markup


class ShownPlan(ABC):
    """How a plan is displayed: what it says of itself as data, in a table."""

    __slots__ = ()

    @abstractmethod
    def to_json(self) -> dict[str, Any]: ...

    def __repr__(self) -> str:
        data = self.to_json()
        return f"<the plan of {data['method']}{', exact' * data['exact']}: {data['points']}>"

    def _repr_html_(self) -> Markup:
        from tpc.display.html_tables import facts, titled

        data = self.to_json()
        checks = data.get("checks")
        return titled(
            f"{data['method']}{', exact' * data['exact']}",
            data["why"],
            facts(
                [
                    ("points", data["points"]),
                    ("Gaussians", str(data["gaussians"] or "")),
                    ("points of a repeat", f"{data['samples']:,}" if data["samples"] > 1 else ""),
                    ("repeats", f"{data['repeats']}" if data["repeats"] > 1 else ""),
                    ("checked by", f"{checks['samples']:,} × {checks['repeats']} points" if checks else ""),
                    ("dtype", data["dtype"]),
                    ("predicted time", shown_seconds(data["seconds"])),
                    ("predicted memory", f"{data['memory'] / 1e6:,.0f} MB"),
                ]
            ),
        )
