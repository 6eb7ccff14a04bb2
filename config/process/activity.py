"""When this process last answered a request by work of its own; what can take its time gives way to such."""

import time

# Whoever came in the last quarter of a second has company, or comes again.
RECENT_SECONDS = 0.25


class Activity:
    """One of a process; a lost update is as good as the one that stays."""

    def __init__(self) -> None:
        self.at = float("-inf")

    def note(self) -> None:
        self.at = time.monotonic()

    @property
    def is_recent(self) -> bool:
        return time.monotonic() - self.at < RECENT_SECONDS


ACTIVITY = Activity()
