"""The triggers of a logged table on SQLite.

The SQL function tenfold_setting() tells who writes; Tenfold's connections have it (config/api/database/authorship.py).
The log's key is the position, since SQLite has one writer at a time.
"""

from typing import Any

from django.db.models import BinaryField, JSONField

from catalog.changes.tables import MOVED, VERSION, LoggedTable
from config.api.database.schema_editors import FOLLOWED

INSERT = "AFTER INSERT ON {table}"
DELETE = "AFTER DELETE ON {table}"
UPDATE = """AFTER UPDATE ON {table}
WHEN ({new}) IS NOT ({old})"""
# Doesn't fire again when `touch` sets the version: that is the same change. A trigger of another table sets the version
# to 0 to say that something which belongs to this row has changed.
UPDATE_VERSIONED = UPDATE + " OR NEW.{version} = 0"

LOG = """
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id,
                                before)
    SELECT '{entity}', '{op}', {row}.{key}, {version}, {sku}, {product}, catalog_now.now, catalog_now.now,
           coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''), {before}
    FROM catalog_now {joins};
END"""

# recursive_triggers is off, SQLite's default: the UPDATE doesn't fire this trigger again.
TOUCH = """AFTER UPDATE ON {table}
WHEN ({all_new}) IS NOT ({all_old})
BEGIN
    UPDATE {table} SET ({version}, {moved}) = (
        SELECT OLD.{version} + changed, iif(changed, (SELECT now FROM catalog_now), OLD.{moved})
        FROM (SELECT ({new}) IS NOT ({old}) OR NEW.{version} = 0 AS changed))
    WHERE {key} = NEW.{key};
END"""

TOUCH_OTHER = """AFTER UPDATE ON {table}
WHEN ({new}) IS NOT ({old})
BEGIN
    UPDATE {other} SET {version} = 0 WHERE {other_key} = NEW.{link};
END"""

KEEP_KEY = """BEFORE UPDATE OF {key} ON {table}
WHEN NEW.{key} <> OLD.{key}
BEGIN
    SELECT RAISE(ABORT, 'the key of a row in {name} is for life');
END"""


def write_triggers(table: LoggedTable) -> dict[str, str]:
    """The CREATE TRIGGER statements by the triggers' names."""
    names = name_columns(table)
    changed = UPDATE_VERSIONED if table.is_versioned else UPDATE
    bodies = {
        "keep_key": KEEP_KEY.format(**names),
        "log_update": changed.format(**names) + log(table, "update", "OLD", 1),
    }
    if not table.logged.only:
        bodies["log_insert"] = INSERT.format(**names) + log(table, "create", "NEW", 0)
        bodies["log_delete"] = DELETE.format(**names) + log(table, "delete", "OLD", 0)
    if table.is_versioned:
        bodies["touch"] = TOUCH.format(**names, **list_all(table))
    if table.logged.touches:
        bodies["touch_other"] = TOUCH_OTHER.format(**names, **table.find_touched())
    triggers = {table.name_trigger(what): body for what, body in bodies.items()}
    return {name: f"CREATE TRIGGER {table.quote(name)} {body}" for name, body in triggers.items()}


def name_columns(table: LoggedTable) -> dict[str, str]:
    quoted = {"table": table.name, "version": VERSION, "moved": MOVED}
    lists = {"new": table.list_values("NEW"), "old": table.list_values("OLD"), "key": table.key, "name": table.name}
    return {key: table.quote(name) for key, name in quoted.items()} | lists


def list_all(table: LoggedTable) -> dict[str, str]:
    return {f"all_{row.lower()}": table.list_values(row, VERSION, MOVED) for row in ("NEW", "OLD")}


def log(table: LoggedTable, op: str, counts: str, more: int) -> str:
    """The log trigger's body. The logged version is the version of the row `counts` (NEW or OLD) plus `more`."""
    row = "OLD" if op == "delete" else "NEW"
    return LOG.format(
        entity=table.logged.entity, op=op, row=row, key=table.key,
        version=f"{counts}.{table.quote(VERSION)} + {more}" if table.is_versioned else "NULL",
        sku=table.find_sku(row), product=table.find_product(row), joins=table.join(row),
        before="NULL" if op == "create" else keep_row(table),
    )  # fmt: skip


def keep_row(table: LoggedTable) -> str:
    pairs = ", ".join(f"'{field.column}', {show_value(field, table)}" for field in table.fields)
    return f"iif(tenfold_setting('before') = 'off', NULL, json_object({pairs}))"


def show_value(field: Any, table: LoggedTable) -> str:
    value = f"OLD.{table.quote(field.column)}"
    if isinstance(field, JSONField):
        return f"json({value})"
    # The form that PostgreSQL writes.
    return f"iif({value} IS NULL, NULL, '\\x' || lower(hex({value})))" if isinstance(field, BinaryField) else value


LIST = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"


def read_triggers(connection: Any, table: str) -> dict[str, str]:
    """The CREATE TRIGGER statements in the database, by the triggers' names."""
    with connection.cursor() as cursor:
        cursor.execute(LIST, [table])
        return {name: statement for name, statement in cursor.fetchall() if name.startswith(FOLLOWED)}


def drop_triggers(editor: Any, table: str) -> None:
    for name in read_triggers(editor.connection, table):
        editor.execute(f"DROP TRIGGER {editor.quote_name(name)}", params=None)


def create_triggers(editor: Any, table: LoggedTable) -> None:
    for statement in write_triggers(table).values():
        editor.execute(statement, params=None)


def are_current(connection: Any, table: LoggedTable) -> bool:
    """Whether the database has exactly the triggers that the model needs."""
    return read_triggers(connection, table.name) == write_triggers(table)
