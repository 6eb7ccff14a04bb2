"""The endpoints of accounts. Every queryset is limited to the caller: another user's row is 404, like a missing one."""

from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.filters import UserFilters
from accounts.models import Address, Order, User
from accounts.ordering.changes import CHANGE
from accounts.ordering.filters import SERVED, OrderFilters, StaffOrderFilters
from accounts.ordering.serializers import OrderRead, OrderStep, OrderWrite, ReturnWrite, ShipmentWrite
from accounts.serializers import AddressRead, AddressWrite, MeRead, MeWrite, UserRead
from config.api.access.permissions import NamedPermissions, OwnRows, require_rights, write_refusal
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
    filterset_class: type[OrderFilters] = OrderFilters
    orderings = ("placed_at", "-placed_at", "updated_at", "-updated_at")
    default_ordering = "-placed_at"
    index_served = SERVED


class OwnOrderRows(OwnRows):
    """As OwnRows; a caller may also PATCH an own order. change_order() checks what of it they may change."""

    def get_required_permissions(self, method: str, model_cls: Any) -> list[str]:
        return [] if method == "PATCH" else super().get_required_permissions(method, model_cls)

    def has_object_permission(self, request: Request, view: Any, obj: Order) -> bool:
        self.message = write_refusal(CHANGE)
        return request.method != "PATCH" or obj.user_id == request.user.pk or request.user.has_perm(CHANGE)


class OrderViewSet(WriteMixin[Order], ReadViewSet, OrderList):
    """Orders: the caller's own, or all with the permission to view orders.

    POST places an order: the server reserves stock, copies titles and prices and computes the totals, all or nothing.
    PATCH changes the addresses and the note of an order that is placed. It also takes the next step, which needs the
    permission to change orders; customers only cancel, and only while the order is placed.
    """

    permission_classes = (OwnOrderRows,)
    write_serializer = OrderWrite
    filterset_class = StaffOrderFilters
    lookup_field = "number"

    def get_queryset(self) -> QuerySet[Order]:
        return super().get_queryset().visible_to(self.request.user)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.is_list and "email" in self.request.query_params:
            # Else the answer would tell whose orders these are.
            require_rights(self.request, "accounts.view_user")
        return super().filter_queryset(queryset)

    @extend_schema(responses={200: OrderRead, 201: OrderRead})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer: Any = self.get_serializer(data=request.data)
        response = self.write(serializer, HTTPStatus.CREATED)
        if serializer.instance.is_repeated:
            response.status_code = HTTPStatus.OK
        return response

    def get_serializer_class(self) -> Any:
        return OrderStep if self.action in ("update", "partial_update") else super().get_serializer_class()


class ChangesOrders(NamedPermissions):
    """Signed in, and with the permission to change orders."""

    def get_required_permissions(self, method: str, model_cls: Any) -> list[str]:
        return [CHANGE]


class OrderPieces(WriteMixin[Order], OrderList):
    """The base of a POST that moves pieces of an order. The answer is the order."""

    permission_classes = (ChangesOrders,)
    conditional_methods = ("POST",)
    lookup_field = "number"

    def get_queryset(self) -> QuerySet[Order]:
        return super().get_queryset().visible_to(self.request.user)


class Shipments(OrderPieces):
    """Ship pieces of a paid order: they leave the stock. When all are shipped, the order is `shipped`."""

    write_serializer = ShipmentWrite

    @extend_schema(operation_id="ship_order", responses={200: OrderRead})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.update(request, *args, **kwargs)


class Returns(OrderPieces):
    """Take pieces back that were shipped. They are on hand where they were sent from, unless `restock` is false."""

    write_serializer = ReturnWrite

    @extend_schema(operation_id="return_order", responses={200: OrderRead})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.update(request, *args, **kwargs)


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
