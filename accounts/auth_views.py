"""The endpoints below `auth/`: signing in and out, tokens, sessions, passwords."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth import authenticate, logout
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
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
from accounts.events import Event
from accounts.filters import EventFilters
from accounts.models import AuthToken, SessionOwner, User
from accounts.passwords import change_password
from accounts.registrations import build_registration, confirm, refuse_off, refuse_unconfirmed, register
from accounts.resets import queue_mail, reset_password
from accounts.serializers import (
    EventRead,
    LoginWrite,
    PasswordWrite,
    RegisterConfirmWrite,
    RegisterWrite,
    ResetConfirmWrite,
    ResetRead,
    ResetWrite,
    SessionRead,
    TokenList,
    TokenRead,
    TokenWithSecret,
    TokenWrite,
)
from accounts.tokens import TOKEN_LIFETIME, issue_child, issue_token, revoke, sign_in
from config.api.access.logins import count_mail, count_stranger_sign_in
from config.api.access.privacy import PrivateMixin, SecretMixin
from config.api.access.scopes import ACCOUNTS
from config.api.access.throttling import find_client
from config.api.problems.errors import Fault, InvalidBody
from config.api.reads.parameters import check_parameters
from config.api.viewsets import ReadViewSet

# -- signing in ---------------------------------------------------------------------------------------------------


class Login(SecretMixin, GenericAPIView[Any]):
    """Sign in with an e-mail address and a password. The answer has a new token; its secret is shown only once.

    Send the secret as `Authorization: Token …`. The token is valid for 90 days. If you already have 50 valid tokens, it
    replaces the oldest one with the same name.
    """

    queryset = AuthToken.objects.none()
    permission_classes = (AllowAny,)
    # No authentication: a request with an expired token must be able to sign in.
    authentication_classes = ()
    serializer_class = LoginWrite
    refusals = (HTTPStatus.UNAUTHORIZED,)

    @extend_schema(operation_id="log_in", responses=TokenWithSecret)
    def post(self, request: Request) -> Response:
        check_parameters(request.query_params, ())
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        email, password, name = (body.validated_data[key] for key in ("email", "password", "name"))
        # Django hashes a password even if there is no such user, so the time doesn't reveal it.
        user: Any = authenticate(request._request, username=email, password=password)
        if user is None:
            refuse_unconfirmed(email, password)
            raise WrongCredentials
        token, secret = sign_in(user, name)
        user_logged_in.send(sender=type(user), request=request._request, user=user)
        return Response(show_secret(token, secret, request))


def show_secret(token: AuthToken, secret: str, request: Request) -> dict[str, Any]:
    return {"token": secret} | TokenRead(token, context={"request": request}).data


class Logout(PrivateMixin, APIView):
    """Sign out: revokes the token of this request, or ends the session."""

    permission_classes = (IsAuthenticated,)
    scope = ACCOUNTS

    @extend_schema(operation_id="log_out", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        check_parameters(request.query_params, ())
        if isinstance(request.auth, AuthToken):
            revoke(AuthToken.objects.filter(pk=request.auth.pk))
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

    @extend_schema(operation_id="delete_other_auth_tokens", responses={204: None})
    def destroy_others(self, request: Request) -> Response:
        """Revoke all tokens except the token of this request and the tokens that it descends from."""
        kept = request.auth.list_line() if isinstance(request.auth, AuthToken) else []
        revoke(AuthToken.objects.visible_to(request.user).exclude(pk__in=kept))
        return Response(status=HTTPStatus.NO_CONTENT)

    def get_object(self) -> AuthToken:
        return get_object_or_404(self.get_queryset(), digest__startswith=self.kwargs["id"])

    def get_serializer_class(self) -> Any:
        return TokenWrite if self.action == "create" else TokenRead

    @extend_schema(responses=TokenList)
    def list(self, request: Request) -> Response:
        tokens = TokenRead(self.get_queryset(), many=True, context=self.get_serializer_context())
        return Response({"results": tokens.data})

    def retrieve(self, request: Request, id: str) -> Response:  # noqa: A002 (the address's own name for it)
        return Response(TokenRead(self.get_object(), context=self.get_serializer_context()).data)

    @extend_schema(responses={201: TokenWithSecret})
    def create(self, request: Request) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        token, secret = make_token(request, dict(body.validated_data))
        headers = {"Location": self.reverse_action("detail", kwargs={"id": token.mark})}
        return Response(show_secret(token, secret, request), HTTPStatus.CREATED, headers=headers)

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002 (the same)
        revoke(AuthToken.objects.filter(pk=self.get_object().pk))
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


# -- sessions -----------------------------------------------------------------------------------------------------


class SessionViewSet(PrivateMixin, ReadViewSet):
    """The browsers in which the caller is signed in. Deleting a session signs out its browser."""

    compiled = False  # `current` depends on the request
    queryset = SessionOwner.objects.select_related("session")
    permission_classes = (IsAuthenticated,)
    scope = ACCOUNTS
    read_serializer = SessionRead
    default_ordering = "-pk"
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[SessionOwner]:
        rows: QuerySet[SessionOwner] = super().get_queryset()
        return rows.filter(user__in=[self.request.user.pk], session__expire_date__gt=timezone.now())

    @property
    def known_parameters(self) -> frozenset[str]:
        return frozenset() if self.action == "destroy" else super().known_parameters

    def destroy(self, request: Request, pk: str) -> Response:
        owner = self.get_object()
        Session.objects.filter(owner=owner).delete()
        Event.objects.record(Event.Kind.SESSION_ENDED, request.user, f"{owner.address} {owner.user_agent}".strip())
        return Response(status=HTTPStatus.NO_CONTENT)


# -- events -------------------------------------------------------------------------------------------------------


class EventViewSet(PrivateMixin, ReadViewSet):
    """The caller's sign-in log, newest first: sign-ins, failed sign-ins, and changes of tokens, passwords and groups.

    It is kept as long as the change log.
    """

    queryset = Event.objects.all()
    permission_classes = (IsAuthenticated,)
    scope = ACCOUNTS
    read_serializer = EventRead
    filterset_class = EventFilters
    default_ordering = "-pk"
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[Event]:
        return Event.objects.filter(user__in=[self.request.user.pk])


# -- passwords ----------------------------------------------------------------------------------------------------


class Password(PrivateMixin, GenericAPIView[Any]):
    """Set a new password. The body also needs the old one.

    All tokens and sessions of the user end. `keep_this` keeps the token or session of this request, `keep_others` keeps
    all others.
    """

    queryset = User.objects.none()
    permission_classes = (IsAuthenticated,)
    scope = ACCOUNTS
    serializer_class = PasswordWrite

    @extend_schema(operation_id="change_password", responses={204: None})
    def post(self, request: Request) -> Response:
        values = read_body(self, request)
        prove_password(request, "old", values["old"])
        change_password(request, values["new"], values["keep_this"], values["keep_others"])
        return Response(status=HTTPStatus.NO_CONTENT)


class PasswordReset(PrivateMixin, GenericAPIView[Any]):
    """Ask for a mail with a link, if you have forgotten your password. The link is valid for an hour.

    The answer is the same for all addresses, also for one that no user has.
    """

    queryset = User.objects.none()
    permission_classes = (AllowAny,)
    authentication_classes = ()
    serializer_class = ResetWrite

    @extend_schema(operation_id="request_password_reset", responses={202: ResetRead})
    def post(self, request: Request) -> Response:
        email: str = read_body(self, request)["email"]
        if count_mail(request._request, email):
            queue_mail(email, find_client(request.META))
        return Response({"detail": RESET_ANSWER}, HTTPStatus.ACCEPTED)


RESET_ANSWER = "If a user has this address, a mail with a link is on its way."


class PasswordResetConfirm(PrivateMixin, GenericAPIView[Any]):
    """Set a new password with the `token` of the link in a mail. All tokens and sessions of the user end."""

    queryset = User.objects.none()
    permission_classes = (AllowAny,)
    authentication_classes = ()
    serializer_class = ResetConfirmWrite

    @extend_schema(operation_id="confirm_password_reset", responses={204: None})
    def post(self, request: Request) -> Response:
        values = read_body(self, request)
        count_stranger_sign_in(request._request)
        reset_password(values["token"], values["new"])
        return Response(status=HTTPStatus.NO_CONTENT)


# -- registrations ------------------------------------------------------------------------------------------------


class Register(PrivateMixin, GenericAPIView[Any]):
    """Register a customer. A mail with a link goes to the address; with it the account is made.

    The answer is the same for all addresses, also for one that a user has. Needs the setting `REGISTRATION`.
    """

    queryset = User.objects.none()
    permission_classes = (AllowAny,)
    authentication_classes = ()
    serializer_class = RegisterWrite
    refusals = (HTTPStatus.NOT_FOUND,)

    @extend_schema(operation_id="register", responses={202: ResetRead})
    def post(self, request: Request) -> Response:
        values = read_body(self, request)
        refuse_off()
        may_mail = count_mail(request._request, values["email"])
        registration = build_registration(**values)
        if may_mail:
            register(registration, find_client(request.META))
        return Response({"detail": REGISTER_ANSWER}, HTTPStatus.ACCEPTED)


REGISTER_ANSWER = "A mail with a link is on its way to this address."


class RegisterConfirm(PrivateMixin, GenericAPIView[Any]):
    """Make the account, with the `token` of the link in the mail and the password of the registration."""

    queryset = User.objects.none()
    permission_classes = (AllowAny,)
    authentication_classes = ()
    serializer_class = RegisterConfirmWrite
    refusals = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)

    @extend_schema(operation_id="confirm_registration", responses={204: None})
    def post(self, request: Request) -> Response:
        values = read_body(self, request)
        refuse_off()
        count_stranger_sign_in(request._request)
        confirm(values["token"], values["password"])
        return Response(status=HTTPStatus.NO_CONTENT)


def read_body(view: GenericAPIView[Any], request: Request) -> dict[str, Any]:
    """The checked members of the body. The address may have no query parameters."""
    check_parameters(request.query_params, ())
    body = view.get_serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)
