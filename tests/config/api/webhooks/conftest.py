"""A receiver on this machine, and webhooks that lead to it."""

import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import orjson
import pytest
import standardwebhooks

from accounts.models import User
from catalog.changes.feed import read_cursor
from config.api.webhooks.courier import Turn, find_due
from config.api.webhooks.models import Webhook


class Receiver:
    """What was received, in order. `answers` are the statuses of the next answers; after them each is 204.

    In another mood than "well" it takes nothing: it answers "500", says nothing ("hang"), or hangs up ("cut").
    """

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        self.mood, self.tries = "well", 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.tries += 1
                if receiver.mood != "well":
                    self.sulk()
                    return
                receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def sulk(self) -> None:
                self.close_connection = True
                if receiver.mood == "500":
                    self.send_error(500)
                elif receiver.mood == "hang":
                    time.sleep(2.0)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def read(self, secret: str) -> list[dict[str, Any]]:
        """The messages, once the package of the specification's authors has verified their signatures."""
        verifier = standardwebhooks.Webhook(secret)
        for headers, body in self.received:
            verifier.verify(body, headers)
        return [orjson.loads(body) for _, body in self.received]

    def list_events(self, webhook: Webhook) -> list[tuple[str, int]]:
        return [(message["type"], message["data"]["id"]) for message in self.read(webhook.secret)]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW_NETWORKS = ["127.0.0.0/8"]
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


type MakeWebhook = Callable[..., Webhook]


@pytest.fixture
def make_webhook(receiver: Receiver, admin_user: User) -> MakeWebhook:
    """A webhook to the receiver, which is told of what follows. It is the admin's, unless `owner` is given."""

    def make(*events: str, **fields: Any) -> Webhook:
        fields = {"owner": admin_user, "url": receiver.url, "position": read_cursor()} | fields
        webhook: Webhook = Webhook.objects.create(events=list(events), **fields)
        return webhook

    return make


def deliver() -> None:
    """What a worker's threads do for the webhooks that are due."""
    for due in find_due() or ():
        Turn(Webhook.objects.filter(pk=due.pk).select_related("owner").claim()).run()
