"""The triggers of a logged table on PostgreSQL, and their functions.

Statement triggers write changes into an inbox, in the writer's transaction; log.py numbers them later. The lists of
columns are in the functions' bodies, not in the triggers: so PostgreSQL allows to drop a column or change its type.
"""

from typing import Any

from catalog.changes.tables import MOVED, VERSION, LoggedTable
from config.api.database.schema_editors import FOLLOWED

LOG = """
DECLARE
    now_is timestamptz := clock_timestamp();
    actor text := coalesce(nullif(current_setting('tenfold.actor', true), ''), 'role:' || session_user);
    request_id text := coalesce(current_setting('tenfold.request_id', true), '');
    keeps boolean := current_setting('tenfold.before', true) IS DISTINCT FROM 'off';
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO catalog_change_inbox
            (entity, op, entity_id, version, sku, product_id, at, actor, request_id)
        SELECT '{entity}', 'create', n.{key}, {new_version}, {new_sku}, {new_product}, now_is, actor, request_id
        FROM new_rows n {new_joins};
    ELSIF TG_OP = 'UPDATE' THEN
        -- A full join, since the plan is kept for the session: a nested loop, right for the one row of the first
        -- statement, would compare each row with each of a later one's thousand.
        INSERT INTO catalog_change_inbox
            (entity, op, entity_id, version, sku, product_id, at, actor, request_id, before)
        SELECT '{entity}', 'update', n.{key}, {new_version}, {new_sku}, {new_product}, now_is, actor, request_id,
               CASE WHEN keeps THEN {kept} END
        FROM new_rows n FULL JOIN old_rows o ON o.{key} = n.{key} {new_joins}
        WHERE {differs};
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO catalog_change_inbox
            (entity, op, entity_id, version, sku, product_id, at, actor, request_id, before)
        SELECT '{entity}', 'delete', o.{key}, {old_version}, {old_sku}, {old_product}, now_is, actor, request_id,
               CASE WHEN keeps THEN {kept} END
        FROM old_rows o {old_joins};
    ELSE
        INSERT INTO catalog_change_inbox (entity, op, entity_id, sku, at, actor, request_id)
        VALUES ('{entity}', 'truncate', 0, '', now_is, actor, request_id);
    END IF;
    RETURN NULL;
END """

# A trigger of another table sets the version to 0 to say that something which belongs to this row has changed.
TOUCH = """
BEGIN
    IF NEW.{version} = 0 OR ROW({new}) IS DISTINCT FROM ROW({old}) THEN
        NEW.{version} := OLD.{version} + 1;
        NEW.{moved} := clock_timestamp();
    ELSE
        NEW.{version} := OLD.{version};
        NEW.{moved} := OLD.{moved};
    END IF;
    RETURN NEW;
END """

TOUCH_OTHER = """
BEGIN
    IF ROW({new}) IS DISTINCT FROM ROW({old}) THEN
        UPDATE {other} SET {version} = 0 WHERE {other_key} = NEW.{link};
    END IF;
    RETURN NULL;
END """

# What is joined, such as the variant of stock, is looked up by its key for each row; OFFSET keeps the planner from
# another way. The plan is kept for the session: after a statement of 5,000 stock rows, one for a single row read the
# index of a million variants up to its own, 346 ms.
LOOK_UP = "LEFT JOIN LATERAL (SELECT * FROM {table} {alias} WHERE {there} = {here} OFFSET 0) {alias} ON true"

# The function runs with its owner's privileges: a role that writes the table needs none for the two log tables. A plan
# of a look-up that is kept since the table was small may read it whole, and one that is kept since a statement of many
# rows would be compiled again for each row (migrations/sql/0059_uncompiled has the figures).
AS_OWNER = "SECURITY DEFINER SET search_path = {schema}, pg_temp SET enable_seqscan = off SET jit = off"

# When each trigger fires; `{}` is the table. The LOGGING triggers share one function, the TOUCHING ones have their own.
# A table of whose rows only some updates are logged has only `log_update`.
LOGGING = {
    "log_insert": "AFTER INSERT ON {} REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT",
    "log_update": "AFTER UPDATE ON {} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT",
    "log_delete": "AFTER DELETE ON {} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT",
    "log_truncate": "AFTER TRUNCATE ON {} FOR EACH STATEMENT",
}
TOUCHING = {"touch": "BEFORE UPDATE ON {} FOR EACH ROW", "touch_other": "AFTER UPDATE ON {} FOR EACH ROW"}
KEEP_KEY = "BEFORE UPDATE OF {key} ON {{}} FOR EACH ROW WHEN (NEW.{key} <> OLD.{key})"


def write_functions(connection: Any, table: LoggedTable) -> dict[str, str]:
    """The functions' bodies by name."""
    names, kept = name_columns(table), keep_row(connection, table)
    bodies = {"log": LOG.format(**names, **name_row(table, "n", "new"), **name_row(table, "o", "old"), kept=kept)}
    if table.is_versioned:
        bodies["touch"] = TOUCH.format(**names)
    if table.logged.touches:
        bodies["touch_other"] = TOUCH_OTHER.format(**names, **table.find_touched())
    return {table.name_trigger(what): body for what, body in bodies.items()}


def name_columns(table: LoggedTable) -> dict[str, str]:
    # The trigger `touch` runs first, so a changed version means a changed row.
    sides = [
        f"{row}.{table.quote(VERSION)}" if table.is_versioned else f"ROW({table.list_values(row)})" for row in "no"
    ]
    return {
        "entity": table.logged.entity, "key": table.key, "differs": " IS DISTINCT FROM ".join(sides),
        "new": table.list_values("NEW"), "old": table.list_values("OLD"),
        "version": table.quote(VERSION), "moved": table.quote(MOVED),
    }  # fmt: skip


COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"


def keep_row(connection: Any, table: LoggedTable) -> str:
    """SQL: the old row as JSON, without columns that the model doesn't have, such as the search document.

    The whole row takes 40 microseconds less than a list of its columns, in a write of one row.
    """
    own = {field.column for field in table.fields}
    others = sorted(name for [name] in ask(connection, COLUMNS, table.quote(table.name)) if name not in own)
    return f"to_jsonb(o) - ARRAY{others}" if others else "to_jsonb(o)"


def name_row(table: LoggedTable, row: str, prefix: str) -> dict[str, str]:
    """SQL for version, SKU and product id of a row, and the joins that they need."""
    names = {
        "version": f"{row}.{table.quote(VERSION)}" if table.is_versioned else "NULL",
        "sku": table.find_sku(row), "product": table.find_product(row), "joins": table.join(row, LOOK_UP),
    }  # fmt: skip
    return {f"{prefix}_{name}": text for name, text in names.items()}


def list_triggers(table: LoggedTable) -> dict[str, tuple[str, str]]:
    """`(function, when it fires)` by the triggers' names."""
    log = table.name_trigger("log")
    triggers = {what: (log, when) for what, when in LOGGING.items() if what == "log_update" or not table.logged.only}
    triggers["keep_key"] = ("catalog_refuse_key", KEEP_KEY.format(key=table.key))
    for what, is_wanted in (("touch", table.is_versioned), ("touch_other", bool(table.logged.touches))):
        if is_wanted:
            triggers[what] = (table.name_trigger(what), TOUCHING[what])
    return {table.name_trigger(what): trigger for what, trigger in triggers.items()}


def create_triggers(editor: Any, table: LoggedTable) -> None:
    [[schema]] = ask(editor.connection, "SELECT current_schema()")
    for name, body in write_functions(editor.connection, table).items():
        rights = AS_OWNER.format(schema=editor.quote_name(schema)) if name == table.name_trigger("log") else ""
        function = f"CREATE FUNCTION {table.quote(name)}() RETURNS trigger LANGUAGE plpgsql {rights}"
        editor.execute(f"{function} AS $followed${body}$followed$", params=None)
    for name, (function, when) in list_triggers(table).items():
        trigger = f"CREATE TRIGGER {table.quote(name)} {when.format(table.quote(table.name))}"
        editor.execute(f"{trigger} EXECUTE FUNCTION {table.quote(function)}()", params=None)


# Finds triggers by their table, not by name: the table may have been renamed.
LIST = r"""
SELECT t.tgname, p.proname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = to_regclass(%s) AND t.tgname LIKE 'followed\_%%'
"""


def drop_triggers(editor: Any, table: str) -> None:
    quote = editor.quote_name
    found = ask(editor.connection, LIST, quote(table))
    for trigger, *_ in found:
        editor.execute(f"DROP TRIGGER {quote(trigger)} ON {quote(table)}", params=None)
    for function in sorted({function for _, function, _ in found if function.startswith(FOLLOWED)}):
        editor.execute(f"DROP FUNCTION {quote(function)}()", params=None)


def are_current(connection: Any, table: LoggedTable) -> bool:
    """Whether the database has exactly the triggers that the model needs."""
    wanted = list_triggers(table)
    found = ask(connection, LIST, table.quote(table.name))
    executed = {trigger: function for trigger, function, _ in found}
    bodies = {function: body for _, function, body in found if function.startswith(FOLLOWED)}
    return executed == {name: function for name, (function, _) in wanted.items()} and bodies == write_functions(
        connection, table
    )


def ask(connection: Any, sql: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
