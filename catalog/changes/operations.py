"""A migration operation that writes the triggers of a logged table, for the model as it is at that point.

`makemigrations` adds it (autodetector.py), before and after each change of a logged table:

```python
operations = [
    FollowTable("supplier"),
    migrations.AddField("supplier", "vat", models.CharField(max_length=20, default="")),
    FollowTable("supplier"),
]
```

The first one is for the reverse migration, where it runs last.
"""

from typing import Any

from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.models import Model

from catalog.changes import in_postgresql, in_sqlite
from catalog.changes.tables import LoggedTable, list_tables

WRITERS: dict[str, Any] = {"postgresql": in_postgresql, "sqlite": in_sqlite}


class FollowTable(Operation):
    """Drops the log's triggers of model `name`, and creates them again from its `Meta.logged`.

    Without `Meta.logged` it only drops them. It also replaces the triggers of other tables that read this table.
    """

    category = OperationCategory.SQL

    def __init__(self, name: str) -> None:
        self.name = name

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Does nothing: triggers are not part of the state, they are made from it."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        for table in find_affected(model, to_state.apps.get_models(), schema_editor.quote_name):
            # To drop a trigger, PostgreSQL locks the table against readers, too.
            if not WRITERS[schema_editor.connection.vendor].are_current(schema_editor.connection, table):
                write_triggers(schema_editor, table)
        if LoggedTable.find(model, schema_editor.quote_name) is None:
            drop_triggers(schema_editor, model)

    # The reverse is the same. A model that the reverse migration removes next is still in the state here.
    database_backwards = database_forwards

    def describe(self) -> str:
        return f"Log changes of {self.name} by triggers"

    @property
    def migration_name_fragment(self) -> str:
        return f"follow_{self.name.lower()}"


def find_affected(model: type[Model], models: Any, quote: Any) -> list[LoggedTable]:
    """The logged table of the model, and the logged tables whose triggers read columns of the model."""
    return [table for table in list_tables(models, quote) if model in (table.model, *table.list_crossed())]


def write_triggers(editor: Any, table: LoggedTable) -> None:
    drop_triggers(editor, table.model)
    WRITERS[editor.connection.vendor].create_triggers(editor, table)


def drop_triggers(editor: Any, model: type[Model]) -> None:
    WRITERS[editor.connection.vendor].drop_triggers(editor, model._meta.db_table)
