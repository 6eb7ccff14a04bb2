"""Account rows as JSON, and the bodies that change them."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_serializer
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import CharField, DateTimeField, ModelSerializer, Serializer

from accounts.models import AuthToken
from accounts.tokens import GREATEST_LIFETIME
from config.api.bodies import StrictSerializer

# -- tokens -----------------------------------------------------------------------------------------------------


class TokenRead(ModelSerializer[AuthToken]):
    """`{"id": "5f0c…", "name": "laptop", "created_at": …, "expires_at": …}`; no part of the secret."""

    id = CharField(source="mark", read_only=True)
    created_at = DateTimeField(source="created", read_only=True)
    expires_at = DateTimeField(source="expiry", read_only=True, allow_null=True)

    class Meta:
        model = AuthToken
        fields = ("id", "name", "created_at", "expires_at")


@extend_schema_serializer(many=False)
class TokenList(Serializer[Any]):
    """All tokens of a user; there are 50 at the most, so there are no pages."""

    results = TokenRead(many=True)


class TokenWithSecret(TokenRead):
    """The one answer that holds the secret, `token`."""

    token = CharField(read_only=True)

    class Meta:
        model = AuthToken
        fields = ("token", *TokenRead.Meta.fields)


class TokenWrite(StrictSerializer[AuthToken]):
    """A new token's name, and when it expires: in 90 days if left out, in a year at the latest."""

    name = CharField(max_length=100)
    expires_at = DateTimeField(required=False)

    def validate_expires_at(self, value: datetime) -> datetime:
        now = timezone.now()
        if not now < value <= now + GREATEST_LIFETIME:
            raise ValidationError(f"It lies within the next {GREATEST_LIFETIME.days} days.", "out_of_range")
        return value


class LoginWrite(StrictSerializer[AuthToken]):
    """E-mail address and password; `name` is how the token will stand in the list of tokens."""

    email = CharField(max_length=254)
    # A blank at its end is part of a password.
    password = CharField(max_length=1000, trim_whitespace=False, style={"input_type": "password"})
    name = CharField(max_length=100, default="login")
