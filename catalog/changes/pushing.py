"""The change log as a source of streams: the rows of the feed, each as an event."""

from collections.abc import Hashable

from catalog.changes.feed import Bounds, Wanted, describe, select_changes
from catalog.changes.log import number_changes
from catalog.changes.views import let_caches_hear
from catalog.changes.visibility import list_restricted
from config.api.access.permissions import Caller
from config.api.push.hub import Hub
from config.api.push.streams import Page, Row, write_event

# Rows that are read at once: some 32 kB of events.
PAGE = 200
ALL = Wanted(None, None, ())


class Changes:
    """Positions are those of the log, which are the feed's cursors, too."""

    def read_newest(self) -> int:
        number_changes()
        return Bounds.read().newest

    def read_page(self, after: int, caller: Caller) -> Page:
        """Two queries. Raises ChangesGone as the feed does."""
        bounds = Bounds.read()
        bounds.check(after)
        end = bounds.find_end(after)
        rows = select_changes(ALL, caller).filter(position__gt=after, position__lte=end).order_by("position")
        found = list(rows[:PAGE])
        let_caches_hear(found)
        events = [Row(row.position, row.entity, write_event(row.position, describe(row))) for row in found]
        return Page(events, events[-1].position if len(found) == PAGE else end)

    def name_sight(self, caller: Caller) -> Hashable:
        own = [entity for entity, _ in list_restricted(caller)]
        return caller.has_perm("catalog.view_product"), tuple(own), caller.pk if own else None


HUB = Hub(Changes())
