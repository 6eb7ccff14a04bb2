"""How many active products have each value of a facet: the tables `catalog_tally` and `catalog_tallychange`.

A row is the number of products of `category` whose facet `kind` has the value `key`:

| kind | key |
|---|---|
| `brand`, `category` | the id |
| `price` | the place of its range in BOUNDS |
| `rating` | the stars, rounded down |
| `in_stock` | `true` or `false` |
| `text.NAME`, `number.NAME`, `boolean.NAME` | an attribute's value, by its type in JSON; "" is any longer one |

`category` is where the product itself is, NO_CATEGORY, or WHOLE for all products. The products below a category are
added when tallies are read, so a tree moves without touching them.

Triggers append to `catalog_tallychange` for each statement that changes products, and never update a row: so writers of
one brand don't wait for each other. A chore moves what they appended to `catalog_tally` (folding.py). A number is the
sum of both tables. All attributes are counted, declared or not, so one that is declared has its numbers at once.

Tallies are derived: they aren't logged, and raise no version.
"""

from decimal import Decimal
from typing import Any

NO_CATEGORY, WHOLE, OFF, CORRECTED = 0, -1, -2, -3
# The most characters of an attribute's value, so that an index holds it.
LONGEST_KEY = 100
# The most characters of an attribute's name that is counted.
LONGEST_NAME = 60
# An attribute with more values isn't counted any longer: folding.py marks it by a row of the category OFF.
MOST_VALUES = 1_000

# The lower bounds of price ranges: 0, 1, 2.50, 5, 10, 25, … as far as a price can be. The stored keys are places in it.
BOUNDS = [Decimal(0), *(Decimal(step).scaleb(zeros - 1) for zeros in range(10) for step in (10, 25, 50))]
RANGES = f"ARRAY[{', '.join(f'{bound:f}' for bound in BOUNDS[1:])}]::numeric[]"

# `{tables}` is "" within a trigger, where `{row}` is OLD or NEW.
POSTGRESQL_VALUES = """
SELECT coalesce({row}.category_id, 0) AS category, v.kind, v.key
FROM {tables} catalog_tally_values(
    {row}.brand_id, {row}.category_id, {row}.price, {row}.rating, {row}.in_stock, {row}.attributes
) v WHERE {row}.status = 'active' AND {condition}"""

FUNCTION = f"""
CREATE OR REPLACE FUNCTION catalog_tally_values(
    brand bigint, category bigint, price numeric, rating numeric, in_stock boolean, attributes jsonb
) RETURNS TABLE (kind text, key text) LANGUAGE sql STABLE AS $$
    SELECT v.kind, v.key FROM (VALUES
        ('brand', brand::text), ('category', category::text), ('price', width_bucket(price, {RANGES})::text),
        ('rating', floor(rating)::int::text), ('in_stock', in_stock::text)
    ) v (kind, key) WHERE v.key IS NOT NULL
    UNION ALL
    SELECT a.kind, CASE WHEN length(a.text) > {LONGEST_KEY} THEN '' ELSE a.text END FROM (
        SELECT replace(jsonb_typeof(e.value), 'string', 'text') || '.' || e.name AS kind,
            CASE jsonb_typeof(e.value)
                WHEN 'number' THEN trim_scale(e.value::numeric)::text ELSE e.value #>> '{{}}' END AS text
        FROM jsonb_each(CASE jsonb_typeof(attributes) WHEN 'object' THEN attributes END) e (name, value)
        WHERE jsonb_typeof(e.value) IN ('string', 'number', 'boolean') AND length(e.name) <= {LONGEST_NAME}
    ) a WHERE a.text <> ''
        AND NOT EXISTS (SELECT FROM catalog_tally o WHERE o.category = {OFF} AND o.kind = a.kind)
$$"""  # noqa: S608 (ours)

# Of each product; json_each() has the attributes.
SQLITE_KEYS = {
    "brand": "CAST({row}.brand_id AS text)",
    "category": "CAST({row}.category_id AS text)",
    "price": "CAST(CASE {cases} ELSE {last} END AS text)",
    "rating": "CAST(CAST({row}.rating AS integer) AS text)",
    "in_stock": "CASE WHEN {row}.in_stock THEN 'true' ELSE 'false' END",
}
SQLITE_KEY = """
SELECT coalesce({row}.category_id, 0) AS category, '{kind}' AS kind, {key} AS key {tables}
WHERE {row}.status = 'active' AND {condition} AND {key} IS NOT NULL"""
# A whole number is written without decimals, others with all digits that they have.
SQLITE_ATTRIBUTES = f"""
SELECT category, kind, CASE WHEN length(text) > {LONGEST_KEY} THEN '' ELSE text END FROM (
    SELECT coalesce({{row}}.category_id, 0) AS category,
        CASE e.type WHEN 'text' THEN 'text.' WHEN 'integer' THEN 'number.' WHEN 'real' THEN 'number.'
            WHEN 'true' THEN 'boolean.' WHEN 'false' THEN 'boolean.' END || e.key AS kind,
        CASE WHEN e.type IN ('true', 'false') THEN e.type WHEN e.type = 'text' THEN e.atom
            WHEN e.atom = CAST(e.atom AS integer) THEN CAST(CAST(e.atom AS integer) AS text)
            ELSE printf('%!.17g', e.atom) END AS text
    FROM {{tables}} json_each({{row}}.attributes) e
    WHERE {{row}}.status = 'active' AND {{condition}} AND typeof(e.key) = 'text' AND length(e.key) <= {LONGEST_NAME}
) a WHERE kind IS NOT NULL AND text <> ''
    AND NOT EXISTS (SELECT 1 FROM catalog_tally o WHERE o.category = {OFF} AND o.kind = a.kind)"""  # noqa: S608 (ours)


def write_values(vendor: str, row: str, table: str = "", condition: str = "TRUE") -> str:
    """SQL: category, kind and key of each value of the active products of `table`, whose alias is `row`.

    Without a table, of the row `OLD` or `NEW` of a trigger.
    """
    named = f"{table} {row}" if table else ""
    tables = f"{named}," if named else ""
    if vendor == "postgresql":
        return POSTGRESQL_VALUES.format(row=row, tables=tables, condition=condition)
    cases = " ".join(f"WHEN {row}.price < {bound:f} THEN {place}" for place, bound in enumerate(BOUNDS[1:]))
    selects = [
        SQLITE_KEY.format(row=row, kind=kind, tables=f"FROM {named}" if named else "", condition=condition, key=key)
        for kind, template in SQLITE_KEYS.items()
        for key in [template.format(row=row, cases=cases, last=len(BOUNDS) - 1)]
    ]
    attributes = SQLITE_ATTRIBUTES.format(row=row, tables=tables, condition=condition)
    return "\nUNION ALL".join([*selects, attributes])


APPEND = """
INSERT INTO catalog_tallychange (category, kind, key, number)"""
SUMS = """
SELECT category, kind, key, sum(number) FROM ({numbers}) m GROUP BY category, kind, key HAVING sum(number) <> 0"""


def write_append(*selects: str) -> str:
    """SQL that appends the sums of what `selects` give: category, kind, key, number."""
    return APPEND + write_sums(*selects)


def write_sums(*selects: str) -> str:
    return SUMS.format(numbers=" UNION ALL ".join(selects))


def write_numbers(number: str, values: str) -> str:
    """SQL: the columns of `values`, and `number` as the last one."""
    return f"SELECT s.*, {number} AS number FROM ({values}) s"  # noqa: S608 (ours)


# -- PostgreSQL

# With its owner's privileges: a role that writes products needs none for the tallies.
DEFINER = "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET jit = off"
COUNTED = f"""(
    {{row}}.brand_id, {{row}}.category_id, {{row}}.status, {{row}}.in_stock, floor({{row}}.rating),
    width_bucket({{row}}.price, {RANGES}), {{row}}.attributes
)"""


def write_function(name: str, body: str) -> str:
    return f"CREATE OR REPLACE FUNCTION {name}() {DEFINER} AS $$ BEGIN {body}; RETURN NULL; END $$"


SIGN = "CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END"
ROWS = write_append(write_numbers(SIGN, write_values("postgresql", "r", "changed")))
CHANGE = """
    SELECT coalesce(r.category_id, 0) AS category, v.kind, v.key, r.number
    FROM changed n FULL JOIN before o ON o.id = n.id CROSS JOIN LATERAL (VALUES
        (-1, o.status, o.brand_id, o.category_id, o.price, o.rating, o.in_stock, o.attributes),
        (1, n.status, n.brand_id, n.category_id, n.price, n.rating, n.in_stock, n.attributes)
    ) r (number, status, brand_id, category_id, price, rating, in_stock, attributes) CROSS JOIN LATERAL
        catalog_tally_values(r.brand_id, r.category_id, r.price, r.rating, r.in_stock, r.attributes) v
    WHERE r.status = 'active' AND {old} IS DISTINCT FROM {new}"""
# A full join, and nothing that allows PostgreSQL another one: migrations/sql/0057_by_statement has the reason.
CHANGES = write_append(CHANGE.format(old=COUNTED.format(row="o"), new=COUNTED.format(row="n")))
POSTGRESQL = (
    FUNCTION,
    write_function("catalog_tally_rows", ROWS),
    write_function("catalog_tally_changes", CHANGES),
    write_function("catalog_empty_tallies", "DELETE FROM catalog_tallychange; DELETE FROM catalog_tally"),
    """
CREATE TRIGGER tally_insert AFTER INSERT ON catalog_product REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION catalog_tally_rows()""",
    """
CREATE TRIGGER tally_delete AFTER DELETE ON catalog_product REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION catalog_tally_rows()""",
    """
CREATE TRIGGER tally_update AFTER UPDATE ON catalog_product REFERENCING OLD TABLE AS before NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION catalog_tally_changes()""",
    """
CREATE TRIGGER tally_truncate AFTER TRUNCATE ON catalog_product
FOR EACH STATEMENT EXECUTE FUNCTION catalog_empty_tallies()""",
)
POSTGRESQL_DROPS = tuple(
    f"DROP TRIGGER IF EXISTS tally_{event} ON catalog_product" for event in ("insert", "delete", "update", "truncate")
)

# -- SQLite

COLUMNS = ("brand_id", "category_id", "status", "in_stock", "rating", "price", "attributes")
TAKEN = write_numbers("-1", write_values("sqlite", "OLD"))
ADDED = write_numbers("1", write_values("sqlite", "NEW"))
SQLITE = (
    f"CREATE TRIGGER tally_insert AFTER INSERT ON catalog_product BEGIN {write_append(ADDED)}; END",
    f"CREATE TRIGGER tally_delete AFTER DELETE ON catalog_product BEGIN {write_append(TAKEN)}; END",
    f"""
CREATE TRIGGER tally_update AFTER UPDATE OF {", ".join(COLUMNS)} ON catalog_product
WHEN ({", ".join(f"OLD.{name}" for name in COLUMNS)}) IS NOT ({", ".join(f"NEW.{name}" for name in COLUMNS)})
BEGIN {write_append(TAKEN, ADDED)}; END""",
)
SQLITE_DROPS = tuple(f"DROP TRIGGER IF EXISTS tally_{event}" for event in ("insert", "delete", "update"))

TRIGGERS = {"postgresql": (*POSTGRESQL_DROPS, *POSTGRESQL), "sqlite": (*SQLITE_DROPS, *SQLITE)}


def write_triggers(editor: Any) -> None:
    """Create the triggers, in place of those that are there."""
    for statement in TRIGGERS[editor.connection.vendor]:
        editor.execute(statement, params=None)
