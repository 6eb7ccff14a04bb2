"""A forgotten password: a signed link by mail, good for an hour and for one new password.

The request does the same for an address that it knows as for another one: it queues a task, which looks and mails.
"""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.tasks import task
from django.urls import reverse
from django.utils.http import base36_to_int, int_to_base36

from accounts.events import Event
from accounts.models import User
from accounts.passwords import check_password
from config.api.problems.errors import Fault, InvalidBody

MAIL = """Somebody, most likely you, asked for a new password at {host}.

Set it here within an hour:
{link}

If it wasn't you, do nothing: your password stays as it is.
"""


class PlainMessage(EmailMessage):
    """Plain text whose lines stay whole. Python breaks those of more than 76 characters, as the link may be.

    Mail programs put them together again; whoever copies the link from the worker's output can't.
    """

    def message(self, **options: Any) -> Any:
        message: Any = super().message(**options)
        if self.body.isascii():
            message.clear_content()
            message.set_content(self.body, cte="7bit")
        return message


@task
def mail_link(email: str, address: str) -> None:
    """Send the link to the user with this address, if there is one who may sign in by password."""
    user = User.objects.filter(email__lower=email.lower(), is_active=True).first()
    if user is None or not user.has_usable_password():
        return
    body = MAIL.format(host=settings.PUBLIC_URL, link=write_link(user))
    PlainMessage("A new password", body, to=[user.email]).send()
    Event.objects.create(kind=Event.Kind.RESET_MAILED, user=user, address=address[:45])


def queue_mail(email: str, address: str) -> None:
    """`address` is the network's, from where somebody asked for it."""
    mail_link.enqueue(email, address)


def write_link(user: User) -> str:
    """To our own page, whose query parameters are members of the body of `auth/password/reset/confirm/`."""
    return f"{settings.PUBLIC_URL}{reverse('password-reset')}?{urlencode({'token': make_token(user)})}"


def make_token(user: User) -> str:
    """Good until the password, the e-mail address or the last sign-in changes, an hour at the most."""
    return f"{int_to_base36(user.pk)}.{default_token_generator.make_token(user)}"


def find_user(token: str, users: QuerySet[User] | None = None) -> User:
    """Whose the token is, among `users`; InvalidBody where it is damaged, used or too old."""
    key, _, signature = token.partition(".")
    try:
        user = (User.objects.all() if users is None else users).filter(pk=base36_to_int(key), is_active=True).first()
    except (ValueError, OverflowError):
        user = None
    if user is None or not default_token_generator.check_token(user, signature):
        fault = Fault("/token", "invalid_token", "This link was used already, is too old, or is damaged.")
        raise InvalidBody([fault], "Ask for a new one: POST auth/password/reset/.")
    return user


def reset_password(token: str, password: str) -> None:
    """Set the password of the token's user; all their tokens and sessions end."""
    with transaction.atomic():
        # Of two requests with one link the second waits, and then finds it used.
        user = find_user(token, User.objects.select_for_update())
        check_password(user, password)
        user.set_password(password)
        user.save(update_fields=["password"])
