"""The option `logged` of a model's Meta: every change of the model's rows is logged.

```python
class Meta:
    logged = Logged("stock", sku="variant__sku", product="variant__product")
```

An option of Meta is part of the migrations' state; a plain class attribute is not. So a migration writes the triggers
of the model as it was at that point of the history. When the declaration changes, `makemigrations` writes the operation
that updates the triggers (operations.py, autodetector.py).
"""

from dataclasses import dataclass, fields
from typing import Any

from django.db.migrations import state
from django.db.migrations.operations import AlterModelOptions
from django.db.models import Model, options

OPTION = "logged"


@dataclass(frozen=True)
class Logged:
    """How the log names a table and its rows. Paths are written as in filters: `variant__product`, `pk`."""

    # The log's name for the table, such as `stock`.
    entity: str
    # The paths from a row to its SKU and to its product's id; "" for none.
    sku: str = ""
    product: str = ""
    # The foreign key to a row whose version also counts this row's changes; "" for none.
    touches: str = ""
    # Fields that are computed from others. A change of these alone isn't logged and raises no version.
    derived: tuple[str, ...] = ()
    # If given, only an update of these fields is logged: no other update, no create and no delete. A job's
    # `finished_at` logs its end without its progress.
    only: tuple[str, ...] = ()

    def deconstruct(self) -> tuple[str, tuple[str], dict[str, Any]]:
        """Lets Django write this object into migrations."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name)}
        return f"{__name__}.{type(self).__name__}", (given.pop("entity"),), given


def find_logged(model: type[Model]) -> Logged | None:
    return getattr(model._meta, OPTION, None)


# Django has no public way to add an option to Meta. state.py has its own copy of the names (tests/test_borrowed.py).
options.DEFAULT_NAMES += (OPTION,)
state.DEFAULT_NAMES = options.DEFAULT_NAMES  # type: ignore[attr-defined]  # the stubs don't know it
AlterModelOptions.ALTER_OPTION_KEYS.append(OPTION)
