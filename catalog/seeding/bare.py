"""The tables of an empty catalogue, for the length of a block without what each insert pays for.

Indexes and foreign keys are built at the end in one go, and the triggers of REPLACED don't run: `write_created` writes
for all rows together what they would have written for each. All of it is in the caller's transaction, so a seed that is
killed leaves the tables as they were.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.models import Model

from catalog.changes.created import log_created
from catalog.changes.models import Change
from catalog.models import Brand, Category, Image, Product, ProductText, Stock, Variant
from catalog.prices.filling import fill_at_once
from catalog.prices.models import ProductPrice, VariantPrice
from catalog.search.documents import fill_documents
from catalog.search.vocabulary import append_all as append_words
from catalog.tallies.folding import append_all as append_tallies

FILLED = (Product, ProductText, Variant, Stock, Image)
PRICES = (VariantPrice, ProductPrice)
# Foreign keys lead to the last two.
LOCKED = (*FILLED, *PRICES, Brand, Category)

# The triggers whose results `write_created` writes, and those that find no row to derive anything for. Others run, as
# those that write columns of the inserted row, and any that somebody has added.
REPLACED = re.compile(
    r"followed_log_insert_\w+|record_(variant_|product_)?price_insert|tally_insert|words_(inserted|product_insert)"
    r"|derive_insert|(price|stock|image)_insert|stored_catalog_product__images_insert|document_(product|text)_insert"
)

# Says if this role owns the tables: only an owner may change them. SQLite has no owners.
OWNED = "SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class WHERE oid = ANY (%s::regclass[])"
# A name, what takes it away, and what puts it back.
LISTED = {
    "postgresql": """
        SELECT '', format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
            format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY (%(tables)s::regclass[])
        UNION ALL
        SELECT '', format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
        FROM pg_index WHERE NOT indisunique AND indrelid = ANY (%(tables)s::regclass[])
        UNION ALL
        SELECT tgname, format('ALTER TABLE %%s DISABLE TRIGGER %%I', tgrelid::regclass, tgname),
            format('ALTER TABLE %%s ENABLE TRIGGER %%I', tgrelid::regclass, tgname)
        FROM pg_trigger WHERE tgenabled = 'O' AND NOT tgisinternal AND tgrelid = ANY (%(tables)s::regclass[])""",
    "sqlite": """
        SELECT iif(type = 'trigger', name, ''), 'DROP ' || type || ' "' || name || '"', sql FROM sqlite_master
        WHERE tbl_name IN (SELECT value FROM json_each(%(tables)s)) AND type IN ('index', 'trigger')
            AND sql NOT LIKE 'CREATE UNIQUE%%'""",
}

# The first plan of a row's trigger is kept while its table fills: of a table that is nearly empty it would read all.
LOADING = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL maintenance_work_mem = '256MB'",
    "SET LOCAL enable_seqscan = off",
)
LOADED = ("SET LOCAL enable_seqscan TO DEFAULT",)


def lock_tables() -> bool:
    """Lock the tables until the transaction ends, and return whether they are empty and may be changed."""
    if connection.vendor != "postgresql":  # BEGIN IMMEDIATE has locked them
        return is_empty()
    tables = [model._meta.db_table for model in LOCKED]
    with connection.cursor() as cursor:
        cursor.execute(OWNED, [[*tables, Change._meta.db_table]])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
    return is_empty()


def is_empty() -> bool:
    return not any(model.objects.exists() for model in (*FILLED, *PRICES))


@contextmanager
def bare_tables() -> Iterator[None]:
    """Within a transaction, after `lock_tables`. When the block ends, all is written that follows from its rows."""
    connection.check_constraints()  # no check may wait for the end of the transaction
    with lift(PRICES):
        with lift(FILLED), settings_of_loads():
            yield
        write_created()


@contextmanager
def settings_of_loads() -> Iterator[None]:
    is_wanted = connection.vendor == "postgresql"
    run(LOADING if is_wanted else ())
    yield
    run(LOADED if is_wanted else ())


@contextmanager
def lift(models: Iterable[type[Model]]) -> Iterator[None]:
    """Take away what LISTED finds, and put it back."""
    tables: Any = [model._meta.db_table for model in models]
    if connection.vendor != "postgresql":
        tables = json.dumps(tables)
    with connection.cursor() as cursor:
        cursor.execute(LISTED[connection.vendor], {"tables": tables})
        lifted = [row[1:] for row in cursor.fetchall() if not row[0] or REPLACED.fullmatch(row[0])]
    run(taken for taken, _ in lifted)
    yield
    run(back for _, back in lifted)


def run(statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def write_created() -> None:
    """What the triggers of REPLACED would have written, by one statement for each table."""
    if connection.vendor == "sqlite":
        fill_documents(connection)
    fill_at_once(connection)
    append_tallies(connection)
    append_words(connection)
    log_created(connection, FILLED)
