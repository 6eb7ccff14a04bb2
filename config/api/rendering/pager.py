"""A list's answer in, the links between its pages out, for people who read it in a browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.template.loader import render_to_string
from rest_framework.request import Request
from rest_framework.utils.urls import remove_query_param, replace_query_param

if TYPE_CHECKING:
    # APIView itself imports this module, by the settings.
    from rest_framework.views import APIView

# The words before a count, by its `count_relation`.
COUNT_WORDS = {"eq": "", "gte": "more than ", "approx": "about "}


@dataclass(frozen=True)
class Pager:
    """The links to other pages of a list; DRF's template shows it in the place of a paginator."""

    place: str
    previous: str | None
    next: str | None
    numbered_url: str | None

    @classmethod
    def of(cls, data: Any, view: APIView | None, request: Request) -> Pager | None:
        """The pager of an answer; None if it isn't a list, or a list by cursor that has one page."""
        if not isinstance(data, Mapping) or not {"next", "previous"} <= data.keys():
            return None
        place, previous, following = describe_place(data), data["previous"], data["next"]
        is_first = following and not previous and "page" not in data
        numbered_url = find_numbered_url(view, request) if is_first else None
        return cls(place, previous, following, numbered_url) if place or previous or following else None

    def to_html(self) -> str:
        return render_to_string("rest_framework/pager.html", {"pager": self})


def describe_place(members: Mapping[str, Any]) -> str:
    """`Page 2 of 185, 4,617 in all`, or the part of it that the answer tells."""
    parts, words = [], COUNT_WORDS.get(members.get("count_relation") or "", "")
    if number := members.get("page"):
        # If the count stopped at its bound, nobody knows how many pages follow.
        is_bound = members["count_relation"] in (None, "gte")
        parts.append(f"Page {number:,}" if is_bound else f"Page {number:,} of {words}{members['pages']:,}")
    if (count := members.get("count")) is not None:
        parts.append(f"{words}{count:,} in all")
    return ", ".join(parts)


def find_numbered_url(view: APIView | None, request: Request) -> str | None:
    """The address of the first page by number; None if the list is read by cursor only."""
    if "page" not in getattr(getattr(view, "paginator", None), "parameters", ()):
        return None
    return replace_query_param(remove_query_param(request.build_absolute_uri(), "cursor"), "page", "1")
