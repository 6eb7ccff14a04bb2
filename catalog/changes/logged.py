"""What a model says in its Meta so that every change of its rows is logged.

```python
class Meta:
    logged = Logged("stock", sku="variant__sku", product="variant__product")
```

An option of Meta is part of a migration's state, as a plain attribute of the class is not: the triggers that a
migration writes come from the model as it is at that place of the history. `makemigrations` notices a changed
declaration, and writes the operation that follows it (operations.py, autodetector.py).
"""

from dataclasses import dataclass, fields
from typing import Any

from django.db.migrations import state
from django.db.migrations.operations import AlterModelOptions
from django.db.models import Model, options

OPTION = "logged"


@dataclass(frozen=True)
class Logged:
    """How the log names a table and its rows. Paths are as in a filter: `variant__product`, `pk`."""

    # Of the table: `stock`.
    entity: str
    # The path to the SKU of a row, and to the id of the product that it belongs to; "" for none.
    sku: str = ""
    product: str = ""
    # The foreign key to the row whose version counts this row's changes too; "" for none.
    touches: str = ""
    # Fields that follow from others: a change of them alone isn't logged, and raises no version.
    derived: tuple[str, ...] = ()

    def deconstruct(self) -> tuple[str, tuple[str], dict[str, Any]]:
        """For the migrations that hold it."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name)}
        return f"{__name__}.{type(self).__name__}", (given.pop("entity"),), given


def find_logged(model: type[Model]) -> Logged | None:
    return getattr(model._meta, OPTION, None)


# Django has no public way to register an option; state.py has a copy of the names (tests/test_borrowed.py).
options.DEFAULT_NAMES += (OPTION,)
state.DEFAULT_NAMES = options.DEFAULT_NAMES  # type: ignore[attr-defined]  # the stubs don't know it
AlterModelOptions.ALTER_OPTION_KEYS.append(OPTION)
