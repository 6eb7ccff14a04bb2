"""The walk of a request through our packages, as a reader of the code follows it: `python -m tests.walk`.

It sends one request of each kind to the server's application in this process, and traces all calls of our functions.

- A *room* is one of our packages: `config/api/reads/plans.py` is in the room `config.api.reads`, `catalog/urls.py` in
  `catalog`.
- A *turn* is a call from a function in one room to a function in another. Functions of Django, DRF and other libraries
  are skipped: if they call our function, its caller is our function that called them. Several calls in a row, from one
  running function into one room, are one turn, such as reading a body's fields one after the other.
- A *return* is a turn into a room that the walk has entered and left before. Returning from a call to its caller is not
  a turn.

Each turn counts, also a repeated one, such as a statement to the database. The process has answered other requests
before, also an export. Each walk begins with a read of the change log.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OURS = ("config", "catalog", "accounts", "exports")

PRODUCTS = "/api/v1/products/"
EXPORT = "/api/v1/exports/products.ndjson"
LIST = f"{PRODUCTS}?brand=acme&expand=brand,images&ordering=-price"
HEADING = "| request | rooms | turns | returns |\n|---|---:|---:|---:|"


@cache
def find_room(code: CodeType) -> str | None:
    """The room of a function; None if it isn't ours."""
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0] not in OURS:
        return None
    return ".".join(path.relative_to(ROOT).parts[:-1])


@dataclass
class Walk:
    """The rooms that a request entered, in order, one for each turn. The first is the gate's."""

    entered: list[str] = field(default_factory=list)
    # The running function that made the last turn.
    caller: FrameType | None = None

    @property
    def rooms(self) -> list[str]:
        return list(dict.fromkeys(self.entered))

    @property
    def returns(self) -> int:
        return len(self.entered) - len(self.rooms)

    def note(self, code: CodeType, offset: int) -> None:
        """Called when a function begins."""
        room = find_room(code)
        if room is None:
            return
        caller = find_caller(sys._getframe(2))
        is_same = caller is not None and room == find_room(caller.f_code)
        is_in_a_row = caller is self.caller and room in self.entered[-1:]
        if not is_same and not is_in_a_row:
            self.entered.append(room)
            self.caller = caller


def find_caller(frame: FrameType | None) -> FrameType | None:
    """The nearest function of ours, from `frame` upwards."""
    while frame and not find_room(frame.f_code):
        frame = frame.f_back
    return frame


@contextmanager
def trace() -> Iterator[Walk]:
    walk, tool = Walk(), sys.monitoring.PROFILER_ID
    event = sys.monitoring.events.PY_START
    sys.monitoring.use_tool_id(tool, "walk")
    sys.monitoring.register_callback(tool, event, walk.note)
    sys.monitoring.set_events(tool, event)
    try:
        yield walk
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)


def walk_all() -> dict[str, Walk]:
    """The walk of each kind of request, in a database with empty tables."""
    # Imported here, since they need the settings that main() makes.
    from catalog.models import Product
    from config.api.freshness.leases import FRESHNESS
    from config.wsgi import application
    from tests.factories import make_brand, make_product
    from tests.gates import send

    # Its thread would read the change log during the request.
    FRESHNESS.refresh_ahead = None
    products = [make_product(brand=make_brand("Acme")) for _ in range(3)]
    token = make_token()

    def walk(address: str, method: str = "GET", body: Any = None, **environ: Any) -> Walk:
        FRESHNESS.end()
        with trace() as walk:
            status, _, answer = send(application, address, method, **environ, **write_body(body))
        assert status == 200, answer
        return walk

    # These load the routes and open connections.
    walk(PRODUCTS)
    walk(EXPORT, **token)
    one = f"{PRODUCTS}{Product.objects.latest('pk').pk}/"
    return {
        "a list, for the first time": walk(LIST),
        "a list from a kept plan": walk(LIST),
        "a list from the cache": walk(LIST),
        "a row, for the first time": walk(one),
        "PATCH of a row": walk(one, "PATCH", {"title": "Lamp", "price": "3.00"}, **token),
        "an upsert in bulk": walk(f"{PRODUCTS}bulk/", "POST", write_items(products[0].sku), **token),
        "an export as a stream": walk(EXPORT, **token),
    }


def make_token() -> dict[str, str]:
    from accounts.models import User
    from accounts.tokens import sign_in

    user = User.objects.create_superuser("walk@example.com", "secret")
    return {"HTTP_AUTHORIZATION": f"Token {sign_in(user, 'walk')[1]}"}


def write_items(sku: str) -> Any:
    """Bulk items: an existing product and a new one."""
    image = {"url": "https://images.example/1.jpg", "position": 1}
    variant = {"sku": "TORCH", "price": "2.00"}
    new = {"sku": "TORCH", "title": "Torch", "brand": "acme", "variants": [variant], "images": [image]}
    return {"mode": "upsert", "items": [{"sku": sku, "title": "Lamp"}, new]}


def write_body(body: Any) -> dict[str, Any]:
    if body is None:
        return {}
    data = json.dumps(body).encode()
    return {"wsgi.input": BytesIO(data), "CONTENT_LENGTH": str(len(data)), "CONTENT_TYPE": "application/json"}


def write_table(walks: dict[str, Walk]) -> str:
    """The table in config/api/README.md."""
    rows = [f"| {kind} | {len(walk.rooms)} | {len(walk.entered)} | {walk.returns} |" for kind, walk in walks.items()]
    return "\n".join([HEADING, *rows])


def write_rooms(walks: dict[str, Walk]) -> str:
    """Each walk, turn by turn."""
    return "\n\n".join(f"{kind}:\n{' > '.join(walk.entered)}" for kind, walk in walks.items())


def prepare(folder: str) -> None:
    """Set up Django with a server's settings, and with a new database unless DATABASE_URL names a migrated one."""
    given = "DATABASE_URL" in os.environ
    os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/walk.sqlite3")
    os.environ |= {"SECRET_KEY": "of a walk, " + "q4Zr0pTgWkXv2sLmN8yB" * 3, "LOG_LEVEL": "WARNING", "DEBUG": "false"}
    # Tracing is slow: a lease of 20 ms may end in the middle of a request.
    os.environ |= {"CACHE_LEASE_MS": "1000"}
    os.environ |= {"ALLOWED_HOSTS": "testserver", "EXPORT_STORAGE_URL": f"file://{folder}"}
    import config.wsgi  # noqa: F401 (it sets Django up)

    if not given:
        from django.core.management import call_command

        call_command("migrate", verbosity=0)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        walks = walk_all()
        print(write_table(walks), write_rooms(walks), sep="\n\n")


if __name__ == "__main__":
    main()
