"""Sets a new password. The user's tokens and sessions end, except those that the user keeps."""

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
    """Raise InvalidBody if the password breaks a rule of AUTH_PASSWORD_VALIDATORS. It names `member` and each rule."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        faults = [Fault(f"/{member}", str(each.code), each.messages[0]) for each in error.error_list]
        raise InvalidBody(faults) from error


def change_password(request: Request, password: str, keep_this: bool, keep_others: bool) -> None:
    """Set the caller's password. `keep_this` keeps the token or session of the request, `keep_others` all others."""
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
    """The credentials of the request: its token and the tokens that it descends from, or its session."""
    if isinstance(request.auth, AuthToken):
        return Credentials(tokens=request.auth.list_line())
    session = getattr(request._request, "session", None)
    return Credentials(sessions=[session.session_key] if session is not None and session.session_key else [])


def end_or_renew(request: Request, user: User, keep_this: bool) -> None:
    """End or renew the session object of the request. Otherwise the middleware would write the old one back."""
    if isinstance(request.auth, AuthToken) or not hasattr(request._request, "session"):
        return
    if keep_this:
        # The session gets another key, so a copy of the former cookie is no longer valid.
        update_session_auth_hash(request._request, user)
    else:
        logout(request._request)
