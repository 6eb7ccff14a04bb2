"""Drafts of one front end in, rows out: what is stored is found, each draft compared with it, and what differs saved.

Runs inside its caller's transaction, which holds the locks from the first query to the last.
"""

from collections.abc import Sequence

from catalog.writes.drafts import ProductDraft
from catalog.writes.known import KnownRows
from catalog.writes.matching import match_plans
from catalog.writes.plans import Manner, Plan
from catalog.writes.saving import save_plans
from catalog.writes.taxonomy import Taxonomy, resolve_taxonomy


class Upsert:
    """Made, it says of each draft what would become of it, in `plans`; then it saves those without faults."""

    def __init__(self, drafts: Sequence[ProductDraft], manner: Manner) -> None:
        self.manner = manner
        self.plans = [Plan(draft) for draft in drafts]
        self.known = KnownRows(drafts, manner)
        self.taxonomy = Taxonomy()
        match_plans(self.plans, self.known, manner)

    def save(self) -> None:
        if good := [plan for plan in self.plans if not plan.faults]:
            if self.manner.makes_taxonomy:
                self.make_taxonomy(good)
            save_plans(good, self.known)

    def make_taxonomy(self, plans: Sequence[Plan]) -> None:
        """Only now, so that nothing is made for what is refused."""
        links = [plan.draft.links for plan in plans]
        brands = [link["brand"] for link in links if link.get("brand")]
        self.taxonomy = resolve_taxonomy(brands, [link["category"] for link in links if link.get("category")])
        for plan in plans:
            plan.links = self.taxonomy.find_ids(plan.draft.links)
