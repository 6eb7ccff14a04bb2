"""A POST with an `Idempotency-Key` in, one effect and one answer out, however often it is sent.

The answer is stored in the transaction of its effect, so there is never one without the other. Kept is what
succeeded: a refusal rolls its effect back, so sending it again is safe, and may succeed by then.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import orjson
from django.db import connection, transaction
from django.http.request import RawPostDataException
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import is_success

from config.api.freshness.leases import note_commit
from config.api.models import IdempotencyKey
from config.api.problems.errors import IdempotencyKeyInUse, IdempotencyKeyReused, InvalidHeader
from config.api.rendering.renderers import write_json

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
GREATEST_KEY = 255
# Printable ASCII, without blanks at the ends: a header can't carry those.
PATTERN = r"[!-~]([ -~]*[!-~])?"

# What an answer says beside its body about the row that it is about.
KEPT_HEADERS = ("Location", "ETag", "Cache-Control")


class RepeatablePost:
    """For views: their POST heeds the header. After permissions, so the caller is known and may do it.

    Not for answers with a secret in them, which is shown once and stored nowhere.
    """

    post: Callable[..., Response]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # a mixin
        if request.method == "POST" and HEADER in request.headers and hasattr(self, "post"):
            # DRF looks the handler up after this, on the instance, where a viewset puts its actions too.
            self.post = partial(answer_once, self.post)


@dataclass(frozen=True)
class Attempt:
    """One of the times that a request is sent: who, with which key, and what is asked for."""

    user_id: Any
    key: str
    address: str
    body_hash: bytes

    @classmethod
    def read(cls, request: Request) -> Self:
        key = request.headers[HEADER]
        if len(key) > GREATEST_KEY or not re.fullmatch(PATTERN, key):
            hint = "A UUID, made anew for each thing that is to happen once, is a good one."
            raise InvalidHeader(HEADER, f"1 to {GREATEST_KEY} printable ASCII characters are taken.", hint)
        # A body that is read as a stream was hashed by whoever read it.
        body_hash = getattr(request, "body_hash", None) or hashlib.blake2b(read_body(request), digest_size=32).digest()
        return cls(request.user.pk, key, request.get_full_path(), body_hash)

    @property
    def lock(self) -> int:
        """A number for PostgreSQL's advisory lock: 64 bits, signed."""
        text = f"{self.user_id}:{self.key}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), signed=True)


def answer_once(handle: Callable[..., Response], request: Request, *args: Any, **kwargs: Any) -> Response:
    """What `handle` answers, or what it answered when it did the same before."""
    attempt = Attempt.read(request)
    with transaction.atomic():
        is_alone = take_turn(attempt)
        # After the lock: whoever had it before has committed by now.
        if stored := find_answer(attempt):
            return replay(stored, attempt)
        if not is_alone:
            raise IdempotencyKeyInUse
        response = handle(request, *args, **kwargs)
        if is_success(response.status_code):
            keep_answer(attempt, response)
        return response


def take_turn(attempt: Attempt) -> bool:
    """False while another request with this key is at work: its row can't be seen before its commit.

    On SQLite there is one writer at a time, so this one has waited already.
    """
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [attempt.lock])
        return bool(cursor.fetchone()[0])


def find_answer(attempt: Attempt) -> IdempotencyKey | None:
    stored = IdempotencyKey.objects.filter(user=attempt.user_id, key=attempt.key).first()
    if stored and stored.is_over:
        stored.delete()
        return None
    return stored


def keep_answer(attempt: Attempt, response: Response) -> None:
    body = b"" if response.data is None else write_json(response.data)
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    # Two at once would break the unique (user, key), and roll the second one's effect back.
    IdempotencyKey.objects.create(
        user_id=attempt.user_id, key=attempt.key, address=attempt.address, body_hash=attempt.body_hash,
        status=response.status_code, headers=headers, body=body,
    )  # fmt: skip
    response.data = read_answer(body)


def replay(stored: IdempotencyKey, attempt: Attempt) -> Response:
    if stored.address != attempt.address:
        raise IdempotencyKeyReused(f"at another address, {stored.address}")
    if bytes(stored.body_hash) != attempt.body_hash:
        raise IdempotencyKeyReused("with another body")
    # An acknowledgement too, and maybe the first: whoever wrote may still wait for it, or have died.
    note_commit()
    return Response(read_answer(stored.body), stored.status, headers=stored.headers | {REPLAYED: "true"})


def read_answer(body: bytes | memoryview) -> orjson.Fragment | None:
    """The stored text, which the renderer writes as it is: byte for byte the same each time."""
    return orjson.Fragment(bytes(body)) if body else None


def read_body(request: Request) -> bytes:
    try:
        return request._request.body
    except RawPostDataException as error:
        # The check of a session's CSRF token has read a form, which no address takes.
        raise UnsupportedMediaType(request.content_type) from error
