"""An index is added while others write, also after a run that was interrupted."""

import pytest
from django.db import IntegrityError, connection, models
from django.db.migrations.state import ProjectState

from catalog.models import Brand
from config.api.database.indexes import AddIndexOnline
from tests.factories import make_brand

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "test_brand_name"
IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass"


def add_index() -> None:
    state = ProjectState.from_apps(Brand._meta.apps)
    operation = AddIndexOnline("brand", models.Index(fields=["name"], name=NAME))
    after = state.clone()
    operation.state_forwards("catalog", after)
    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("catalog", editor, state, after)


def list_indexes() -> dict[str, object]:
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, Brand._meta.db_table)


@pytest.fixture(autouse=True)
def drop_index() -> object:
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX IF EXISTS {NAME}")


def test_the_index_is_there() -> None:
    add_index()
    assert NAME in list_indexes()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL leaves an invalid index")
def test_what_an_interrupted_run_left_is_replaced() -> None:
    make_brand("Acme"), make_brand("Bodum")
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {NAME} ON {Brand._meta.db_table} ((1))")
    assert NAME in list_indexes()
    add_index()
    with connection.cursor() as cursor:
        cursor.execute(IS_VALID, [NAME])
        assert cursor.fetchone() == (True,)
