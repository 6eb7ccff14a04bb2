"""Serializers of accounts: rows as JSON, and the bodies of writes."""

from datetime import datetime
from ipaddress import ip_network
from typing import Any, ClassVar

from django.db.models import Model
from django.utils import timezone
from drf_spectacular.utils import extend_schema_serializer
from rest_framework.exceptions import ValidationError
from rest_framework.relations import HyperlinkedIdentityField
from rest_framework.serializers import (
    BooleanField,
    CharField,
    DateTimeField,
    EmailField,
    ListField,
    ModelSerializer,
    RegexField,
    Serializer,
    SerializerMethodField,
)

from accounts.addresses import GREATEST_ADDRESSES, add_address
from accounts.events import Event
from accounts.models import Address, AuthToken, SessionOwner, User
from accounts.tokens import GREATEST_LIFETIME
from catalog.writes.texts import LineField
from config.api.access.scopes import SCOPES
from config.api.writes.bodies import ChoiceField, StrictSerializer

# The most scopes, and the most networks, of a token.
GREATEST_LIST = 50

# -- tokens -----------------------------------------------------------------------------------------------------


class TokenRead(ModelSerializer[AuthToken]):
    """`{"id": "5f0c…", "name": "laptop", "scopes": ["orders:read"], "expires_at": …}`, without the secret."""

    id = CharField(source="mark", read_only=True)
    created_at = DateTimeField(source="created", read_only=True)
    expires_at = DateTimeField(source="expiry", read_only=True, allow_null=True)
    scopes = ListField(child=CharField(), source="list_scopes", read_only=True, help_text="What it may use.")
    allowed_ips = ListField(child=CharField(), read_only=True, help_text="Networks that it may come from; none: any.")
    created_by = CharField(read_only=True, help_text="`login`, `session`, or `token:ID` of the token that made it.")
    parent = CharField(  # type: ignore[assignment]  # DRF's own `parent` is set on instances; this is a declared field
        source="parent_mark", read_only=True, allow_null=True, help_text="The token that it ends with."
    )
    url = HyperlinkedIdentityField(view_name="token-detail", lookup_field="mark", lookup_url_kwarg="id")

    class Meta:
        model = AuthToken
        fields = (
            "id",
            "name",
            "created_at",
            "expires_at",
            "last_used_at",
            "scopes",
            "allowed_ips",
            "created_by",
            "parent",
            "url",
        )


@extend_schema_serializer(many=False)
class TokenList(Serializer[Any]):
    """All tokens of a user. There are at most 50, so there are no pages."""

    results = TokenRead(many=True)


class TokenWithSecret(TokenRead):
    """A new token. This is the only answer with its secret, `token`."""

    token = CharField(read_only=True)

    class Meta:
        model = AuthToken
        fields = ("token", *TokenRead.Meta.fields)


class NetworkField(CharField):
    """An IP address or a network, such as `192.0.2.0/24` or `2001:db8::/32`."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return str(ip_network(text))
        except ValueError:
            example = "192.0.2.0/24"
            raise ValidationError(f"Give an IP address, or a network by its first address, as in {example}.") from None


class PasswordField(CharField):
    """A password. It may begin or end with a blank."""

    def __init__(self, **options: Any) -> None:
        style = {"input_type": "password"}
        super().__init__(max_length=1000, trim_whitespace=False, write_only=True, style=style, **options)


class TokenWrite(StrictSerializer[AuthToken]):
    """A new token's name, its expiry (by default in 90 days, at most in a year), and what it may do.

    Without `scopes` and `allowed_ips` it may do what its creator may do: all of the user's permissions if a session
    creates it, else those of the creating token. Revoking the creating token revokes the new one too, unless the body
    has `password`.
    """

    name = LineField(max_length=100)
    expires_at = DateTimeField(required=False)
    scopes = ListField(child=ChoiceField(SCOPES), required=False, allow_empty=False, max_length=GREATEST_LIST)
    allowed_ips = ListField(
        child=NetworkField(max_length=50), required=False, allow_empty=False, max_length=GREATEST_LIST
    )
    password = PasswordField(required=False)

    def validate_expires_at(self, value: datetime) -> datetime:
        now = timezone.now()
        if not now < value <= now + GREATEST_LIFETIME:
            raise ValidationError(f"Give a time within the next {GREATEST_LIFETIME.days} days.", "out_of_range")
        return value


class LoginWrite(StrictSerializer[AuthToken]):
    """E-mail address and password. `name` is the new token's name in the list of tokens."""

    email = LineField(max_length=254)
    password = PasswordField()
    name = LineField(max_length=100, default="login")


class PasswordWrite(StrictSerializer[User]):
    """The old and the new password, and which tokens and sessions are kept."""

    old = PasswordField()
    new = PasswordField()
    keep_this = BooleanField(default=False)
    keep_others = BooleanField(default=False)


class ResetWrite(StrictSerializer[User]):
    """The e-mail address of a user who has forgotten the password."""

    email = EmailField(max_length=254)


class ResetRead(Serializer[Any]):
    """One sentence, the same for all e-mail addresses."""

    detail = CharField()


class ResetConfirmWrite(StrictSerializer[User]):
    """The `token` in the link of the mail, and the new password."""

    token = CharField(max_length=100)
    new = PasswordField()


class RegisterWrite(StrictSerializer[User]):
    """A customer's e-mail address and password, and, if you like, the name."""

    email = EmailField(max_length=254)
    password = PasswordField()
    first_name = LineField(max_length=150, allow_blank=True, default="")
    last_name = LineField(max_length=150, allow_blank=True, default="")


class RegisterConfirmWrite(StrictSerializer[User]):
    """The `token` in the link of the mail, and the password that was chosen."""

    token = CharField(max_length=100)
    password = PasswordField()


class EventRead(ModelSerializer[Event]):
    """`{"id": 9, "at": …, "kind": "signed_in", "actor": null, "address": "192.0.2.7", "user_agent": …, "detail": ""}`

    `actor` is the id of the user who did it; null if it was the same user.
    """

    url = HyperlinkedIdentityField(view_name="event-detail")

    class Meta:
        model = Event
        fields = ("id", "at", "kind", "actor", "address", "user_agent", "detail", "url")


class SessionRead(ModelSerializer[SessionOwner]):
    """`{"id": 7, "address": "192.0.2.7", "user_agent": "Mozilla/5.0 …", "current": true, "expires_at": …}`"""

    expires_at = DateTimeField(source="session.expire_date", read_only=True)
    current = SerializerMethodField(help_text="Whether this is the session of the request.")
    url = HyperlinkedIdentityField(view_name="session-detail")

    class Meta:
        model = SessionOwner
        fields = ("id", "created_at", "expires_at", "address", "user_agent", "current", "url")

    def get_current(self, owner: SessionOwner) -> bool:
        session = getattr(self.context["request"]._request, "session", None)
        return session is not None and session.session_key == owner.session_id


# -- users ------------------------------------------------------------------------------------------------------


class AddressRead(ModelSerializer[Address]):
    """`{"id": 3, "name": "Mia Wu", "line1": "1 High St", …, "country": "GB", "url": "https://…"}`"""

    url = HyperlinkedIdentityField(view_name="address-detail")

    class Meta:
        model = Address
        fields = ("id", "name", "line1", "line2", "city", "postcode", "country", "url")
        # Within a user it would be a 404 to all others.
        row_only: ClassVar = ("url",)


class AddressWrite(StrictSerializer[Address]):
    """An address. `country` is a code of two capital letters (ISO 3166)."""

    name = LineField(max_length=200)
    line1 = LineField(max_length=200)
    line2 = LineField(max_length=200, allow_blank=True, default="")
    city = LineField(max_length=100)
    postcode = LineField(max_length=20, allow_blank=True, default="")
    country = RegexField(r"\A[A-Z]{2}\Z", error_messages={"invalid": "Give two capital letters (ISO 3166), as in GB."})

    def create(self, validated_data: dict[str, Any]) -> Address:
        return add_address(self.context["request"].user, validated_data)

    def update(self, instance: Address, validated_data: dict[str, Any]) -> Address:
        return write_columns(instance, validated_data)


class MeRead(ModelSerializer[User]):
    """`{"id": 7, "email": "mia@example.com", "first_name": "Mia", "last_name": "Wu", "date_joined": …}`"""

    class Meta:
        model = User
        fields = ("id", "email", "first_name", "last_name", "date_joined")


class MeWrite(StrictSerializer[User]):
    """What users can change of themselves. Only staff can change the e-mail address."""

    first_name = LineField(required=False, max_length=150, allow_blank=True)
    last_name = LineField(required=False, max_length=150, allow_blank=True)

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        return write_columns(instance, validated_data)


def write_columns[Row: Model](row: Row, values: dict[str, Any]) -> Row:
    """Set these columns of the row and write only them."""
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=values.keys())
    return row


class UserRead(ModelSerializer[User]):
    """`{"id": 7, "email": "mia@example.com", …, "addresses": […], "orders_url": "https://…"}`

    The orders are read only if a client follows `orders_url`.
    """

    addresses = AddressRead(many=True, read_only=True, max_length=GREATEST_ADDRESSES)  # type: ignore[call-arg]  # many=True makes a ListSerializer
    orders_url = HyperlinkedIdentityField(view_name="user-orders", lookup_url_kwarg="user")
    url = HyperlinkedIdentityField(view_name="user-detail")

    class Meta:
        model = User
        fields = (
            "id",
            "email",
            "first_name",
            "last_name",
            "is_active",
            "is_staff",
            "date_joined",
            "addresses",
            "orders_url",
            "url",
        )
        shown: ClassVar = ("addresses",)
