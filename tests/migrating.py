"""The models as our own migrations leave them, for tests that run another migration after these."""

from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState


def read_state() -> ProjectState:
    """A copy, for a test to change."""
    return load_state().clone()


@cache
def load_state() -> ProjectState:
    """With all models made, as Django's own executor has it: each operation then makes those again that it changes."""
    state = MigrationLoader(connection).project_state()
    assert state.apps  # made where it's asked for
    return state
