"""Tells whether a database has all migrations. Checks of triggers wait for those that may write the triggers."""

from typing import Any

from django.db.migrations.executor import MigrationExecutor


def has_migrations_left(connection: Any) -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
