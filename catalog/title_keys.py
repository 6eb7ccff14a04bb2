"""`ordering=title`: by title_key, the folded title (config/api/database/folding.py), then by id.

Triggers write the key for whoever writes the title. The second migration fills the keys of the rows that were there
before, in batches, each in its own transaction; stopped, it goes on where it was. Until it is done, the release that
has it isn't ready (`/readyz`), and servers of the release before go on ordering by the title itself.
"""

from typing import Any

from django.db import models
from django.db.models import F, Func, QuerySet, Value
from django.db.models.functions import Coalesce, NullIf

from config.api.database.folding import fold, write_function

# About half a second of writes.
BATCH_ROWS = 5_000

POSTGRESQL = (
    # Comparisons in code point order, as on SQLite. The column is new, so no index is made again.
    'ALTER TABLE catalog_product ALTER COLUMN title_key TYPE text COLLATE "C"',
    write_function("tenfold_fold"),
    """
CREATE OR REPLACE FUNCTION catalog_write_title_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.title_key := coalesce(nullif(tenfold_fold(NEW.title), ''), NEW.title);
    RETURN NEW;
END $$""",
    """
CREATE TRIGGER title_key BEFORE INSERT OR UPDATE OF title, title_key ON catalog_product
FOR EACH ROW EXECUTE FUNCTION catalog_write_title_key()""",
)

KEY = "coalesce(nullif(tenfold_fold(NEW.title), ''), NEW.title)"
WRITE = f"UPDATE catalog_product SET title_key = {KEY} WHERE id = NEW.id;"  # noqa: S608 (no text of a caller is in it)
SQLITE = (
    # A bulk writer gives the key, since the UPDATE writes the row and its indexes once more.
    f"""
CREATE TRIGGER title_key_insert AFTER INSERT ON catalog_product
WHEN NEW.title_key IS NOT {KEY} BEGIN {WRITE} END""",
    f"""
CREATE TRIGGER title_key_update AFTER UPDATE OF title, title_key ON catalog_product
WHEN NEW.title_key IS NOT {KEY} BEGIN {WRITE} END""",
)

TRIGGERS = {"postgresql": POSTGRESQL, "sqlite": SQLITE}


def make_title_key(title: str) -> str:
    # A title of nothing but marks is its own key. So no key is empty, and an empty one isn't filled yet.
    return fold(title) or title


def write_triggers(editor: Any) -> None:
    for statement in TRIGGERS[editor.connection.vendor]:
        editor.execute(statement, params=None)


def fill_keys(rows: QuerySet[Any], batch: int = BATCH_ROWS) -> int:
    """Fill the keys that are empty, in the order of ids. Returns their number. Safe to stop and to run again."""
    empty, filled, last = rows.filter(title_key="").exclude(title=""), 0, 0
    while keys := list(empty.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:batch]):
        last = keys[-1]
        # The trigger replaces the value, since the statement names the column. Nothing is logged: the key is derived.
        filled += empty.filter(pk__gte=keys[0], pk__lte=last).update(title_key="")
    return filled


class Fold(Func):
    """fold() by the database."""

    function = "tenfold_fold"
    output_field = models.TextField()


def find_wrong_keys(rows: QuerySet[Any], most: int) -> list[str]:
    """SKUs of rows that were written without the triggers, as by a session with `session_replication_role`."""
    key = Coalesce(NullIf(Fold(F("title")), Value("")), F("title"))
    wrong = rows.exclude(title_key=key).order_by("pk")
    return list(wrong.values_list("sku", flat=True)[:most])
