"""A batch of drafts in, rows in the database and an Outcome that counts them out."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django.conf import settings
from django.db import DataError, IntegrityError, OperationalError, transaction

from catalog.imports.errors import Refusal
from catalog.imports.options import Options
from catalog.imports.report import Outcome
from catalog.imports.terms import TermDraft, write_terms
from catalog.locations import declare_locations
from catalog.writes.drafts import DraftFault, ProductDraft
from catalog.writes.plans import Manner, Plan
from catalog.writes.upserts import Upsert
from config.api.database.authorship import sign_writes

FILES = Manner(refuses_repeats=False, makes_taxonomy=True, shows_images_first=True)
EXACT = Manner(refuses_repeats=False, keeps_order=True)
# Errors of the database that a second attempt survives: a deadlock, and a transaction that would not be serializable.
PASSING = ("40P01", "40001")
ATTEMPTS = 5
# What people and spreadsheets write beside sums below a table.
TOTALS = frozenset({
    "total", "totals", "grand total", "subtotal", "sum", "summe", "gesamt", "gesamtsumme", "zwischensumme", "ergebnis",
    "gesamtergebnis", "total général", "total general", "totale", "totale generale", "suma", "razem", "totaal",
})  # fmt: skip

# Members of a draft that have another name in files.
COLUMNS = {"on_hand": "stock", "command": "Command"}


def make_manner(options: Options, *, is_exact: bool = False) -> Manner:
    """`is_exact`: the file has rows as they were stored (formats/base.py)."""
    files = EXACT if is_exact else FILES
    asked = {True: options.update_only, False: options.create_only}
    skips = frozenset(is_new for is_new, is_asked in asked.items() if is_asked)
    return replace(files, new_status=options.status, skips=skips)


def import_batch(
    drafts: Sequence[ProductDraft | TermDraft],
    manner: Manner = FILES,
    attempts: int = ATTEMPTS,
    *,
    gives_way: bool = False,
) -> Outcome:
    """Write the batch. If the database rejects it, try again, then halves until only the bad row is left out.

    `gives_way`: the caller's transaction holds the locks of earlier batches, and another import may wait for them. So a
    deadlock is raised at once: a second attempt would end in the same deadlock.
    """
    again = partial(import_batch, manner=manner, gives_way=gives_way)
    try:
        with sign_writes(keep_before=settings.IMPORT_KEEPS_BEFORE), transaction.atomic():
            return write_batch(drafts, manner)
    except OperationalError as error:
        if attempts > 1 and is_passing(error) and not gives_way:
            return again(drafts, attempts=attempts - 1)
        raise
    except (IntegrityError, DataError) as error:
        # All rules were checked before, so this is a conflict with another writer. The next attempt reads what that
        # one wrote. An import of the same rows may be in the way several times, so a single row is tried more often.
        if attempts == ATTEMPTS or (attempts > 1 and len(drafts) == 1):
            return again(drafts, attempts=attempts - 1)
        if len(drafts) > 1:
            outcome = again(drafts[: len(drafts) // 2], attempts=attempts)
            outcome.add(again(drafts[len(drafts) // 2 :], attempts=attempts))
            return outcome
        return refuse_draft(drafts[0], error)


def is_passing(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) in PASSING


def refuse_draft(draft: Any, error: Exception) -> Outcome:
    rule = f"the database rejected the row ({str(error).splitlines()[0]})"
    return Outcome(refused=1, errors=[Refusal(draft.place.number, draft.key, "", "", rule, "import it again")])


def write_batch(drafts: Sequence[ProductDraft | TermDraft], manner: Manner = FILES) -> Outcome:
    terms = [draft for draft in drafts if isinstance(draft, TermDraft)]
    outcome = write_terms(terms) if terms else Outcome()
    if len(terms) < len(drafts):
        outcome.add(write_products([draft for draft in drafts if not isinstance(draft, TermDraft)], manner))
    return outcome


def write_products(drafts: Sequence[ProductDraft], manner: Manner) -> Outcome:
    upsert = make_upsert(drafts, manner)
    if manner.makes_taxonomy:  # a file of people; an export of ours has no sums
        refuse_totals(upsert.plans)
    locations_created = declare_locations(list_codes(upsert.plans))
    upsert.save()
    outcome = Outcome(
        locations_created=locations_created,
        brands_created=upsert.taxonomy.brands_created,
        categories_created=upsert.taxonomy.categories_created,
    )
    for plan in upsert.plans:
        if plan.is_skipped:
            outcome.deleted += plan.is_dropped
            outcome.skipped += not plan.is_dropped
        elif plan.faults:
            outcome.refused += 1
            outcome.errors += [describe_fault(plan.draft.key, fault) for fault in plan.faults]
        else:
            count_plan(outcome, plan)
    return outcome


def refuse_totals(plans: Sequence[Plan]) -> None:
    """Refuse new products that are rows of sums. One that is there already has such a SKU."""
    for plan in plans:
        if plan.is_new and plan.draft.sku and plan.draft.sku.lower() in TOTALS:
            plan.faults = ()
            detail = f"{plan.draft.sku!r} is what a row of sums is called; leave it out, or give another SKU."
            plan.refuse(plan.draft.place, "sku", "invalid", detail)


def list_codes(plans: Sequence[Plan]) -> set[str]:
    """The locations of what will be written."""
    good = (plan for plan in plans if not plan.faults and not plan.is_skipped)
    return {code for plan in good for part in plan.variants for code in part.draft.pieces}


def make_upsert(drafts: Sequence[ProductDraft], manner: Manner) -> Upsert:
    """The plans of the batch. They are made again where a new product's SKU is taken.

    Another import of the same products may have committed between the query for products and the one for variants.
    """
    known: set[str] = set()
    while (taken := list_taken(upsert := Upsert(drafts, manner))) - known:
        known |= taken
    return upsert


def list_taken(upsert: Upsert) -> set[str]:
    """The new products one of whose SKUs or slugs belongs to another row."""
    new = (plan for plan in upsert.plans if plan.is_new)
    return {plan.draft.key for plan in new if any(fault.code == "taken" for fault in plan.faults)}


def describe_fault(key: str, fault: DraftFault) -> Refusal:
    place: Any = fault.place  # a Line: these drafts are of a file
    member = COLUMNS.get(fault.member, fault.member).replace("/", ".")
    rule, _, remedy = fault.detail.removesuffix(".").partition("; ")
    return Refusal(place.number, key, f"{place.prefix}{member}", "", rule, remedy)


def count_plan(outcome: Outcome, plan: Plan) -> None:
    outcome.products.count(is_new=plan.is_new, is_changed=plan.is_changed)
    for variant in plan.variants:
        outcome.variants.count(is_new=variant.is_new, is_changed=variant.is_changed)
    for image in plan.images:
        outcome.images.count(is_new=image.is_new, is_changed=image.is_changed)
