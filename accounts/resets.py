"""Resets a forgotten password by a signed link in a mail. The link is valid for an hour and for one new password.

The request does the same for all addresses: it queues a task. The task looks for the user and sends the mail.
"""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.tasks import task
from django.utils.http import base36_to_int, int_to_base36

from accounts.events import Event
from accounts.models import User
from accounts.passwords import check_password
from config.api.problems.errors import Fault, InvalidBody
from config.api.reads.addresses import reverse_path

MAIL = """Somebody, most likely you, asked for a new password at {host}.

Set it here within an hour:
{link}

If it wasn't you, do nothing: your password stays as it is.
"""


class PlainMessage(EmailMessage):
    """A mail of plain text whose lines aren't broken. Python would break lines of more than 76 characters.

    Mail programs join broken lines. But a person who copies the link from the worker's output would get half of it.
    """

    def message(self, **options: Any) -> Any:
        message: Any = super().message(**options)
        if self.body.isascii():
            message.clear_content()
            message.set_content(self.body, cte="7bit")
        return message


@task
def mail_link(email: str, address: str) -> None:
    """Send the link to the user with this e-mail address, if there is one who has a password and is active."""
    user = User.objects.filter(email__lower=email.lower(), is_active=True).first()
    if user is None or not user.has_usable_password():
        return
    body = MAIL.format(host=settings.PUBLIC_URL, link=write_link(user))
    PlainMessage("A new password", body, to=[user.email]).send()
    Event.objects.create(kind=Event.Kind.RESET_MAILED, user=user, address=address[:45])


def queue_mail(email: str, address: str) -> None:
    """Queue the task `mail_link`. `address` is the IP address from which the request came."""
    mail_link.enqueue(email, address)


def write_link(user: User) -> str:
    """The link in the mail. It leads to our own page (pages.py)."""
    return f"{settings.PUBLIC_URL}{reverse_path('password-reset')}?{urlencode({'token': make_token(user)})}"


def make_token(user: User) -> str:
    """A token that is valid for an hour, or until the password, the e-mail address or the last sign-in changes."""
    return f"{int_to_base36(user.pk)}.{default_token_generator.make_token(user)}"


def find_user(token: str, users: QuerySet[User] | None = None) -> User:
    """The user of the token, looked for in `users`. Raises InvalidBody if the token is damaged, used or too old."""
    key, _, signature = token.partition(".")
    try:
        user = (User.objects.all() if users is None else users).filter(pk=base36_to_int(key), is_active=True).first()
    except (ValueError, OverflowError):
        user = None
    if user is None or not default_token_generator.check_token(user, signature):
        fault = Fault("/token", "invalid_token", "This link has been used already, is too old, or is damaged.")
        raise InvalidBody([fault], "Ask for a new one: POST auth/password/reset/.")
    return user


def reset_password(token: str, password: str) -> None:
    """Set the password of the token's user. All tokens and sessions of the user end."""
    with transaction.atomic():
        # If two requests use the same link, the second one waits here, and then finds the link used.
        user = find_user(token, User.objects.select_for_update())
        check_password(user, password)
        user.set_password(password)
        user.save(update_fields=["password"])
