"""The endpoints of accounts. Every queryset is limited to the caller: another user's row is 404, like a missing one."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from accounts.filters import UserFilters
from accounts.models import Address, Order, User
from accounts.serializers import (
    AddressRead,
    AddressWrite,
    MeRead,
    MeWrite,
    OrderRead,
    OrderStep,
    OrderWrite,
    UserRead,
)
from config.api.access.permissions import OwnRows
from config.api.access.privacy import PrivateMixin
from config.api.access.scopes import ACCOUNTS, ORDERS
from config.api.viewsets import ListMixin, ReadViewSet, RetrieveMixin, ShapedViewSet, WriteMixin

# -- oneself ------------------------------------------------------------------------------------------------------


class Me(PrivateMixin, WriteMixin[User], RetrieveMixin, ShapedViewSet):
    """The signed-in user. PATCH changes the name."""

    queryset = User.objects.all()
    permission_classes = (IsAuthenticated,)
    scope = ACCOUNTS
    read_serializer = MeRead
    write_serializer = MeWrite

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # The URL has no id, so the caller's is used.
        self.kwargs["pk"] = request.user.pk

    def get_queryset(self) -> QuerySet[User]:
        return User.objects.filter(pk__in=[self.request.user.pk])


class AddressViewSet(PrivateMixin, WriteMixin[Address], ReadViewSet):
    """The caller's own addresses, at most 50."""

    queryset = Address.objects.all()
    permission_classes = (IsAuthenticated,)
    scope = ACCOUNTS
    read_serializer = AddressRead
    write_serializer = AddressWrite
    orderings = ("name", "-name")
    default_ordering = "name"
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[Address]:
        return Address.objects.visible_to(self.request.user)


# -- orders -------------------------------------------------------------------------------------------------------


class OrderList(PrivateMixin, ListMixin, ShapedViewSet):
    """Orders, newest first. One statement reads orders and lines."""

    queryset = Order.objects.prefetch_related("lines")
    scope = ORDERS
    read_serializer = OrderRead
    orderings = ("placed_at", "-placed_at")
    default_ordering = "-placed_at"


class OrderViewSet(WriteMixin[Order], ReadViewSet, OrderList):
    """Orders: the caller's own, or all with the permission to view orders.

    POST places an order: the server reserves stock, copies titles and prices and computes the totals, all or nothing.
    PATCH changes the status to the next one; it needs the permission to change orders.
    """

    permission_classes = (OwnRows,)
    write_serializer = OrderWrite
    lookup_field = "number"

    def get_queryset(self) -> QuerySet[Order]:
        return super().get_queryset().visible_to(self.request.user)

    def get_serializer_class(self) -> Any:
        return OrderStep if self.action in ("update", "partial_update") else super().get_serializer_class()


class OwnOrders(OrderList):
    """The caller's own orders, newest first."""

    permission_classes = (IsAuthenticated,)

    def get_queryset(self) -> QuerySet[Order]:
        return super().get_queryset().of_user(self.request.user)


# -- users --------------------------------------------------------------------------------------------------------


class UserViewSet(PrivateMixin, ReadViewSet):
    """Users with their addresses, for callers with the permission to view users. Orders have lists of their own."""

    compiled = False  # one query for the users of a page, one for all their addresses
    queryset = User.objects.prefetch_related("addresses")
    scope = ACCOUNTS
    read_serializer = UserRead
    filterset_class = UserFilters
    orderings = ("email", "-email")
    default_ordering = "email"
    index_served = frozenset({(None, "email"), ("email", "email")})
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[User]:
        return User.objects.visible_to(self.request.user).prefetch_related("addresses")


class UserOrders(OrderList):
    """A user's orders, newest first. Needs the permissions to view users and orders."""

    def get_queryset(self) -> QuerySet[Order]:
        caller = self.request.user
        user = get_object_or_404(User.objects.visible_to(caller).only("pk"), pk=self.kwargs["user"])
        return super().get_queryset().visible_to(caller).of_user(user)
