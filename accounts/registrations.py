"""Registers customers: an e-mail address and a password in, a user out once the address is confirmed.

The request does the same for all addresses: it hashes the password, stores a Registration, and queues a task. The task
looks for a user, and sends a link to confirm the address, or the advice that there is an account already. The link is
valid for a day. It asks for the password again: else somebody who registers another's address with a password of their
own would have the account once its owner opens the link.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.hashers import check_password as matches
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.db import IntegrityError, transaction
from django.tasks import task
from django.utils import timezone

from accounts.errors import AddressTaken, NotConfirmed, RegistrationOff
from accounts.events import Event
from accounts.models import Registration, User
from accounts.passwords import check_password
from accounts.resets import PlainMessage
from config.api.problems.errors import Fault, InvalidBody
from config.api.reads.addresses import reverse_path

# As long a registration may be confirmed; then a chore deletes it.
LIFETIME = timedelta(days=1)

CONFIRM = """Somebody, most likely you, registered with this address at {host}.

Confirm it within a day, with the password that you chose:
{link}

If it wasn't you, do nothing: there will be no account.
"""
KNOWN = """Somebody, most likely you, registered with this address at {host}.

You have an account already: sign in with it. If you have forgotten its password, ask for a new one.

If it wasn't you, do nothing: your account stays as it is.
"""


def refuse_off() -> None:
    if not settings.REGISTRATION:
        raise RegistrationOff


def build_registration(email: str, password: str, **names: str) -> Registration:
    """An unsaved registration. Raises InvalidBody for an address or a password that breaks a rule."""
    try:
        email = User.objects.normalize_email(email)
    except ValidationError as error:
        raise InvalidBody([Fault("/email", "invalid", error.messages[0])]) from error
    check_password(User(email=email, **names), password, "password")
    return Registration(email=email, password=make_password(password), **names)


def register(registration: Registration, address: str) -> None:
    """Store the registration, and queue its mail. `address` is the IP address from which the request came."""
    registration.save(force_insert=True)
    queue_mail(registration.pk, address)


def queue_mail(key: int, address: str) -> None:
    mail_confirmation.enqueue(key, address)


@task
def mail_confirmation(key: int, address: str) -> None:
    """Send the link to confirm the address; if a user has it, that there is an account already."""
    registration = Registration.objects.filter(pk=key).first()
    if registration is None:
        return
    known = User.objects.filter(email__lower=registration.email.lower()).first()
    text = KNOWN if known else CONFIRM
    body = text.format(host=settings.PUBLIC_URL, link=write_link(registration))
    PlainMessage("Your registration", body, to=[registration.email]).send()
    if known:
        Event.objects.create(kind=Event.Kind.REGISTERED, user=known, address=address[:45], detail="again")


def write_link(registration: Registration) -> str:
    """The link in the mail. It leads to our own page (pages.py)."""
    token = make_token(registration)
    return f"{settings.PUBLIC_URL}{reverse_path('register-confirm')}?{urlencode({'token': token})}"


def make_token(registration: Registration) -> str:
    return find_signer().sign(str(registration.pk))


def find_signer() -> TimestampSigner:
    # A colon, the default, would be three characters in an address.
    return TimestampSigner(sep=".", salt="accounts.registrations")


def find_registration(token: str, rows: Any = None) -> Registration:
    """The registration of a link. Raises InvalidBody if the link is too old, used, or damaged."""
    try:
        key = find_signer().unsign(token, max_age=LIFETIME)
    except SignatureExpired:
        raise refuse_link("expired_token", "This link is older than a day.") from None
    except BadSignature:
        raise refuse_link("invalid_token", "This link is damaged.") from None
    found: Registration | None = (Registration.objects.all() if rows is None else rows).filter(pk=key).first()
    if found is None:
        raise refuse_link("invalid_token", "This link has been used already.")
    return found


def refuse_link(code: str, detail: str) -> InvalidBody:
    return InvalidBody([Fault("/token", code, detail)], "Register again for a new one: POST auth/register/.")


def confirm(token: str, password: str) -> User:
    """The new user. Raises InvalidBody for a bad link or another password, AddressTaken if a user has the address."""
    with transaction.atomic():
        # If two requests use the same link, the second one waits here, and then finds the link used.
        registration = find_registration(token, Registration.objects.select_for_update())
        if not matches(password, registration.password):
            raise InvalidBody([Fault("/password", "wrong_password", "You registered with another password.")])
        user = create_user(registration)
        Registration.objects.filter(email__lower=user.email.lower()).delete()
        Event.objects.record(Event.Kind.REGISTERED, user)
    return user


def create_user(registration: Registration) -> User:
    columns = {name: getattr(registration, name) for name in ("email", "password", "first_name", "last_name")}
    try:
        with transaction.atomic():
            return User.objects.create(**columns)
    except IntegrityError:
        raise AddressTaken from None


def refuse_unconfirmed(email: str, password: str) -> None:
    """Raise NotConfirmed if this is the address and the password of a registration.

    Hashes a password in any case, so that the time doesn't tell whether somebody registered.
    """
    if not settings.REGISTRATION:
        return
    rows = Registration.objects.filter(email__lower=email.lower(), created_at__gt=timezone.now() - LIFETIME)
    stored = rows.order_by("-pk").values_list("password", flat=True).first()
    if stored is None:
        make_password(password)
    elif matches(password, stored):
        raise NotConfirmed


def sweep_registrations() -> int:
    """Delete the registrations that can't be confirmed any more. Returns how many."""
    return Registration.objects.filter(created_at__lt=timezone.now() - LIFETIME).delete()[0]
