"""A batch of drafts in, rows in the database and an Outcome that counts them out."""

from collections.abc import Sequence
from typing import Any

from django.db import DataError, IntegrityError, transaction

from catalog.imports.errors import Refusal
from catalog.imports.report import Outcome
from catalog.writes.drafts import DraftFault, ProductDraft
from catalog.writes.plans import Manner, Plan
from catalog.writes.upserts import Upsert
from config.api.database.authorship import sign_writes

FILES = Manner(refuses_repeats=False, makes_taxonomy=True, shows_images_first=True)

# Members of a draft that have another name in files.
COLUMNS = {"on_hand": "stock"}


def import_batch(drafts: Sequence[ProductDraft]) -> Outcome:
    """Write the batch. If the database rejects it, try halves until only the bad row is left out."""
    try:
        with sign_writes(keep_before=False), transaction.atomic():
            return write_batch(drafts)
    except (IntegrityError, DataError) as error:
        # All rules were checked before, so this is a conflict with another writer. The next attempt reads what that
        # one wrote.
        if len(drafts) > 1:
            outcome = import_batch(drafts[: len(drafts) // 2])
            outcome.add(import_batch(drafts[len(drafts) // 2 :]))
            return outcome
        return refuse_draft(drafts[0], error)


def refuse_draft(draft: Any, error: Exception) -> Outcome:
    reason = f"the database rejected the row ({str(error).splitlines()[0]}); import it again"
    return Outcome(refused=1, errors=[Refusal(draft.place.number, draft.key, reason)])


def write_batch(drafts: Sequence[ProductDraft]) -> Outcome:
    upsert = Upsert(drafts, FILES)
    upsert.save()
    outcome = Outcome(
        brands_created=upsert.taxonomy.brands_created, categories_created=upsert.taxonomy.categories_created
    )
    for plan in upsert.plans:
        if plan.faults:
            outcome.refused += 1
            outcome.errors += [describe_fault(plan.draft.key, fault) for fault in plan.faults]
        else:
            count_plan(outcome, plan)
    return outcome


def describe_fault(key: str, fault: DraftFault) -> Refusal:
    place: Any = fault.place  # a Line: these drafts are of a file
    member = COLUMNS.get(fault.member, fault.member).replace("/", ".")
    return Refusal(place.number, key, f"{place.prefix}{member}: {fault.detail.removesuffix('.')}")


def count_plan(outcome: Outcome, plan: Plan) -> None:
    outcome.products.count(is_new=plan.is_new, is_changed=plan.is_changed)
    for variant in plan.variants:
        outcome.variants.count(is_new=variant.is_new, is_changed=variant.is_changed)
    for image in plan.images:
        outcome.images.count(is_new=image.is_new, is_changed=image.is_changed)
