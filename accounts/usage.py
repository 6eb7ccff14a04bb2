"""The last use of each token: requests note it in memory, and a thread writes it at most once a minute.

So no request waits for the write. On SQLite an import may hold the lock for seconds.
"""

import logging
import threading
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Q
from django.utils import timezone

from accounts.models import AuthToken

logger = logging.getLogger("tenfold.tokens")

EVERY = timedelta(minutes=1)
# The most tokens in memory. If more are in use, more updates are sent that match no row.
GREATEST_NUMBER = 4096

type Use = tuple[str, datetime]


class Uses:
    """The uses that this process has seen. All threads may call `note`."""

    def __init__(self) -> None:
        self.noted: dict[str, datetime] = {}
        self.waiting: SimpleQueue[Use] = SimpleQueue()
        self.starting = threading.Lock()
        self.thread: threading.Thread | None = None

    def note(self, token: AuthToken) -> None:
        """Note a use of the token. Doesn't wait for the database."""
        now = timezone.now()
        last = self.noted.get(token.pk) or token.last_used_at
        if last is not None and now - last < EVERY:
            return
        if len(self.noted) >= GREATEST_NUMBER:
            self.noted.clear()
        self.noted[token.pk] = now
        self.waiting.put((token.pk, now))
        self.start()

    def start(self) -> None:
        """Start the thread at the first use: it wouldn't survive an earlier fork."""
        with self.starting:
            if self.thread is None:
                self.thread = threading.Thread(target=self.run, name="token-uses", daemon=True)
                self.thread.start()

    def run(self) -> None:
        while True:
            self.write(*self.waiting.get())

    def write_waiting(self) -> None:
        """Write all uses that wait now."""
        while True:
            try:
                use = self.waiting.get_nowait()
            except Empty:
                return
            self.write(*use)

    def write(self, digest: str, at: datetime) -> None:
        is_due = Q(last_used_at=None) | Q(last_used_at__lte=at - EVERY)
        try:
            AuthToken.objects.filter(is_due, pk=digest).update(last_used_at=at)
        except (DatabaseError, InterfaceError) as error:
            logger.debug("A token's last use isn't written: %s", error)
        finally:
            if threading.current_thread() is self.thread:
                connection.close()


USES = Uses()
