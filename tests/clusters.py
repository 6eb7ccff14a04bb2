"""Several PostgreSQL servers for tests that move between them."""

from typing import Self

from tests.launching import run_command
from tests.proxies import FaultProxy
from tests.services import PostgresServer, ReplicaServer


class Cluster:
    """A primary with the demo catalogue, a replica, and a proxy between the application and the primary."""

    def __init__(self) -> None:
        self.primary = PostgresServer("-c", "log_statement=all")
        for command in (("migrate", "-v0"), ("seed", "--products", "20", "--json")):
            done = run_command("manage.py", *command, DATABASE_URL=self.primary.url)
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
