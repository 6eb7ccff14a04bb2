"""Django's migration autodetector, which also writes the operations of triggers.

It adds FollowTable for logged tables that change, and StoreRows for stored serializers that have another form.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations import AlterModelOptions, AlterModelTable, CreateModel, DeleteModel, RenameModel
from django.db.migrations.operations.fields import FieldOperation

from catalog.changes.logged import OPTION
from catalog.changes.operations import FollowTable
from config.api.database.storing import OPTION as STORED
from config.api.database.storing import StoredForm, StoreRows
from config.api.reads.selections import find_model
from config.api.reads.stored_pieces import list_stored
from config.api.reads.stored_triggers import find_form


class FollowingAutodetector(MigrationAutodetector):
    def changes(
        self, graph: Any, trim_to_apps: Any = None, convert_apps: Any = None, migration_name: str | None = None
    ) -> dict[str, list[Migration]]:
        changes: dict[str, list[Migration]] = super().changes(graph, trim_to_apps, convert_apps, migration_name)
        added = self.store_rows(changes, trim_to_apps)
        changes |= self.arrange_for_graph(added, graph, migration_name)
        for app_label, migrations in changes.items():
            for migration in migrations:
                operations = self.surround(app_label, list(migration.operations))
                migration.operations = list(operations)  # type: ignore[misc]  # Django itself sets it on the instance
        return changes

    def store_rows(self, changes: dict[str, list[Migration]], apps: Any) -> dict[str, list[Migration]]:
        """Adds a StoreRows for each table whose rows get another form, or none any more; returns new migrations.

        Each of these locks its own table only. But if a migration changes the app's tables, StoreRows is a part of it:
        the old triggers may name a column that is lost.
        """
        added: dict[str, list[Migration]] = {}
        for app_label, name, form in self.list_forms():
            if apps and app_label not in apps:
                continue
            operation = StoreRows(name, form)
            if app_label not in changes:
                migrations = added.setdefault(app_label, [])
                migrations.append(make_migration(app_label, len(migrations) + 1, [operation]))
            elif form:
                changes[app_label][-1].operations = [*changes[app_label][-1].operations, operation]  # type: ignore[misc]  # as above: an instance has its own
            else:
                # First, since the model may be renamed or deleted.
                changes[app_label][0].operations = [operation, *changes[app_label][0].operations]  # type: ignore[misc]  # as above: an instance has its own
        return added

    def list_forms(self) -> Iterator[tuple[str, str, StoredForm | None]]:
        """The app's label, the model's name and the new form, where it differs from that of the migrations."""
        kept = {(name.app_label, name.model_name): form for name, form in list_current()}
        before = {
            key: state.options[STORED] for key, state in self.from_state.models.items() if STORED in state.options
        }
        yield from ((*key, None) for key in before if key not in kept)
        for key, form in kept.items():
            if key in self.to_state.models and (key not in before or read_words(before[key]) != read_words(form)):
                yield *key, form

    def surround(self, app_label: str, operations: list[Any]) -> Iterator[Any]:
        """The operations, with a FollowTable before and after them for each logged table that they change."""
        before, after = name_altered(operations)
        yield from (FollowTable(name) for name in before if self.is_logged(app_label, name))
        yield from operations
        yield from (FollowTable(name) for name in after if self.is_logged(app_label, name))

    def is_logged(self, app_label: str, name: str) -> bool:
        """Whether the model is logged, or was before these operations: then its triggers must be dropped."""
        states = (state.models.get((app_label, name)) for state in (self.from_state, self.to_state))
        return any(state is not None and OPTION in state.options for state in states)


def read_words(form: StoredForm) -> list[list[str]]:
    """The SQL of its triggers. In a migration it is indented."""
    return [sql.split() for sql in form.create]


def list_current() -> Iterator[tuple[Any, StoredForm]]:
    """The options of each stored model, and the form that its serializer has now."""
    for serializer in list_stored():
        if form := find_form(serializer):
            yield find_model(serializer)._meta, form


def make_migration(app_label: str, number: int, operations: list[Any]) -> Migration:
    """With a name for the time being, as Django's own have before they are arranged."""
    migration: Any = Migration(f"auto_{number}", app_label)
    migration.dependencies = [(app_label, f"auto_{number - 1}")] if number > 1 else []
    migration.operations = operations
    return migration


def name_altered(operations: Iterable[Any]) -> tuple[dict[str, None], dict[str, None]]:
    """The models whose columns, table or options the operations change: their names before, and their names after.

    Both are ordered sets, written as dicts.
    """
    before, after, new = dict[str, None](), dict[str, None](), set[str]()
    for operation in operations:
        for old_name, new_name in name_models(operation):
            if old_name and old_name not in new:
                before[old_name] = None
            after.pop(old_name, None)
            if new_name:
                after[new_name] = None
            if new_name != old_name:
                new.add(new_name)
    return before, after


def name_models(operation: Any) -> list[tuple[str, str]]:
    """`(name before, name after)` of each model that the operation changes; "" where the model doesn't exist."""
    match operation:
        case CreateModel():
            return [("", operation.name_lower)]
        case DeleteModel():
            return [(operation.name_lower, "")]
        case RenameModel():
            return [(operation.old_name_lower, operation.new_name_lower)]
        case FieldOperation():
            return [(operation.model_name_lower, operation.model_name_lower)]
        case AlterModelOptions() | AlterModelTable() | StoreRows():
            return [(operation.name.lower(), operation.name.lower())]
    return []
