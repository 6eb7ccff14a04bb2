"""Django's sessions in the database, each with a row that names its user.

So a user's sessions can be listed, and they end when the password changes.
"""

from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends import db
from django.http import HttpRequest

from accounts.models import SessionOwner, User
from config.api.access.throttling import find_client

ADDRESS, AGENT = "address", "user_agent"


class SessionStore(db.SessionStore):
    """Django's session store, which also writes the SessionOwner. SESSION_ENGINE names this module."""

    def save(self, must_create: bool = False) -> None:
        super().save(must_create)
        if (user := self.get(SESSION_KEY)) is not None:
            about = {"address": self.get(ADDRESS, ""), "user_agent": self.get(AGENT, "")}
            SessionOwner.objects.get_or_create(session_id=self.session_key, defaults={"user_id": int(user), **about})


def note_place(request: HttpRequest | None, **_: Any) -> None:
    """A receiver of user_logged_in. The session itself has address and browser, so they survive a change of its key."""
    if request is not None and hasattr(request, "session"):
        request.session[ADDRESS] = find_client(request.META)[:45]
        request.session[AGENT] = request.headers.get("User-Agent", "")[:200]


def renew_sessions(user: User) -> None:
    """Keep the user's sessions valid after a new password. They hold a hash of it, by which Django would end them."""
    for owner in user.sessions.all():
        session = SessionStore(owner.session_id)
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
