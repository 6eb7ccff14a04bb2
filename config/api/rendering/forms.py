"""What the form of a browser's page holds: the text that was refused, with its errors, or else a body that is valid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]  # the stubs don't know it
from typing import Any

from rest_framework.request import Request

from config.api.rendering.examples import list_bodies

DECODER = json.JSONDecoder()
BLANKS = " \t\r\n"
# Methods that share one form.
ROW_METHODS = ("PUT", "PATCH")


@dataclass(frozen=True)
class PlacedFault:
    """An error of a body, and the line (from 1) of the text that was sent; None if there is no such line."""

    line: int | None
    pointer: str
    detail: str


def find_text(request: Request, method: str, is_refused: bool) -> str | None:
    """The text for the form of `method`: what this request sent if it was refused, or an example; None if neither."""
    sent = read_sent(request)
    if is_refused and sent is not None and shares_form(str(request.method), method):
        return sent
    match = request.resolver_match
    body = list_bodies().get((method, match.view_name)) if match else None
    # The form of a row holds the row itself.
    is_row = method in ROW_METHODS and bool(match and match.kwargs)
    return None if body is None or is_row else json.dumps(body, indent=2, ensure_ascii=False)


def shares_form(method: str, other: str) -> bool:
    return method == other or {method, other} <= set(ROW_METHODS)


def read_sent(request: Request) -> str | None:
    """The body as text; None if the request had none, or one in another format."""
    body: bytes | None = getattr(request, "sent_body", None)
    return body.decode(errors="replace") if body else None


def place_faults(problem: Mapping[str, Any], text: str) -> list[PlacedFault]:
    """The errors of a problem document, with their lines in `text`."""
    faults = problem.get("errors") or []
    return [PlacedFault(find_line(text, fault["pointer"]), fault["pointer"], fault["detail"]) for fault in faults]


def find_line(text: str, pointer: str) -> int | None:
    """The line (from 1) of the value that a JSON pointer (RFC 6901) names, or of the nearest value around it.

    None if the text isn't JSON.
    """
    try:
        at = skip_blanks(text, 0)
        for name in [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]:
            found = next((place for key, place in walk_entries(text, at) if key == name), None)
            if found is None:
                break
            at = found
    except (ValueError, IndexError):
        return None
    return text.count("\n", 0, at) + 1


def walk_entries(text: str, at: int) -> Iterator[tuple[str, int]]:
    """The key and the place of each value in the object or list at `at`; nothing for a plain value."""
    kind, at, number = text[at], skip_blanks(text, at + 1), 0
    while kind in "{[" and text[at] not in "}]":
        key = str(number)
        if kind == "{":
            key, at = scanstring(text, at + 1)
            at = skip_blanks(text, skip_blanks(text, at) + 1)  # past the colon
        yield key, at
        at, number = skip_blanks(text, DECODER.raw_decode(text, at)[1]), number + 1
        at = skip_blanks(text, at + 1) if text[at] == "," else at


def skip_blanks(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in BLANKS:
        at += 1
    return at
