"""Users by e-mail, named tokens, addresses, orders."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from django.contrib.auth.models import AbstractUser, Permission
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower, Now
from django.utils import timezone
from knox.models import AbstractAuthToken
from knox.models import AuthTokenManager as KnoxManager

from accounts.events import Event
from accounts.querysets import AddressQuerySet, AuthTokenQuerySet, OrderLineQuerySet, OrderQuerySet
from catalog.changes.logged import Logged
from catalog.models import Product, Variant, default_currency
from catalog.writes.texts import compose, describe_unseen, find_unseen
from config.api.access.permissions import Caller
from config.api.access.scopes import SCOPES
from config.api.models import Versioned

# Hexadecimal digits of a digest, so 64 bits: no user has two tokens with the same beginning.
MARK_LENGTH = 16


class Credentials(NamedTuple):
    """Ways in which a user is signed in: the digests of tokens, and the keys of sessions."""

    tokens: Collection[str] = ()
    sessions: Collection[str] = ()


class UserManager(DjangoUserManager["User"]):
    """Django's user manager, with the e-mail address instead of the user name."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """The address as it is stored. Raises ValidationError if a character of it can't be seen."""
        text = compose(super().normalize_email(email))
        if (place := find_unseen(text)) is not None:
            raise ValidationError(f"The address {describe_unseen(text, place)}; remove it.")
        return text

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":  # type: ignore[override]  # no user name
        fields = {"is_staff": False, "is_superuser": False} | fields
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":  # type: ignore[override]  # the same
        return self.create_user(email, password, **fields | {"is_staff": True, "is_superuser": True})

    def visible_to(self, caller: Caller) -> "QuerySet[User]":
        """All users for a caller with the permission `accounts.view_user`, else only the caller."""
        return self.all() if caller.has_perm("accounts.view_user") else self.filter(pk__in=[caller.pk])

    def get_by_natural_key(self, email: str | None) -> "User":
        # In any case: people don't remember how they wrote their address. A unique index serves it.
        return self.get(email__lower=(email or "").lower())


class User(Versioned, AbstractUser):  # type: ignore[django-manager-missing]  # knox, which has no types, names the relation
    """A person or a program that signs in with an e-mail address."""

    username = None  # type: ignore[assignment]  # Django's way to drop a field of an abstract model
    email = models.EmailField("e-mail address", unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        # Serves sign-in and the check for a taken address, both in any case.
        constraints = (models.UniqueConstraint(Lower("email"), name="user_email_once"),)
        indexes = (
            # The admin finds a customer, and their orders, by name.
            models.Index(Lower("last_name"), name="user_by_last_name"),
            models.Index(Lower("first_name"), name="user_by_first_name"),
        )

    def __str__(self) -> str:
        return self.email

    # `has_new_password`: the next save() writes a new password. `is_comparing`: Django is only checking a password.
    has_new_password = is_comparing = False

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(raw_password)
        self.has_new_password = not self.is_comparing

    def set_unusable_password(self) -> None:
        super().set_unusable_password()
        self.has_new_password = True

    def check_password(self, raw_password: Any) -> bool:
        """Django's method. It hashes the same password again if the stored hash has fewer rounds than new ones have."""
        self.is_comparing = True
        try:
            return super().check_password(raw_password)
        finally:
            self.is_comparing = False

    def save(self, *args: Any, kept: Credentials | None = None, **kwargs: Any) -> None:
        """Django's method. If there is a new password, the user's tokens and sessions end, except those in `kept`."""
        is_new = self.pk is not None and self.has_new_password
        with transaction.atomic():
            super().save(*args, **kwargs)
            if is_new:
                self.end_credentials(kept or Credentials())
                Event.objects.record(Event.Kind.PASSWORD_CHANGED, self)
        self.has_new_password = False

    def end_credentials(self, kept: Credentials) -> None:
        self.auth_token_set.exclude(pk__in=kept.tokens).delete()
        Session.objects.filter(owner__user=self).exclude(pk__in=kept.sessions).delete()

    @cached_property
    def powers(self) -> frozenset[str]:
        """The user's permissions, as in `catalog.add_product`. Inactive users have theirs too: they may come back."""
        held = Permission.objects.filter(Q(user=self) | Q(group__user=self))
        return frozenset(f"{app}.{name}" for app, name in held.values_list("content_type__app_label", "codename"))

    def covers(self, other: "User") -> bool:
        """Whether this user has all permissions of `other`, and so may set the other's password and e-mail address."""
        if self.is_superuser:
            return True
        return not other.is_superuser and self.is_staff >= other.is_staff and self.has_perms(other.powers)


models.EmailField.register_lookup(Lower)


class Registration(models.Model):
    """An e-mail address and a password that wait for the address to be confirmed. Then they are a user."""

    email = models.EmailField("e-mail address")
    password = models.CharField(max_length=128, help_text="Hashed.")
    first_name = models.CharField(max_length=150, blank=True, default="")
    last_name = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = (
            # Sign-ins before the confirmation, in any case.
            models.Index(Lower("email"), name="registration_by_email"),
            # sweep_registrations()
            models.Index(fields=("created_at",), name="registration_by_age"),
        )

    def __str__(self) -> str:
        return self.email


class AuthToken(AbstractAuthToken):
    """A knox token with a name, so that users know which one to revoke. Only the digest is stored."""

    # The database deletes, as for `parent`: Django allows only one kind of delete in a model.
    user = models.ForeignKey(User, models.DB_CASCADE, related_name="auth_token_set")
    name = models.CharField(max_length=100, default="token")
    # With database defaults, since a server of the former release may create tokens at the same time.
    scopes = models.JSONField(default=list, db_default=Value([], models.JSONField()), help_text="None: all of them.")
    allowed_ips = models.JSONField(
        "networks", default=list, db_default=Value([], models.JSONField()), help_text="None: from anywhere."
    )
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=40, default="", db_default="")
    # Deleting a token deletes the tokens that it created.
    parent = models.ForeignKey("self", models.DB_CASCADE, null=True, blank=True, related_name="children")

    objects = KnoxManager.from_queryset(AuthTokenQuerySet)()

    class Meta:
        ordering = ("-created", "digest")

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key[:6]}…)"

    @property
    def mark(self) -> str:
        """The token's id in URLs: the beginning of its digest. It reveals nothing about the secret."""
        return self.digest[:MARK_LENGTH]

    def list_line(self) -> list[str]:
        """The digests of the token and of the tokens that it descends from."""
        line, parent = [self.digest], self.parent_id
        while parent is not None:
            line.append(parent)
            parent = AuthToken.objects.filter(pk=parent).values_list("parent_id", flat=True).first()
        return line

    @property
    def list_scopes(self) -> Sequence[str]:
        return self.scopes or SCOPES

    @property
    def parent_mark(self) -> str | None:
        return self.parent_id and self.parent_id[:MARK_LENGTH]


class SessionOwner(models.Model):
    """The user of a session. Django's own table has the user only inside its encoded data.

    The row is deleted with the session.
    """

    session = models.OneToOneField(Session, models.DB_CASCADE, related_name="owner")
    user = models.ForeignKey(User, models.DB_CASCADE, related_name="sessions")
    created_at = models.DateTimeField(default=timezone.now)
    address = models.CharField(max_length=45, blank=True, default="")
    user_agent = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name = "session"
        verbose_name_plural = "sessions"

    def __str__(self) -> str:
        return f"{self.address} {self.created_at:%Y-%m-%d}"


class Address(Versioned):
    user = models.ForeignKey(User, models.CASCADE, related_name="addresses")
    name = models.CharField(max_length=200)
    line1 = models.CharField("address", max_length=200)
    line2 = models.CharField("address, second line", max_length=200, blank=True, default="")
    city = models.CharField(max_length=100)
    postcode = models.CharField(max_length=20, blank=True, default="")
    country = models.CharField(max_length=2, help_text="Two capitals of ISO 3166.")

    objects = AddressQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "addresses"
        # The admin finds a customer by the name on a parcel.
        indexes = (models.Index(Lower("name"), name="address_by_name"),)

    def __str__(self) -> str:
        return f"{self.name}, {self.line1}, {self.city}"


class Order(Versioned):
    """What a user bought. The server computes the totals."""

    class Status(models.TextChoices):
        PLACED = "placed"
        PAID = "paid"
        SHIPPED = "shipped"
        COMPLETED = "completed"
        CANCELED = "canceled"

    number = models.CharField(max_length=20, unique=True)
    # The database prevents deleting a user who has orders. PROTECT would read all the orders first.
    user = models.ForeignKey(User, models.DO_NOTHING, related_name="orders", db_index=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.PLACED)
    currency = models.CharField(max_length=3, default=default_currency)
    subtotal = models.DecimalField(max_digits=14, decimal_places=2, default=Decimal("0.00"))
    total = models.DecimalField(max_digits=14, decimal_places=2, default=Decimal("0.00"))
    # Copies, so that the order stays as it was when the user's address changes: `{"name", "line1", …, "country"}`.
    shipping_address = models.JSONField(null=True, blank=True)
    billing_address = models.JSONField(null=True, blank=True)
    # Database defaults, since a server of the former release may place orders.
    note = models.CharField(max_length=1000, blank=True, default="", db_default="")
    reference = models.CharField(
        max_length=100, blank=True, default="", db_default="", help_text="The customer's own name for the order."
    )
    # SHA-256 of the body that placed the order, if it has a reference: the same body again is the same order.
    request_hash = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    placed_at = models.DateTimeField(default=timezone.now)
    # The log's triggers set it. The database has the default, too: a server of the former release may place orders.
    updated_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    objects = OrderQuerySet.as_manager()

    # Whether place_order() found it by its reference, and placed nothing.
    is_repeated = False

    class Meta:
        # Followers of the log find an order by its number.
        logged = Logged("order", sku="number")
        constraints = (
            models.CheckConstraint(condition=Q(subtotal__gte=0, total__gte=0), name="order_totals_not_negative"),
            models.CheckConstraint(
                condition=Q(status__in=("placed", "paid", "shipped", "completed", "canceled")),
                name="order_status_known",
            ),
            # Serves the search for a reference, too.
            models.UniqueConstraint(
                fields=("reference", "user"), condition=Q(reference__gt=""), name="order_reference_once"
            ),
        )
        indexes = (
            # me/orders/ and users/{id}/orders/, newest first; serves the foreign key too.
            models.Index(fields=("user", "placed_at", "id"), name="order_by_user"),
            # The same by their last change.
            models.Index(fields=("user", "updated_at", "id"), name="order_by_user_updated"),
            # orders/, newest first.
            models.Index(fields=("placed_at", "id"), name="order_by_placed"),
            # orders/?ordering=updated_at, with and without `updated_since`.
            models.Index(fields=("updated_at", "id"), name="order_by_updated"),
            # orders/?status=paid, in both orders.
            models.Index(fields=("status", "placed_at", "id"), name="order_by_status"),
            models.Index(fields=("status", "updated_at", "id"), name="order_by_status_updated"),
            # The admin's first page, and its list of orders that are to be paid or shipped.
            models.Index(
                fields=("status", "id"), name="order_open_by_status", condition=Q(status__in=("placed", "paid"))
            ),
        )

    def __str__(self) -> str:
        return self.number


class OrderLine(models.Model):
    """A line of an order. It copies SKU, title and price, since products change and are deleted."""

    order = models.ForeignKey(Order, models.DB_CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.DB_SET_NULL, null=True, blank=True, related_name="+")
    variant = models.ForeignKey(Variant, models.DB_SET_NULL, null=True, blank=True, related_name="+")
    sku = models.CharField("SKU", max_length=100)
    title = models.CharField(max_length=500)
    price = models.DecimalField(max_digits=12, decimal_places=2, validators=[MinValueValidator(0)])
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    # Pieces of `quantity` that were sent, and pieces of those that came back.
    shipped = models.PositiveIntegerField(default=0, db_default=0)
    returned = models.PositiveIntegerField(default=0, db_default=0)
    # Why pieces came back last, if somebody said. The change log has it for each return.
    return_reason = models.CharField(max_length=200, blank=True, default="", db_default="")
    # The locations of the pieces that are with the customer: `{"main": 2, "north": 1}`. They go back there.
    sent_from = models.JSONField(default=dict, db_default=Value({}, models.JSONField()), editable=False)

    objects = OrderLineQuerySet.as_manager()

    class Meta:
        # A product or variant that is deleted changes no order.
        logged = Logged("order_line", sku="sku", touches="order", derived=("product", "variant"))
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(condition=Q(price__gte=0), name="order_line_price_not_negative"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="order_line_quantity_positive"),
            models.CheckConstraint(
                condition=Q(shipped__lte=models.F("quantity"), returned__lte=models.F("shipped")),
                name="order_line_shipped_first",
            ),
        )
        # The orders that a search for a SKU finds.
        indexes = (models.Index(fields=("sku", "order"), name="order_line_by_sku"),)

    def __str__(self) -> str:
        return f"{self.quantity} x {self.sku}"
