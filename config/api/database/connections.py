"""Prepares each new connection for the statements of Tenfold."""

from functools import partial
from typing import Any
from urllib.parse import quote

from config.api.database.authorship import read_setting
from config.api.database.folding import fold
from config.api.database.observers import execute_observed, number_transaction
from config.api.database.words import join_compounds


def prepare_connection(sender: Any, connection: Any, **kwargs: Any) -> None:
    """A receiver of `connection_created`."""
    if connection.vendor == "sqlite":
        # SQLite's triggers ask the connection who writes, and in which transaction.
        number_transaction(connection)
        connection.connection.create_function("tenfold_setting", 1, partial(read_setting, connection))
        # And its compiled reads write texts in addresses by it (config/api/reads/dialects.py).
        connection.connection.create_function("tenfold_fold", 1, fold, deterministic=True)
        connection.connection.create_function("tenfold_compounds", 1, join_compounds, deterministic=True)
        connection.connection.create_function("tenfold_quote", 1, partial(quote, safe=""), deterministic=True)
    if execute_observed not in connection.execute_wrappers:
        # At the front: Django removes the last wrapper when a block of `execute_wrapper` ends, and a connection may be
        # made within such a block.
        connection.execute_wrappers.insert(0, execute_observed)
