"""What webhooks tell of: the kinds of rows that have events. Apps register each in their ready().

A change of a row is an event of it. So is a change of a row that belongs to it: a new image is an update of its
product.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from django.db.models import Model

from catalog.changes.logged import Logged, find_logged
from catalog.changes.models import Change
from catalog.changes.tables import MOVED, VERSION
from config.api.access.permissions import Caller
from config.api.access.scopes import CHANGES
from config.api.reads.selections import ReadSerializer

type Row = Mapping[str, Any]

# They count the changes, so they differ after each.
COUNTING = frozenset({VERSION, MOVED})


@dataclass(frozen=True)
class Story:
    """All changes of one row in a stretch of the log, the oldest first. `parts` names what of it changed elsewhere.

    `states` are the row before each of its own updates, and as it is now unless it is gone. A state is None if it isn't
    known: an import keeps no rows.
    """

    changes: Sequence[Change]
    own: Sequence[Change]
    parts: frozenset[str]
    states: Sequence[Row | None]
    # The row as it is now, with the columns of its product that are filtered by; None if it is gone or hidden.
    now: Row | None
    # What names it to people: its SKU, slug or number. None if that isn't known, or must not be told.
    label: str | None

    @property
    def last(self) -> Change:
        return self.changes[-1]

    @property
    def ops(self) -> list[str]:
        return [change.op for change in self.own]

    @property
    def version(self) -> int | None:
        """The row's version now; that of the last change if it is gone."""
        now: int | None = self.now.get(VERSION) if self.now else self.own[-1].version if self.own else None
        return now

    @property
    def changed(self) -> list[str] | None:
        """The names of what differs; None if it isn't known."""
        if None in self.states:
            return None
        pairs = pairwise(state or {} for state in self.states)
        differing = {name for one, other in pairs for name in one if one[name] != other.get(name)}
        return sorted((differing | self.parts) - COUNTING)

    def may_have_changed(self, name: str) -> bool:
        return self.changed is None or name in self.changed


# -- what happened: the verbs, the most telling first. A webhook is told the first one that it wants -----------------


def find_writes(story: Story) -> Sequence[str]:
    if story.ops and story.ops[-1] == Change.Op.DELETE:
        return ("deleted",)
    if story.now is None:
        # What is hidden looks deleted. If only parts changed, the row's own delete comes later in the log.
        return ("deleted",) if story.ops else ()
    created = ("created",) if Change.Op.CREATE in story.ops else ()
    updated = ("updated",) if Change.Op.UPDATE in story.ops or story.parts else ()
    return (*created, *updated)


def find_any_write(story: Story) -> Sequence[str]:
    return ("updated",) if story.now is not None or story.ops[-1] == Change.Op.DELETE else ()


def find_new_price(story: Story) -> Sequence[str]:
    is_new = Change.Op.CREATE in story.ops or story.may_have_changed("price")
    return ("updated",) if story.now is not None and is_new else ()


def find_end(story: Story) -> Sequence[str]:
    """How a job ended: `ready` or `failed`; a canceled one isn't told."""
    return (str(story.now["status"]),) if story.now is not None else ()


# -- the kinds ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """A kind of rows with events such as `product.updated`. `label` is the member that names the row."""

    name: str
    model: type[Model]
    shape: ReadSerializer
    label: str = ""
    verbs: tuple[str, ...] = ("created", "updated", "deleted")
    find_verbs: Callable[[Story], Sequence[str]] = find_writes
    # Models whose rows belong to a row of this one: what `changed` calls them, and the foreign key that leads here.
    parts: Mapping[type[Model], tuple[str, str]] = field(default_factory=dict)
    # What a webhook's owner needs, "" if the rows that they may see are their own; and what a token needs.
    right: str = ""
    scope: str = CHANGES.read

    @property
    def logged(self) -> Logged:
        found = find_logged(self.model)
        assert found is not None  # only logged rows have events
        return found

    @property
    def entities(self) -> frozenset[str]:
        return frozenset({self.logged.entity, *self.links})

    @property
    def links(self) -> dict[str, type[Model]]:
        """The models of the parts by entity."""
        return {logged.entity: model for model in self.parts if (logged := find_logged(model))}

    @property
    def types(self) -> list[str]:
        return [f"{self.name}.{verb}" for verb in self.verbs]

    @property
    def label_path(self) -> str:
        return self.logged.sku if self.label == "sku" else self.label

    def select_rows(self, caller: Caller) -> Any:
        """The rows that the caller may see."""
        rows: Any = self.model._default_manager.using("default")
        return rows.visible_to(caller) if hasattr(rows, "visible_to") else rows.all()


SUBJECTS: dict[str, Subject] = {}


def register_subjects(*subjects: Subject) -> None:
    for subject in subjects:
        SUBJECTS[subject.name] = subject
