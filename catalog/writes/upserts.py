"""Drafts of one front end in, rows out: finds the stored rows, compares each draft with them, saves the differences.

Runs in the caller's transaction, which holds the locks until its end.
"""

from collections.abc import Sequence

from catalog.models import Product
from catalog.writes.among import is_among
from catalog.writes.drafts import ProductDraft
from catalog.writes.known import KnownRows
from catalog.writes.matching import match_plans
from catalog.writes.plans import Manner, Plan
from catalog.writes.saving import save_plans
from catalog.writes.taxonomy import Taxonomy, resolve_taxonomy


class Upsert:
    """The constructor makes `plans`, which tell each draft's result. `save` writes the plans without faults."""

    def __init__(self, drafts: Sequence[ProductDraft], manner: Manner) -> None:
        self.manner = manner
        self.plans = [Plan(draft) for draft in drafts]
        self.known = KnownRows(drafts, manner)
        self.taxonomy = Taxonomy()
        match_plans(self.plans, self.known, manner)

    def save(self) -> None:
        if dropped := [plan.product.pk for plan in self.plans if plan.is_dropped and plan.product]:
            Product.objects.filter(is_among("pk", dropped)).delete()
        if good := [plan for plan in self.plans if not (plan.faults or plan.is_skipped)]:
            if self.manner.makes_taxonomy:
                self.make_taxonomy(good)
            save_plans(good, self.known, self.manner)

    def make_taxonomy(self, plans: Sequence[Plan]) -> None:
        """Create brands and categories. Only called by `save`, so none is created for a draft with faults."""
        links = [plan.draft.links for plan in plans]
        brands = [link["brand"] for link in links if link.get("brand")]
        self.taxonomy = resolve_taxonomy(brands, [link["category"] for link in links if link.get("category")])
        for plan in plans:
            plan.links = self.taxonomy.find_ids(plan.draft.links)
