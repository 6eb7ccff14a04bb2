"""A POST with an `Idempotency-Key` in, one effect and one answer out, however often it is sent.

The answer is stored in the transaction of its effect, so there is never one without the other. Only a success is
stored: an error rolls its effect back, so the client may send the request again, and it may succeed then.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import orjson
from django.db import transaction
from django.http.request import RawPostDataException
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import is_success
from rest_framework.views import APIView

from config.api.database.advisory_locks import take_if_free
from config.api.freshness.commits import note_commit
from config.api.models import IdempotencyKey
from config.api.problems.errors import IdempotencyKeyInUse, IdempotencyKeyReused, InvalidHeader
from config.api.rendering.renderers import write_json

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
GREATEST_KEY = 255
# Printable ASCII, without blanks at the ends: a header can't carry those.
PATTERN = r"[!-~]([ -~]*[!-~])?"

# The headers about the written row, which are stored with the body.
KEPT_HEADERS = ("Location", "ETag", "Cache-Control")

type HashBody = Callable[[Request], bytes]


class RepeatablePost(APIView):
    """A mixin for views whose POST respects `Idempotency-Key`, once the permissions are checked.

    `repeatable` names the methods. A PATCH that adds to what is there isn't idempotent by itself either.

    A view whose answers have a secret, which is shown once, sets `stores_answers` to False: the header has no effect.
    """

    stores_answers = True
    repeatable: tuple[str, ...] = ("POST",)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        name, is_kept = str(request.method).lower(), self.stores_answers and request.method in self.repeatable
        if is_kept and HEADER in request.headers and (handle := getattr(self, name, None)):
            # DRF looks the handler up after this, on the instance, where a viewset puts its actions too.
            setattr(self, name, partial(answer_once, handle, self.hash_body))

    def hash_body(self, request: Request) -> bytes:
        """BLAKE2b of the request's body, 32 bytes. A view that streams the body overrides this."""
        return hashlib.blake2b(read_body(request), digest_size=32).digest()


@dataclass(frozen=True)
class Attempt:
    """One sending of a request: the caller, the key, the address, and a hash of the body."""

    user_id: Any
    key: str
    address: str
    body_hash: bytes

    @classmethod
    def read(cls, request: Request, hash_body: HashBody) -> Self:
        key = request.headers[HEADER]
        if len(key) > GREATEST_KEY or not re.fullmatch(PATTERN, key):
            hint = "Use a new UUID for each request that must happen once."
            raise InvalidHeader(HEADER, f"It must have 1 to {GREATEST_KEY} printable ASCII characters.", hint)
        return cls(request.user.pk, key, request._request.get_full_path_info(), hash_body(request))

    @property
    def lock(self) -> str:
        return f"{self.user_id}:{self.key}"


def answer_once(
    handle: Callable[..., Response], hash_body: HashBody, request: Request, *args: Any, **kwargs: Any
) -> Response:
    """The answer of `handle`, or the stored answer if the same request has succeeded before."""
    attempt = Attempt.read(request, hash_body)
    with transaction.atomic():
        is_alone = take_if_free(attempt.lock)
        # Only after the lock: a request that held it before has committed by now. While another one holds it, its row
        # can't be seen.
        if stored := find_answer(attempt):
            return replay(stored, attempt)
        if not is_alone:
            raise IdempotencyKeyInUse
        response = handle(request, *args, **kwargs)
        if is_success(response.status_code):
            keep_answer(attempt, response)
        return response


def find_answer(attempt: Attempt) -> IdempotencyKey | None:
    stored = IdempotencyKey.objects.filter(user=attempt.user_id, key=attempt.key).first()
    if stored and stored.is_over:
        stored.delete()
        return None
    return stored


def keep_answer(attempt: Attempt, response: Response) -> None:
    body = b"" if response.data is None else write_json(response.data)
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    # (user, key) is unique: if two requests came this far, the second one's effect would be rolled back.
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
    # This answer acknowledges the write, maybe first: the request that wrote may still wait, or have died.
    note_commit()
    return Response(read_answer(stored.body), stored.status, headers=stored.headers | {REPLAYED: "true"})


def read_answer(body: bytes | memoryview) -> orjson.Fragment | None:
    """The stored text, which the renderer writes as it is: byte for byte the same each time."""
    return orjson.Fragment(bytes(body)) if body else None


def read_body(request: Request) -> bytes:
    try:
        return request._request.body
    except RawPostDataException as error:
        # Django has read the body as a form, to find a session's CSRF token. No address accepts forms here.
        raise UnsupportedMediaType(request.content_type) from error
