"""A new password in; the user's tokens and sessions end, but for those that the user keeps."""

from typing import Any

from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from rest_framework.request import Request

from accounts.models import AuthToken, Credentials, User
from accounts.sessions import renew_sessions
from config.api.problems.errors import Fault, InvalidBody


def check_password(user: User, password: str, member: str = "new") -> None:
    """InvalidBody, which names `member`, with each rule (AUTH_PASSWORD_VALIDATORS) that the password breaks."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        faults = [Fault(f"/{member}", str(each.code), each.messages[0]) for each in error.error_list]
        raise InvalidBody(faults) from error


def change_password(request: Request, password: str, keep_this: bool, keep_others: bool) -> None:
    """Set the caller's password. What the request came with ends unless `keep_this`, the rest unless `keep_others`."""
    user: Any = request.user
    check_password(user, password)
    at_hand = find_at_hand(request)
    everything = Credentials(
        set(user.auth_token_set.values_list("pk", flat=True)),
        set(user.sessions.values_list("session_id", flat=True)),
    )
    tokens, sessions = (
        choose(set(every), set(this), keep_this, keep_others) for every, this in zip(everything, at_hand, strict=True)
    )
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"], kept=Credentials(tokens, sessions))
        renew_sessions(user)
    end_or_renew(request, user, keep_this)


def choose(every: set[str], this: set[str], keep_this: bool, keep_others: bool) -> set[str]:
    return (this if keep_this else set()) | (every - this if keep_others else set())


def find_at_hand(request: Request) -> Credentials:
    """What the request was signed in with: its token and those that it descends from, or its session."""
    if isinstance(request.auth, AuthToken):
        return Credentials(tokens=request.auth.list_line())
    session = getattr(request._request, "session", None)
    return Credentials(sessions=[session.session_key] if session is not None and session.session_key else [])


def end_or_renew(request: Request, user: User, keep_this: bool) -> None:
    """The session of the request is in its memory too, from where the middleware would write it back."""
    if isinstance(request.auth, AuthToken) or not hasattr(request._request, "session"):
        return
    if keep_this:
        # With another key: whoever has copied the cookie of before is out.
        update_session_auth_hash(request._request, user)
    else:
        logout(request._request)
