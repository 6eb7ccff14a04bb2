"""The logged entities: the models of all apps whose Meta has `logged` (logged.py)."""

from collections.abc import Mapping
from functools import cache

from django.apps import apps
from django.db.models import Model

from catalog.changes.logged import find_logged


@cache
def list_entities() -> Mapping[str, type[Model]]:
    """The model of each entity name."""
    return {logged.entity: model for model in apps.get_models() if (logged := find_logged(model))}


@cache
def list_tables() -> Mapping[str, str]:
    """The table name of each entity name."""
    return {entity: model._meta.db_table for entity, model in list_entities().items()}


@cache
def list_covered() -> frozenset[str]:
    """The tables whose every change is in the log. So the log tells whether an answer from them is current."""
    return frozenset(
        model._meta.db_table for model in list_entities().values() if (logged := find_logged(model)) and not logged.only
    )


@cache
def list_without_product() -> frozenset[str]:
    """The entity names whose rows belong to no product."""
    declared = [find_logged(model) for model in list_entities().values()]
    return frozenset(logged.entity for logged in declared if logged and not logged.product)
