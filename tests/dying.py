"""The application as a server loads it, in a process that is killed at its first commit, right after it."""

import os
import signal

from django.db.backends.base.base import BaseDatabaseWrapper

from config.wsgi import application

__all__ = ["application"]

commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]  # what every commit ends in


def commit_and_die(connection: BaseDatabaseWrapper) -> None:
    commit(connection)
    os.kill(os.getpid(), signal.SIGKILL)


BaseDatabaseWrapper._commit = commit_and_die  # type: ignore[attr-defined]
