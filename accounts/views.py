"""The endpoints of accounts. Every queryset is limited to the caller: another user's row is 404, like a missing one."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth import authenticate, logout
from django.contrib.auth.signals import user_logged_in
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from accounts.errors import WrongCredentials
from accounts.filters import UserFilters
from accounts.models import Address, AuthToken, Order, User
from accounts.serializers import (
    AddressRead,
    AddressWrite,
    LoginWrite,
    MeRead,
    MeWrite,
    OrderRead,
    OrderStep,
    OrderWrite,
    TokenList,
    TokenRead,
    TokenWithSecret,
    TokenWrite,
    UserRead,
)
from accounts.tokens import TOKEN_LIFETIME, issue_child, issue_token, sign_in
from config.api.access.permissions import OwnRows
from config.api.access.privacy import PrivateMixin, SecretMixin
from config.api.access.scopes import ACCOUNTS, ORDERS
from config.api.problems.errors import Fault, InvalidBody
from config.api.reads.parameters import check_parameters
from config.api.viewsets import ListMixin, ReadViewSet, RetrieveMixin, ShapedViewSet, WriteMixin

# -- signing in ---------------------------------------------------------------------------------------------------


class Login(SecretMixin, GenericAPIView[Any]):
    """Sign in: e-mail address and password in, a token out. Its secret is shown only this once.

    Send it as `Authorization: Token …`. It is valid for 90 days. If you already have 50 valid tokens, it replaces the
    oldest one of the same name.
    """

    queryset = AuthToken.objects.none()
    permission_classes = (AllowAny,)
    # No authentication: a request with an expired token must be able to sign in.
    authentication_classes = ()
    serializer_class = LoginWrite
    refusals = (HTTPStatus.UNAUTHORIZED,)

    @extend_schema(responses=TokenWithSecret)
    def post(self, request: Request) -> Response:
        check_parameters(request.query_params, ())
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        email, password, name = (body.validated_data[key] for key in ("email", "password", "name"))
        # Django hashes a password even if there is no such user, so the time doesn't reveal it.
        user: Any = authenticate(request._request, username=email, password=password)
        if user is None:
            raise WrongCredentials
        token, secret = sign_in(user, name)
        user_logged_in.send(sender=type(user), request=request._request, user=user)
        return Response(show_secret(token, secret))


def show_secret(token: AuthToken, secret: str) -> dict[str, Any]:
    return {"token": secret} | TokenRead(token).data


class Logout(PrivateMixin, APIView):
    """Sign out: revokes the token of this request, or ends the session."""

    permission_classes = (IsAuthenticated,)
    scope = ACCOUNTS

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        check_parameters(request.query_params, ())
        if isinstance(request.auth, AuthToken):
            request.auth.delete()
        else:
            logout(request._request)
        return Response(status=HTTPStatus.NO_CONTENT)


class TokenViewSet(SecretMixin, GenericViewSet[AuthToken]):
    """The caller's own tokens. A new token's secret is shown only once. Deleting a token revokes it immediately."""

    queryset = AuthToken.objects.none()
    permission_classes = (IsAuthenticated,)
    scope = ACCOUNTS
    serializer_class = TokenRead
    pagination_class = None
    lookup_url_kwarg = "id"
    lookup_value_regex = "[0-9a-f]{16}"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        check_parameters(request.query_params, ())

    def get_queryset(self) -> QuerySet[AuthToken]:
        return AuthToken.objects.visible_to(self.request.user).valid()

    def get_object(self) -> AuthToken:
        return get_object_or_404(self.get_queryset(), digest__startswith=self.kwargs["id"])

    def get_serializer_class(self) -> Any:
        return TokenWrite if self.action == "create" else TokenRead

    @extend_schema(responses=TokenList)
    def list(self, request: Request) -> Response:
        return Response({"results": TokenRead(self.get_queryset(), many=True).data})

    def retrieve(self, request: Request, id: str) -> Response:  # noqa: A002 (the address's own name for it)
        return Response(TokenRead(self.get_object()).data)

    @extend_schema(responses={201: TokenWithSecret})
    def create(self, request: Request) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        token, secret = make_token(request, dict(body.validated_data))
        headers = {"Location": self.reverse_action("detail", kwargs={"id": token.mark})}
        return Response(show_secret(token, secret), HTTPStatus.CREATED, headers=headers)

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002 (the same)
        self.get_object().delete()
        return Response(status=HTTPStatus.NO_CONTENT)


def make_token(request: Request, values: dict[str, Any]) -> tuple[AuthToken, str]:
    """Create a token. It is independent if a session creates it or the body has the password, else a child token."""
    maker, password = request.auth, values.pop("password", None)
    if password is not None:
        prove_password(request, "password", password)
    if not isinstance(maker, AuthToken):
        return stand_alone(request, values, "session")
    if password is not None:
        return stand_alone(request, values, f"token:{maker.mark}")
    return issue_child(maker, values)


def stand_alone(request: Request, values: dict[str, Any], created_by: str) -> tuple[AuthToken, str]:
    user: Any = request.user
    return issue_token(user, **{"expires_at": timezone.now() + TOKEN_LIFETIME} | values, created_by=created_by)


def prove_password(request: Request, member: str, password: str) -> None:
    """Raise InvalidBody, naming `member`, unless this is the caller's password. Counts as a sign-in (LoginLimit)."""
    user: Any = request.user
    if authenticate(request._request, username=user.get_username(), password=password) != user:
        raise InvalidBody([Fault(f"/{member}", "wrong_password", "That isn't your password.")])


# -- oneself ------------------------------------------------------------------------------------------------------


class Me(PrivateMixin, WriteMixin, RetrieveMixin, ShapedViewSet):
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


class AddressViewSet(PrivateMixin, WriteMixin, ReadViewSet):
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


class OrderViewSet(WriteMixin, ReadViewSet, OrderList):
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
