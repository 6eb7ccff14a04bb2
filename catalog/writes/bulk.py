"""Many products in one body: the same stages as for one, and the same number of statements."""

from collections.abc import Sequence

from catalog.writes.known import KnownRows
from catalog.writes.matching import match_plans
from catalog.writes.plans import Mode, Plan
from catalog.writes.saving import save_plans
from config.api.bodies import Row


class ProductsWriter:
    """A Writer (config/api/bulk.py) of products; results name them by id and SKU."""

    def __init__(self, rows: Sequence[Row], mode: Mode) -> None:
        self.plans = [Plan(row, mode) for row in rows]
        self.known = KnownRows([plan for plan in self.plans if not plan.row.faults])
        match_plans(self.plans, self.known)
        self.name_rows()

    def save(self) -> None:
        save_plans([plan for plan in self.plans if not plan.row.faults], self.known)
        self.name_rows()

    def name_rows(self) -> None:
        for plan in self.plans:
            plan.row.names = {"id": plan.product.pk if plan.product else None, "sku": plan.sku}
