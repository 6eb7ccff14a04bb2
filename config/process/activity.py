"""When this process last worked for a request. Work that may take longer, such as an export, gives way meanwhile."""

import time

# A request within this time means that more traffic is likely.
RECENT_SECONDS = 0.25


class Activity:
    """The time of a process's last request. Threads need no lock, since any of their times will do."""

    def __init__(self) -> None:
        self.at = float("-inf")

    def note(self) -> None:
        self.at = time.monotonic()

    @property
    def is_recent(self) -> bool:
        return time.monotonic() - self.at < RECENT_SECONDS


ACTIVITY = Activity()
