"""A row's changes in, what takes the chosen ones back out: no query, nothing but values.

A chosen change is taken back column by column. A column that somebody else changed since is a conflict; the columns
that only others changed stay as they are.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from catalog.changes.models import Change
from catalog.changes.undo.rows import Values, list_columns
from catalog.writes.batches import is_same


class Unknown:
    """A state of a row that the log didn't keep."""


UNKNOWN: Final = Unknown()
# Stands among columns for "there is such a row".
EXISTENCE = "*"

# A row's values, None where there is no row.
type State = Values | Unknown | None


class Reason(StrEnum):
    """Why a row isn't undone. The first three can be forced, the others can't."""

    # Somebody else changed the columns, deleted the row, or changed what would be deleted with it.
    CHANGED = "changed"
    DELETED = "deleted"
    USED = "used"
    # The log doesn't have the row before an import, another row has the value, the row needs another one that is gone,
    # or other rows need it.
    NOT_KEPT = "not_kept"
    TAKEN = "taken"
    MISSING = "missing"
    NEEDED = "needed"


FORCEABLE = (Reason.CHANGED, Reason.DELETED, Reason.USED)


@dataclass(frozen=True, slots=True)
class RowChange:
    """One change of a row: the row before it, and whether it is one of those to undo."""

    op: str
    before: Values | None
    is_chosen: bool

    @property
    def state(self) -> State:
        """The row before the change."""
        if self.op == Change.Op.CREATE:
            return None
        return UNKNOWN if self.before is None else self.before


@dataclass(slots=True)
class Step:
    """What is to be written to a row: `create` it, `update` or `delete` it; or why not (`reason`)."""

    entity: str
    key: int
    sku: str
    product_id: int | None
    op: str
    # The columns to write, and their present values; all columns of a row to create.
    values: Values = field(default_factory=dict)
    present: Values = field(default_factory=dict)
    reason: Reason | None = None
    # The columns that others changed since, or that hold a value which isn't free.
    columns: tuple[str, ...] = ()

    def refuse(self, reason: Reason, *columns: str) -> None:
        self.reason, self.columns = reason, columns

    def keep_columns(self, columns: Collection[str]) -> bool:
        """Leave the other columns as they are now. False if nothing is left to do; rows aren't created or deleted."""
        if self.reason != Reason.NOT_KEPT:
            self.values, self.present = (
                {name: value for name, value in row.items() if name in columns} for row in (self.values, self.present)
            )
        if self.reason == Reason.CHANGED:
            self.columns = tuple(name for name in self.columns if name in columns)
            self.reason = self.reason if self.columns else None
        return self.op == "update" and bool(self.values or self.reason)

    def allow(self) -> None:
        """Overwrite what others changed since."""
        if self.reason in FORCEABLE:
            self.reason, self.columns = None, ()


@dataclass(slots=True)
class RowHistory:
    """The changes of one row, the oldest first, and the row as it is now."""

    entity: str
    key: int
    sku: str = ""
    product_id: int | None = None
    changes: list[RowChange] = field(default_factory=list)
    present: Values | None = None

    def plan(self) -> Step | None:
        """What undoes the chosen changes; None if the row is already as it was."""
        target = self.changes[0].state
        if target is UNKNOWN:
            return self.make_step("update", reason=Reason.NOT_KEPT)
        assert not isinstance(target, Unknown)
        mine, others = self.sort_columns()
        if not mine:
            return None  # triggers changed it
        if target is None:
            return self.plan_deletion(others)
        return self.plan_creation(target, others) if self.present is None else self.plan_update(target, mine, others)

    def make_step(self, op: str, **members: Any) -> Step:
        return Step(self.entity, self.key, self.sku, self.product_id, op, **members)

    def plan_deletion(self, others: set[str]) -> Step | None:
        if self.present is None:
            return None
        step = self.make_step("delete", present=self.present)
        if others:
            step.refuse(Reason.CHANGED, *self.name_columns(others))
        return step

    def plan_creation(self, target: Values, others: set[str]) -> Step:
        step = self.make_step("create", values=target)
        if EXISTENCE in others:
            step.refuse(Reason.DELETED)
        elif others:
            step.refuse(Reason.CHANGED, *self.name_columns(others))
        return step

    def plan_update(self, target: Values, mine: set[str], others: set[str]) -> Step | None:
        present, wanted = self.present or {}, set(self.name_columns(mine))
        differing = [name for name in wanted if name in target and not is_same(present[name], target[name])]
        if not differing:
            return None
        values, now = ({name: row[name] for name in sorted(differing)} for row in (target, present))
        step = self.make_step("update", values=values, present=now)
        if clashing := set(self.name_columns(others)) & set(differing):
            step.refuse(Reason.CHANGED, *sorted(clashing))
        return step

    def sort_columns(self) -> tuple[set[str], set[str]]:
        """The columns that the chosen changes changed, and those that others changed since."""
        mine, others = set[str](), set[str]()
        for change, before, after in self.walk():
            (mine if change.is_chosen else others).update(self.compare(before, after))
        return mine, others

    def walk(self) -> Iterator[tuple[RowChange, State, State]]:
        """Each change with the row before and after it."""
        states: list[State] = [*(change.state for change in self.changes), self.present]
        for number, change in enumerate(self.changes):
            yield change, states[number], states[number + 1]

    def compare(self, before: State, after: State) -> set[str]:
        if isinstance(before, Unknown) or isinstance(after, Unknown):
            return set(list_columns(self.entity))
        if before is None or after is None:
            return {EXISTENCE}
        return {name for name in list_columns(self.entity) if not is_same(before.get(name), after.get(name))}

    def name_columns(self, columns: set[str]) -> Sequence[str]:
        return list_columns(self.entity) if EXISTENCE in columns else sorted(columns)
