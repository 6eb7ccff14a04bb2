"""System checks: `Meta.logged` is valid, and the database's triggers are those of the models.

`check --database default`, `migrate` and `doctor` run the second one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import BigIntegerField, IntegerField

from catalog.changes.models import Change
from catalog.changes.operations import WRITERS
from catalog.changes.tables import LoggedTable, list_tables
from config.api.database.migrations_left import has_migrations_left

REMEDY = "Write a migration with FollowTable({!r}), as makemigrations does when it finds the change itself."


@checks.register(checks.Tags.models)
def check_declarations(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    tables = list_tables(apps.get_models(), lambda name: name)
    return [error for table in tables for error in find_faults(table, tables)]


def find_faults(table: LoggedTable, tables: Sequence[LoggedTable]) -> Iterator[checks.CheckMessage]:
    entity, model = table.logged.entity, table.model
    if len(entity) > (Change._meta.get_field("entity").max_length or 0):
        yield checks.Error(f"{entity!r} is too long for the change log's column.", obj=model, id="catalog.E001")
    if [other.logged.entity for other in tables].count(entity) > 1:
        yield checks.Error(f"Two models are logged as {entity!r}.", obj=model, id="catalog.E002")
    key: Any = model._meta.pk
    if not isinstance(key.target_field if key.is_relation else key, BigIntegerField | IntegerField):
        yield checks.Error(
            "The change log needs an integer primary key, and this one isn't.", obj=model, id="catalog.E003"
        )
    try:
        table.list_compared(), table.find_sku("o"), table.find_product("o"), list(table.list_crossed())
    except FieldDoesNotExist as error:
        yield checks.Error(f"Meta.logged names a field that isn't there: {error}", obj=model, id="catalog.E004")


@checks.register(checks.Tags.database)
def check_triggers(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    return [
        checks.Warning(
            f"The triggers of {table.name} don't match its model: changes are logged and versions counted wrongly.",
            hint=REMEDY.format(table.model._meta.model_name),
            obj=table.model,
            id="catalog.W001",
        )
        for alias in databases or ()
        for table in find_wrong(connections[alias])
    ]


def find_wrong(connection: Any) -> list[LoggedTable]:
    """The logged tables with wrong triggers. Empty while migrations are pending, since those may write the triggers."""
    if has_migrations_left(connection):
        return []
    tables = list_tables(apps.get_models(), connection.ops.quote_name)
    return [table for table in tables if not WRITERS[connection.vendor].are_current(connection, table)]
