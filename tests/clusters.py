"""Several PostgreSQL servers for tests that move between them."""

from collections.abc import Callable
from typing import Self

from tests.launching import run_command
from tests.proxies import FaultProxy
from tests.services import PostgresServer, ReplicaServer


def migrate(url: str) -> None:
    done = run_command("manage.py", "migrate", "-v0", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr


class Cluster:
    """A primary with the demo catalogue, a replica, and a proxy between the application and the primary."""

    def __init__(self, make_tables: Callable[[str], None] = migrate) -> None:
        self.primary = PostgresServer("-c", "log_statement=all")
        make_tables(self.primary.url)
        done = run_command("manage.py", "seed", "--products", "20", "--json", DATABASE_URL=self.primary.url)
        assert done.returncode == 0, done.stderr
        self.replica = ReplicaServer(self.primary, "-c", "log_statement=all")
        self.proxy = FaultProxy(self.primary.port)

    @property
    def url(self) -> str:
        return f"postgres://tenfold@127.0.0.1:{self.proxy.port}/postgres"

    def __enter__(self) -> Self:
        self.proxy.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self.proxy.__exit__()
        self.replica.remove()
        self.primary.remove()
