"""How many active products each brand and each category has, in the table `catalog_tally`.

A row of it is a number to add. Triggers append rows for each statement that changes products, and never update one: so
writers of one brand don't wait for each other. A chore adds the rows of a brand or category up. A category has the
products that are directly in it; those below it are added when they are read, so a tree moves without touching them.

Tallies are derived: they aren't logged, and raise no version. SQL that reads them names the tables they follow, in a
comment, since kept answers are stale when a table changes that their SQL names.
"""

from collections import Counter
from collections.abc import Iterator
from functools import reduce
from itertools import batched
from operator import or_
from typing import Any

from django.db import connections, transaction
from django.db.models import Count, Q, Sum

from catalog.models import Tally

KINDS = ("brand", "category")
# The brands or categories that are counted at once: half a second, if each has 2,000 products.
BATCH = 200
MOST_FOLDED = 1_000

POSTGRESQL = (
    # With its owner's privileges: a role that writes products needs none for the tallies.
    """
CREATE FUNCTION catalog_tally_rows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO catalog_tally (kind, key, number)
        SELECT 'brand', brand_id, count(*) FROM new_rows
        WHERE status = 'active' AND brand_id IS NOT NULL GROUP BY brand_id
        UNION ALL SELECT 'category', category_id, count(*) FROM new_rows
        WHERE status = 'active' AND category_id IS NOT NULL GROUP BY category_id;
    ELSE
        INSERT INTO catalog_tally (kind, key, number)
        SELECT 'brand', brand_id, -count(*) FROM old_rows
        WHERE status = 'active' AND brand_id IS NOT NULL GROUP BY brand_id
        UNION ALL SELECT 'category', category_id, -count(*) FROM old_rows
        WHERE status = 'active' AND category_id IS NOT NULL GROUP BY category_id;
    END IF;
    RETURN NULL;
END $$""",
    """
CREATE FUNCTION catalog_tally_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO catalog_tally (kind, key, number)
    SELECT kind, key, sum(number) FROM (VALUES
        ('brand', NEW.brand_id, (NEW.status = 'active')::int), ('brand', OLD.brand_id, -(OLD.status = 'active')::int),
        ('category', NEW.category_id, (NEW.status = 'active')::int),
        ('category', OLD.category_id, -(OLD.status = 'active')::int)
    ) moved (kind, key, number) WHERE key IS NOT NULL GROUP BY kind, key HAVING sum(number) <> 0;
    RETURN NULL;
END $$""",
    """
CREATE FUNCTION catalog_empty_tallies() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    DELETE FROM catalog_tally;
    RETURN NULL;
END $$""",
    """
CREATE TRIGGER tally_insert AFTER INSERT ON catalog_product REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION catalog_tally_rows()""",
    """
CREATE TRIGGER tally_delete AFTER DELETE ON catalog_product REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION catalog_tally_rows()""",
    # For each row, since most updates change a price or the stock: for those, the condition is all that is computed.
    """
CREATE TRIGGER tally_update AFTER UPDATE ON catalog_product FOR EACH ROW
WHEN ((OLD.brand_id, OLD.category_id, OLD.status) IS DISTINCT FROM (NEW.brand_id, NEW.category_id, NEW.status))
EXECUTE FUNCTION catalog_tally_row()""",
    """
CREATE TRIGGER tally_truncate AFTER TRUNCATE ON catalog_product
FOR EACH STATEMENT EXECUTE FUNCTION catalog_empty_tallies()""",
)

MOVED = """
    INSERT INTO catalog_tally (kind, key, number)
    SELECT 'brand', {row}.brand_id, {number} WHERE {row}.status = 'active' AND {row}.brand_id IS NOT NULL
    UNION ALL
    SELECT 'category', {row}.category_id, {number} WHERE {row}.status = 'active' AND {row}.category_id IS NOT NULL;
"""
ADD, TAKE = MOVED.format(row="NEW", number=1), MOVED.format(row="OLD", number=-1)
SQLITE = (
    f"CREATE TRIGGER tally_insert AFTER INSERT ON catalog_product BEGIN {ADD} END",
    f"CREATE TRIGGER tally_delete AFTER DELETE ON catalog_product BEGIN {TAKE} END",
    f"""
CREATE TRIGGER tally_update AFTER UPDATE OF brand_id, category_id, status ON catalog_product
WHEN (OLD.brand_id, OLD.category_id, OLD.status) IS NOT (NEW.brand_id, NEW.category_id, NEW.status)
BEGIN {TAKE} {ADD} END""",
)
TRIGGERS = {"postgresql": POSTGRESQL, "sqlite": SQLITE}

# What is missing or too much in the tallies. Products and tallies are read by one statement, so from one moment: a
# writer's products and its tallies are both in it, or both not.
CORRECT = """
INSERT INTO catalog_tally (kind, key, number)
SELECT '{kind}', r.id, coalesce(p.number, 0) - coalesce(t.number, 0) FROM catalog_{kind} r
LEFT JOIN (
    SELECT {kind}_id AS key, count(*) AS number FROM catalog_product
    WHERE status = 'active' AND {kind}_id BETWEEN %s AND %s GROUP BY 1
) p ON p.key = r.id
LEFT JOIN (
    SELECT key, sum(number) AS number FROM catalog_tally WHERE kind = '{kind}' AND key BETWEEN %s AND %s GROUP BY 1
) t ON t.key = r.id
WHERE r.id BETWEEN %s AND %s AND coalesce(p.number, 0) <> coalesce(t.number, 0)"""


def write_triggers(editor: Any) -> None:
    for statement in TRIGGERS[editor.connection.vendor]:
        editor.execute(statement, params=None)


def recount(database: str = "default") -> int:
    """Correct the tallies where they are wrong or missing. Returns how many were. Safe to stop and to run again."""
    return sum(correct(database, kind, *span) for kind in KINDS for span in list_spans(database, kind))


def list_spans(database: str, kind: str) -> Iterator[tuple[int, int]]:
    """The first and the last id of each batch of brands or categories."""
    with connections[database].cursor() as cursor:
        cursor.execute(f"SELECT id FROM catalog_{kind} ORDER BY id")  # noqa: S608 (one of KINDS)
        keys = [key for (key,) in cursor.fetchall()]
    yield from ((batch[0], batch[-1]) for batch in batched(keys, BATCH))


def correct(database: str, kind: str, first: int, last: int) -> int:
    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        if connections[database].vendor == "postgresql":
            # Two that correct at once would both add what is missing.
            cursor.execute("SELECT pg_advisory_xact_lock('catalog_tally'::regclass::oid::bigint)")
        cursor.execute(CORRECT.format(kind=kind), [first, last] * 3)
        return int(cursor.rowcount)


def fold_tallies() -> int:
    """Add up the rows of at most MOST_FOLDED brands and categories. Returns how many rows became fewer.

    Readers see the rows of before, or the one of after. Rows that are appended meanwhile stay as they are.
    """
    groups = Tally.objects.values("kind", "key").annotate(rows=Count("pk"), total=Sum("number")).order_by()
    wanted = groups.filter(Q(rows__gt=1) | Q(total=0)).values_list("kind", "key")[:MOST_FOLDED]
    with transaction.atomic():
        keys = {kind: [key for found, key in wanted if found == kind] for kind in KINDS}
        chosen = reduce(or_, (Q(kind=kind, key__in=keys[kind]) for kind in KINDS))
        rows = list(Tally.objects.select_for_update(skip_locked=True).filter(chosen))
        totals = Counter[tuple[str, int]]()
        for row in rows:
            totals[row.kind, row.key] += row.number
        Tally.objects.filter(pk__in=[row.pk for row in rows]).delete()
        kept = [Tally(kind=kind, key=key, number=total) for (kind, key), total in totals.items() if total]
        Tally.objects.bulk_create(kept)
    return len(rows) - len(kept)
