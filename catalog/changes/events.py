"""A webhook's cursor in, the events that follow it out: the change log as config.api.webhooks asks for it.

The changes of a row between the cursor and the newest position become one event, so that an endpoint which was away
isn't told each state of the past. The events come in the order of each row's first change.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, reduce
from itertools import batched
from typing import Any

import orjson
from django.conf import settings
from django.db.models import F, Model

from catalog.changes.feed import Bounds, read_cursor
from catalog.changes.filter_fields import make_filter_fields
from catalog.changes.filters import ProductFilter
from catalog.changes.history import show_row
from catalog.changes.logged import find_logged
from catalog.changes.models import Change
from catalog.changes.subjects import SUBJECTS, Row, Story, Subject
from catalog.changes.visibility import list_restricted
from catalog.rights import EXPORT
from config.api.database.statements import choose_compiled
from config.api.reads.selections import build_selection
from config.api.reads.stored import select_json
from config.api.webhooks.events import Batch, Event, EventType
from config.api.webhooks.models import Webhook

# The most changes that one batch makes events of, and the most rows that are read at once.
WINDOW = 10_000
ROWS_AT_ONCE = 100

# A row that events are told of: the subject's name, and the row's id.
type Key = tuple[str, int]


class CatalogueLog:
    """The log of the catalogue, and of whatever else is logged."""

    right = EXPORT

    @property
    def types(self) -> Mapping[str, EventType]:
        subjects = SUBJECTS.values()
        return {name: EventType(name, subject.scope, subject.right) for subject in subjects for name in subject.types}

    def find_newest(self) -> int:
        return read_cursor()

    def find_start(self, since: datetime) -> int:
        read_cursor()  # numbers the changes until now
        return Bounds.read().find_start(since)

    def check(self, after: int) -> None:
        read_cursor()
        Bounds.read().check(after)

    def read_filters(self, filters: Mapping[str, Any]) -> dict[str, list[str]]:
        return ProductFilter.check(filters)

    def make_filter_fields(self) -> Mapping[str, Any]:
        return make_filter_fields()

    def read(self, webhook: Webhook) -> Batch:
        """Three queries at once; later, for each ROWS_AT_ONCE rows, two or three a subject."""
        bounds = Bounds.read()
        bounds.check(webhook.position)
        reader = Reader(webhook)
        changes = list(reader.select_changes(webhook.position, bounds.newest)[: WINDOW + 1])
        end = bounds.newest if len(changes) <= WINDOW else changes[WINDOW - 1].position
        return Batch(reader.read(changes[:WINDOW], end), end, has_more=end < bounds.newest)


class Reader:
    """Makes the events of one webhook."""

    def __init__(self, webhook: Webhook) -> None:
        self.webhook = webhook
        self.owner: Any = webhook.owner
        self.types = webhook.wants(LOG.types)
        wanted = {name.partition(".")[0] for name in self.types}
        found = (subject for subject in SUBJECTS.values() if subject.name in wanted)
        self.subjects = [subject for subject in found if not subject.right or self.owner.has_perm(subject.right)]

    def select_changes(self, after: int, newest: int) -> Any:
        entities = frozenset[str]().union(*(subject.entities for subject in self.subjects))
        rows = Change.objects.using("default").filter(position__gt=after, position__lte=newest, entity__in=entities)
        return rows.defer("before").order_by("position")

    def read(self, changes: Sequence[Change], end: int) -> Iterator[Event]:
        groups = self.group(changes)
        # Once a row is told, the cursor is before the first change of the next one.
        starts = [group[0].position for group in groups.values()]
        reached = dict(zip(groups, [*(start - 1 for start in starts[1:]), end], strict=False))
        for keys in batched(groups, ROWS_AT_ONCE, strict=False):
            told = self.tell({key: groups[key] for key in keys})
            for key in keys:
                if event := self.make_event(key, *told[key], reached[key]):
                    yield event

    # -- which rows

    def group(self, changes: Sequence[Change]) -> dict[Key, list[Change]]:
        """The changes of each row, in the order of its first one."""
        owners = [(subject, find_owners(subject, changes)) for subject in self.subjects]
        groups = defaultdict[Key, list[Change]](list)
        for change in changes:
            for subject, found in owners:
                if (key := found.get(change.position)) is not None:
                    groups[subject.name, key].append(change)
        return dict(groups)

    # -- what happened to them

    def tell(self, groups: Mapping[Key, Sequence[Change]]) -> dict[Key, tuple[Story, Any]]:
        """The story of each row, and the row as the API shows it (None without `expand`)."""
        told = dict[Key, tuple[Story, Any]]()
        for subject in self.subjects:
            of_subject = {key: changes for (name, key), changes in groups.items() if name == subject.name}
            if of_subject:
                told |= self.tell_of(subject, of_subject)
        return told

    def tell_of(self, subject: Subject, groups: Mapping[int, Sequence[Change]]) -> dict[Key, tuple[Story, Any]]:
        rows = self.read_rows(subject, groups)
        shown = show_rows(subject, list(rows)) if self.webhook.expand else {}
        entity = subject.logged.entity
        befores = read_befores(change for changes in groups.values() for change in changes if change.entity == entity)
        return {
            (subject.name, key): (self.build_story(subject, changes, befores, rows.get(key)), shown.get(key))
            for key, changes in groups.items()
        }

    def read_rows(self, subject: Subject, keys: Iterable[int]) -> dict[int, Any]:
        path = subject.logged.product
        rows = subject.select_rows(self.owner).filter(pk__in=list(keys))
        return {row.pk: row for row in (rows.select_related(path) if path not in ("", "pk") else rows)}

    def build_story(self, subject: Subject, changes: Sequence[Change], befores: Mapping[int, Any], row: Any) -> Story:
        entity = subject.logged.entity
        own = [change for change in changes if change.entity == entity]
        links = subject.links
        parts = {subject.parts[links[change.entity]][0] for change in changes if change.entity in links}
        states = [rename(subject, befores[change.position]) for change in own if change.op != Change.Op.CREATE]
        now = None if row is None else show_now(subject, row)
        states += [] if now is None else [now]
        label = self.find_label(subject, states, own, row)
        return Story(changes, own, frozenset(parts), states, now, label)

    def find_label(self, subject: Subject, states: Sequence[Row | None], own: Sequence[Change], row: Any) -> str | None:
        if row is not None or not subject.label:
            return follow(row, subject.label_path) if subject.label else None
        # A draft is secret, and it looks deleted.
        if subject.logged.product and not self.owner.has_perm("catalog.view_product"):
            return None
        known = [str(state[subject.label]) for state in states if state and subject.label in state]
        logged = [change.sku for change in own if change.sku]
        return next(reversed(known + logged), None)

    # -- what is told

    def make_event(self, key: Key, story: Story, shown: Any, reached: int) -> Event | None:
        """None if the webhook doesn't want it."""
        subject = SUBJECTS[key[0]]
        types = [f"{subject.name}.{verb}" for verb in subject.find_verbs(story)]
        wanted = next((name for name in types if name in self.types), None)
        if wanted is None or not self.passes(subject, story):
            return None
        data: dict[str, Any] = {"id": key[1]} | ({subject.label: story.label} if subject.label else {})
        changed = story.changed if wanted.endswith(".updated") else None
        data |= {"version": story.version, "position": story.last.position, "changed": changed}
        if self.webhook.expand:
            data["row"] = shown
        return Event(wanted, story.last.at, story.last.position, reached, data)

    def passes(self, subject: Subject, story: Story) -> bool:
        """Whether the row is the owner's to know, and its product one that the filters keep or kept so far."""
        if story.now is None and subject.name in self.restricted:
            return False
        if not self.webhook.filters or not subject.logged.product:
            return True
        return any(self.filter.keeps(state) for state in story.states if state)

    @cached_property
    def restricted(self) -> frozenset[str]:
        """The subjects of whose rows the owner sees only some: another one's order doesn't even look deleted."""
        entities = {entity for entity, _ in list_restricted(self.owner)}
        return frozenset(subject.name for subject in self.subjects if subject.logged.entity in entities)

    @cached_property
    def filter(self) -> ProductFilter:
        return ProductFilter.read(self.webhook.filters)


LOG = CatalogueLog()


# -- reading -----------------------------------------------------------------------------------------------------


def find_owners(subject: Subject, changes: Sequence[Change]) -> dict[int, int]:
    """The id of the subject's row that each change is told of, by the change's position."""
    entity = subject.logged.entity
    found = {change.position: change.entity_id for change in changes if change.entity == entity}
    for part, model in subject.links.items():
        of_part = [change for change in changes if change.entity == part]
        found |= find_linked(of_part, model, subject.parts[model][1])
    return found


def find_linked(changes: Sequence[Change], model: type[Model], link: str) -> dict[int, int]:
    """The ids of the rows that changed rows belong to, by position. The log has the product's; others are looked up."""
    if (logged := find_logged(model)) and logged.product == link:
        return {change.position: change.product_id for change in changes if change.product_id is not None}
    column = model._meta.get_field(link).attname  # type: ignore[union-attr]  # a foreign key
    rows: Any = model._default_manager.using("default")
    live = dict(rows.filter(pk__in={change.entity_id for change in changes}).values_list("pk", column))
    befores = read_befores(change for change in changes if change.entity_id not in live)
    gone = {position: before[column] for position, before in befores.items() if before}
    return {change.position: live[change.entity_id] for change in changes if change.entity_id in live} | gone


def read_befores(changes: Iterable[Change]) -> dict[int, Any]:
    """The rows before the changes, by position; None where it isn't known. One query, or none."""
    kept = [change.position for change in changes if change.op != Change.Op.CREATE]
    rows = Change.objects.using("default").filter(pk__in=kept)
    return dict(rows.values_list("position", "before")) if kept else {}


def show_rows(subject: Subject, keys: Sequence[int]) -> dict[int, Any]:
    """The rows as the API shows them."""
    rows = subject.model._default_manager.using("default").filter(pk__in=keys).annotate(row_key=F("pk"))
    selected = select_json(
        rows, subject.shape, build_selection(subject.shape, detail=True), settings.PUBLIC_URL, ["row_key"]
    )
    return {key: orjson.Fragment(text) for text, key in choose_compiled(selected)}


def rename(subject: Subject, row: Row | None) -> Row | None:
    """A row of the log in the API's formats, by the names of its fields."""
    shown = show_row(subject.logged.entity, None if row is None else dict(row))
    if shown is None:
        return None
    return {field.name: shown[field.attname] for field in subject.model._meta.concrete_fields if field.attname in shown}


def show_now(subject: Subject, row: Any) -> Row:
    """The row as `rename` shows one of the log, with the columns of its product that filters look at."""
    columns = {str(field.column): getattr(row, field.attname) for field in row._meta.concrete_fields}
    path = subject.logged.product
    product = reduce(getattr, path.split("__"), row) if path not in ("", "pk") else None
    return ProductFilter.show(product) | dict(rename(subject, columns) or {})


def follow(row: Any, path: str) -> str:
    return str(reduce(getattr, path.split("__"), row))
