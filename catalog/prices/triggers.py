"""The triggers that write the history of prices, and `Product.lowest_price_30_days` from it.

- A variant and its product get their first row when both are there: some writers insert variants first.
- A price that its own transaction replaces was never in force, so its row is written over. A transaction that puts
  the price back leaves no row. Who wrote a row, its `writer` tells: on PostgreSQL the number of the transaction, on
  SQLite a random number (config/api/database/observers.py).
- A price in another currency is another price. `lowest_price_30_days` compares those of the present currency.
- If the clock goes back, `since` stays as it is, so the order of a row's prices is that of their ids.
- A row that was there before the migration, and that a later migration hasn't filled yet, gets its price of before
  together with its next one.
"""

from typing import Any

LAST = (
    "SELECT id, since, currency FROM catalog_productprice WHERE product_id = {key} ORDER BY since DESC, id DESC LIMIT 1"
)
# The lowest of those in force within the 720 hours before the last one: all that began then, and the one before them.
LOWEST = """
SELECT min(price) FROM (
    SELECT e.price FROM ({last}) l JOIN catalog_productprice e
        ON e.product_id = {key} AND e.since > {begin} AND e.id < l.id AND e.currency = l.currency
    UNION ALL
    SELECT b.price FROM ({last}) l JOIN catalog_productprice b ON b.id = (
        SELECT id FROM catalog_productprice WHERE product_id = {key} AND since <= {begin} AND id < l.id
        ORDER BY since DESC, id DESC LIMIT 1
    ) AND b.currency = l.currency
) lowest"""


def write_lowest(key: str, begin: str) -> str:
    last = LAST.format(key=key)
    return LOWEST.format(last=last, key=key, begin=begin)


# -- PostgreSQL

DEFINER = "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET jit = off"
# Of the functions that take the keys of many rows; migrations/sql/0040_whole_products has the reason.
BY_INDEX = "SET plan_cache_mode = force_generic_plan SET enable_seqscan = off"
WRITER = "pg_current_xact_id()::text::bigint"

RECORD = """
CREATE OR REPLACE FUNCTION catalog_record_{kind}_price(
    key bigint, new_price numeric, new_currency text, old_price numeric, old_currency text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    me bigint := {writer};
    last catalog_{kind}price;
    earlier catalog_{kind}price;
BEGIN
    SELECT * INTO last FROM catalog_{kind}price WHERE {kind}_id = key ORDER BY since DESC, id DESC LIMIT 1;
    IF last.id IS NULL AND old_price IS NOT NULL THEN
        INSERT INTO catalog_{kind}price ({kind}_id, price, currency, since, writer)
        VALUES (key, old_price, old_currency, clock_timestamp(), 0) RETURNING * INTO last;
    END IF;
    IF (last.price, last.currency) = (new_price, new_currency) THEN
        RETURN;
    ELSIF last.writer = me THEN
        SELECT * INTO earlier FROM catalog_{kind}price WHERE {kind}_id = key AND id < last.id
        ORDER BY since DESC, id DESC LIMIT 1;
        IF (earlier.price, earlier.currency) = (new_price, new_currency) THEN
            DELETE FROM catalog_{kind}price WHERE id = last.id;
        ELSE
            UPDATE catalog_{kind}price SET price = new_price, currency = new_currency WHERE id = last.id;
        END IF;
    ELSIF last.id IS NOT NULL OR {is_first_written} THEN
        INSERT INTO catalog_{kind}price ({kind}_id, price, currency, since, writer)
        VALUES (key, new_price, new_currency, greatest(clock_timestamp(), last.since), me);
    END IF;
END $$"""

# The prices that a statement changed. If this writes fewer rows, RECORD looks why: the last row is this transaction's,
# or missing. MATERIALIZED keeps the join a full one, and OFFSET 0 the look-up by key, whatever the first statement of a
# session has: its plan is kept (migrations/sql/0057_by_statement).
UPDATED = f"""
CREATE OR REPLACE FUNCTION catalog_{{kind}}_prices_updated() {DEFINER} {BY_INDEX} AS $$
DECLARE
    me bigint := {WRITER};
    is_short boolean;
BEGIN
    WITH moved AS MATERIALIZED ({{moved}}), written AS (
        INSERT INTO catalog_{{kind}}price ({{kind}}_id, price, currency, since, writer)
        SELECT m.id, m.price, m.currency, greatest(clock_timestamp(), l.since), me FROM moved m, LATERAL (
            SELECT price, currency, since, writer FROM catalog_{{kind}}price WHERE {{kind}}_id = m.id
            ORDER BY since DESC, id DESC LIMIT 1
        ) l WHERE l.writer <> me AND (l.price, l.currency) <> (m.price, m.currency) RETURNING 1
    ) SELECT (SELECT count(*) FROM moved) > (SELECT count(*) FROM written) INTO is_short;
    IF is_short THEN
        PERFORM catalog_record_{{kind}}_price(m.id, m.price, m.currency, m.old_price, m.old_currency)
        FROM (WITH moved AS MATERIALIZED ({{moved}}) SELECT * FROM moved) m
        WHERE m.currency IS NOT NULL;
    END IF;
    RETURN NULL;
END $$"""  # noqa: S608 (names of our own tables and columns)
# `ready` is the moment of the migration: a row of before may not be filled yet.
UPDATES = {
    "variant": UPDATED.format(
        kind="variant", moved="""
        SELECT n.id, n.price, p.currency, p.currency AS old_currency,
            CASE WHEN o.created_at < '{ready}' THEN o.price END AS old_price
        FROM changed n FULL JOIN before o ON o.id = n.id LEFT JOIN LATERAL (
            SELECT currency FROM catalog_product WHERE id = n.product_id OFFSET 0
        ) p ON true WHERE (o.price, o.product_id) IS DISTINCT FROM (n.price, n.product_id)""",
    ),
    # PRODUCT_UPDATED has the other ones.
    "product": UPDATED.format(
        kind="product", moved="""
        SELECT n.id, n.price, n.currency, o.currency AS old_currency, CASE WHEN o.created_at < '{ready}' AND EXISTS (
            SELECT FROM catalog_variant WHERE product_id = n.id AND created_at < '{ready}'
        ) THEN o.price END AS old_price FROM changed n FULL JOIN before o ON o.id = n.id
        WHERE n.compare_at_price IS NULL AND (o.price, o.currency) IS DISTINCT FROM (n.price, n.currency)""",
    ),
}  # fmt: skip

# A product with a `compare_at_price`: its lowest price goes by the row of the new one, and is in the product's own row.
PRODUCT_UPDATED = f"""
CREATE OR REPLACE FUNCTION catalog_product_price_updated() {DEFINER} AS $$
DECLARE
    is_old boolean := OLD.created_at < '{{ready}}' AND EXISTS (
        SELECT FROM catalog_variant WHERE product_id = NEW.id AND created_at < '{{ready}}');
BEGIN
    IF NEW.compare_at_price IS NULL THEN
        NEW.lowest_price_30_days := NULL;
        RETURN NEW;
    ELSIF (NEW.price, NEW.currency) <> (OLD.price, OLD.currency) THEN
        PERFORM catalog_record_product_price(
            NEW.id, NEW.price, NEW.currency, CASE WHEN is_old THEN OLD.price END, OLD.currency);
    END IF;
    NEW.lowest_price_30_days := ({write_lowest("NEW.id", "l.since - interval '720 hours'")});
    RETURN NEW;
END $$"""

CURRENCY_UPDATED = f"""
CREATE OR REPLACE FUNCTION catalog_currency_updated() {DEFINER} AS $$
BEGIN
    PERFORM catalog_record_variant_price(v.id, v.price, NEW.currency, NULL, NULL)
    FROM catalog_variant v WHERE v.product_id = NEW.id;
    RETURN NULL;
END $$"""

# No product has a price before its first variant.
INSERTED = f"""
CREATE OR REPLACE FUNCTION catalog_{{table}}_price_inserted() {DEFINER} {BY_INDEX} AS $$
DECLARE
    products bigint[] := ARRAY(SELECT DISTINCT {{product}} FROM changed);
    variants bigint[] := ARRAY(SELECT id FROM {{variants}});
BEGIN
    IF variants = '{{{{}}}}' THEN
        RETURN NULL;
    END IF;
    INSERT INTO catalog_variantprice (variant_id, price, currency, since, writer)
    SELECT v.id, v.price, p.currency, clock_timestamp(), {WRITER}
    FROM catalog_variant v JOIN catalog_product p ON p.id = v.product_id WHERE v.id = ANY (variants);
    INSERT INTO catalog_productprice (product_id, price, currency, since, writer)
    SELECT p.id, p.price, p.currency, clock_timestamp(), {WRITER} FROM catalog_product p
    WHERE p.id = ANY (products) AND EXISTS (SELECT FROM catalog_variant v WHERE v.product_id = p.id)
        AND NOT EXISTS (SELECT FROM catalog_productprice e WHERE e.product_id = p.id);
    RETURN NULL;
END $$"""  # noqa: S608 (names of our own tables and columns)

DELETED = f"""
CREATE OR REPLACE FUNCTION catalog_{{kind}}_price_deleted() {DEFINER} {BY_INDEX} AS $$
DECLARE
    keys bigint[] := ARRAY(SELECT id FROM changed);
BEGIN
    DELETE FROM catalog_{{kind}}price WHERE {{kind}}_id = ANY (keys);
    RETURN NULL;
END $$"""  # noqa: S608 (names of our own tables and columns)

TRUNCATED = f"""
CREATE OR REPLACE FUNCTION catalog_{{kind}}_price_truncated() {DEFINER} AS $$
BEGIN
    DELETE FROM catalog_{{kind}}price;
    RETURN NULL;
END $$"""  # noqa: S608 (names of our own tables and columns)

LOWEST_INSERTED = """
CREATE OR REPLACE FUNCTION catalog_lowest_price_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.lowest_price_30_days := NULL;
    RETURN NEW;
END $$"""

INSERTS = {
    "product": INSERTED.format(
        table="product", product="id", variants="catalog_variant WHERE product_id = ANY (products)"
    ),
    "variant": INSERTED.format(table="variant", product="product_id", variants="changed"),
}


def list_postgresql(kind: str, ready: str) -> list[str]:
    # The first row of a product is written at its first variant's insert, not at the price that this one brings.
    is_first_written = "true" if kind == "variant" else "false"
    statement = f"ON catalog_{kind} REFERENCING {{}} FOR EACH STATEMENT EXECUTE FUNCTION catalog_{kind}_price"
    return [
        RECORD.format(kind=kind, writer=WRITER, is_first_written=is_first_written),
        UPDATES[kind].format(ready=ready),
        INSERTS[kind],
        DELETED.format(kind=kind),
        TRUNCATED.format(kind=kind),
        *(
            f"DROP TRIGGER IF EXISTS record_price_{event} ON catalog_{kind}"
            for event in ("update", "insert", "delete", "truncate")
        ),
        f"CREATE TRIGGER record_price_update AFTER UPDATE"
        f" {statement.format('OLD TABLE AS before NEW TABLE AS changed')}s_updated()",
        f"CREATE TRIGGER record_price_insert AFTER INSERT {statement.format('NEW TABLE AS changed')}_inserted()",
        f"CREATE TRIGGER record_price_delete AFTER DELETE {statement.format('OLD TABLE AS changed')}_deleted()",
        f"CREATE TRIGGER record_price_truncate AFTER TRUNCATE ON catalog_{kind} FOR EACH STATEMENT"
        f" EXECUTE FUNCTION catalog_{kind}_price_truncated()",
    ]


# PostgreSQL fires triggers in the order of their names: before `stored_row`.
FOLLOW_LOWEST = (
    "DROP TRIGGER IF EXISTS record_lowest_price ON catalog_product",
    """
CREATE TRIGGER record_lowest_price BEFORE UPDATE ON catalog_product FOR EACH ROW WHEN (
    (OLD.lowest_price_30_days, NEW.lowest_price_30_days, NEW.compare_at_price) IS DISTINCT FROM (NULL, NULL, NULL)
    AND (OLD.price, OLD.currency, OLD.compare_at_price IS NULL, OLD.lowest_price_30_days)
        IS DISTINCT FROM (NEW.price, NEW.currency, NEW.compare_at_price IS NULL, NEW.lowest_price_30_days)
) EXECUTE FUNCTION catalog_product_price_updated()""",
    "DROP TRIGGER IF EXISTS record_currency ON catalog_product",
    CURRENCY_UPDATED,
    """
CREATE TRIGGER record_currency AFTER UPDATE ON catalog_product FOR EACH ROW WHEN (OLD.currency <> NEW.currency)
EXECUTE FUNCTION catalog_currency_updated()""",
)
FORGET_LOWEST = (
    LOWEST_INSERTED,
    "DROP TRIGGER IF EXISTS record_price_before ON catalog_product",
    "CREATE TRIGGER record_price_before BEFORE INSERT ON catalog_product FOR EACH ROW"
    " WHEN (NEW.lowest_price_30_days IS NOT NULL) EXECUTE FUNCTION catalog_lowest_price_inserted()",
)


# -- SQLite

OWNERS = {
    "variant": "catalog_variant o JOIN catalog_product p ON p.id = o.product_id",
    "product": "catalog_product o JOIN catalog_product p ON p.id = o.id",
}
# 0 if another program writes, which may not know it (catalog/changes/README.md): then each write counts alone.
ME = "coalesce(tenfold_setting('transaction'), 0)"
# Each body reads the tables as they are, not NEW: a trigger of the same statement may have written since.
SQLITE_RECORD = """
    DELETE FROM catalog_{kind}price WHERE {mine} AND ({now}) IS ({earlier});
    UPDATE catalog_{kind}price SET (price, currency) = ({now}) WHERE {mine};
    INSERT INTO catalog_{kind}price ({kind}_id, price, currency, since, writer)
    SELECT o.id, o.price, p.currency, max(n.now, l.since), {me}
    FROM {owners} JOIN catalog_{kind}price l ON l.id = (
        SELECT id FROM catalog_{kind}price WHERE {kind}_id = o.id ORDER BY since DESC, id DESC LIMIT 1
    ) JOIN catalog_now n
    WHERE o.{which} = NEW.id AND (l.price, l.currency) IS NOT (o.price, p.currency);"""
# The last row of each, if the transaction wrote it and it isn't right any more.
MINE = """{kind}_id IN (SELECT id FROM catalog_{kind} WHERE {which} = NEW.id)
        AND writer = tenfold_setting('transaction')
        AND id = (SELECT l.id FROM catalog_{kind}price l WHERE l.{kind}_id = catalog_{kind}price.{kind}_id
            ORDER BY l.since DESC, l.id DESC LIMIT 1)
        AND (price, currency) IS NOT ({now})"""
PRESENT = "SELECT o.price, p.currency FROM {owners} WHERE o.id = catalog_{kind}price.{kind}_id"
EARLIER = """SELECT e.price, e.currency FROM catalog_{kind}price e
        WHERE e.{kind}_id = catalog_{kind}price.{kind}_id AND e.id < catalog_{kind}price.id
        ORDER BY e.since DESC, e.id DESC LIMIT 1"""

SQLITE_INSERTED = """
CREATE TRIGGER record_{table}_price_insert AFTER INSERT ON catalog_{table} BEGIN
    INSERT INTO catalog_variantprice (variant_id, price, currency, since, writer)
    SELECT o.id, o.price, p.currency, n.now, {me} FROM {owners} JOIN catalog_now n
    WHERE o.{variant} = NEW.id;
    INSERT INTO catalog_productprice (product_id, price, currency, since, writer)
    SELECT p.id, {price}, p.currency, n.now, {me} FROM catalog_product p JOIN catalog_now n
    WHERE p.id = NEW.{product} AND EXISTS (SELECT 1 FROM catalog_variant v WHERE v.product_id = p.id)
        AND NOT EXISTS (SELECT 1 FROM catalog_productprice e WHERE e.product_id = p.id);
END"""


def record(kind: str, which: str) -> str:
    """SQL that records the present price of the variants or products whose column `which` is NEW.id."""
    names = {"kind": kind, "which": which, "owners": OWNERS[kind], "me": ME}
    now = PRESENT.format(**names)
    return SQLITE_RECORD.format(**names, now=now, mine=MINE.format(**names, now=now), earlier=EARLIER.format(**names))


BEGIN = "strftime('%Y-%m-%d %H:%M:%f', l.since, '-720 hours')"
SQLITE = (
    SQLITE_INSERTED.format(
        table="variant", me=ME, owners=OWNERS["variant"], variant="id", product="product_id",
        # The trigger that derives the product's price may come later.
        price="(SELECT min(price) FROM catalog_variant WHERE product_id = p.id)",
    ),
    SQLITE_INSERTED.format(
        table="product", me=ME, owners=OWNERS["variant"], variant="product_id", product="id", price="p.price"
    ),
    f"""
CREATE TRIGGER record_variant_price_update AFTER UPDATE OF price, product_id ON catalog_variant
WHEN (OLD.price, OLD.product_id) IS NOT (NEW.price, NEW.product_id) BEGIN {record("variant", "id")} END""",
    f"""
CREATE TRIGGER record_product_price_update
AFTER UPDATE OF price, currency, compare_at_price, lowest_price_30_days ON catalog_product
WHEN (OLD.price, OLD.currency, OLD.compare_at_price IS NULL, OLD.lowest_price_30_days)
    IS NOT (NEW.price, NEW.currency, NEW.compare_at_price IS NULL, NEW.lowest_price_30_days)
BEGIN
    {record("product", "id")}
    UPDATE catalog_product SET lowest_price_30_days = iif(compare_at_price IS NULL, NULL, (
        {write_lowest("NEW.id", BEGIN)})) WHERE id = NEW.id
        AND (compare_at_price IS NOT NULL OR lowest_price_30_days IS NOT NULL);
END""",  # noqa: S608 (names of our own tables and columns)
    f"""
CREATE TRIGGER record_currency AFTER UPDATE OF currency ON catalog_product WHEN OLD.currency <> NEW.currency
BEGIN {record("variant", "product_id")} END""",
    """
CREATE TRIGGER record_lowest_price_insert AFTER INSERT ON catalog_product WHEN NEW.lowest_price_30_days IS NOT NULL
BEGIN UPDATE catalog_product SET lowest_price_30_days = NULL WHERE id = NEW.id; END""",
    *(
        f"""
CREATE TRIGGER record_{kind}_price_delete AFTER DELETE ON catalog_{kind}
BEGIN DELETE FROM catalog_{kind}price WHERE {kind}_id = OLD.id; END"""  # noqa: S608 (names of our own tables and columns)
        for kind in OWNERS
    ),
)  # fmt: skip


def create_triggers(editor: Any, ready: str) -> None:
    """`ready` is the moment from which on the triggers see each new row, as PostgreSQL reads it."""
    statements: Any = SQLITE
    if editor.connection.vendor == "postgresql":
        by_kind = (text for kind in OWNERS for text in list_postgresql(kind, ready))
        statements = [*by_kind, PRODUCT_UPDATED.format(ready=ready), *FOLLOW_LOWEST, *FORGET_LOWEST]
    for statement in statements:
        editor.execute(statement, params=None)
