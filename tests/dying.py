"""The application of a server whose process is killed directly after its first commit."""

import os
import signal

from django.db.backends.base.base import BaseDatabaseWrapper

from config.wsgi import application

__all__ = ["application"]

commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]  # every commit calls it


def commit_and_die(connection: BaseDatabaseWrapper) -> None:
    commit(connection)
    os.kill(os.getpid(), signal.SIGKILL)


BaseDatabaseWrapper._commit = commit_and_die  # type: ignore[attr-defined]
