"""Django's migration autodetector, which also adds FollowTable operations for logged tables that change."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations import AlterModelOptions, AlterModelTable, CreateModel, DeleteModel, RenameModel
from django.db.migrations.operations.fields import FieldOperation

from catalog.changes.logged import OPTION
from catalog.changes.operations import FollowTable


class FollowingAutodetector(MigrationAutodetector):
    def changes(self, *args: Any, **kwargs: Any) -> dict[str, list[Migration]]:
        changes: dict[str, list[Migration]] = super().changes(*args, **kwargs)
        for app_label, migrations in changes.items():
            for migration in migrations:
                operations = self.surround(app_label, list(migration.operations))
                migration.operations = list(operations)  # type: ignore[misc]  # Django itself sets it on the instance
        return changes

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
        case AlterModelOptions() | AlterModelTable():
            return [(operation.name_lower, operation.name_lower)]
    return []
