from typing import Any

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from accounts import auth_views, views

router = SimpleRouter()
router.register("auth/tokens", auth_views.TokenViewSet, basename="token")
router.register("auth/events", auth_views.EventViewSet, basename="event")
router.register("auth/sessions", auth_views.SessionViewSet, basename="session")
router.register("me/addresses", views.AddressViewSet)
router.register("users", views.UserViewSet)

# Not with the router: orders have no PUT and no DELETE.
ORDERS: dict[str, Any] = {"get": "list", "post": "create"}
ORDER: dict[str, Any] = {"get": "retrieve", "patch": "partial_update"}
NUMBERED = "^orders/(?P<number>[0-9A-Za-z-]{1,20})/"
# The router has no DELETE of a list.
TOKENS: dict[str, Any] = {"get": "list", "post": "create", "delete": "destroy_others"}
ME: dict[str, Any] = {"get": "retrieve", "patch": "partial_update"}

urlpatterns = [
    path("auth/login/", auth_views.Login.as_view(), name="auth-login"),
    path("auth/logout/", auth_views.Logout.as_view(), name="auth-logout"),
    path("auth/tokens/", auth_views.TokenViewSet.as_view(TOKENS, basename="token", suffix="List"), name="token-list"),
    path("auth/password/", auth_views.Password.as_view(), name="auth-password"),
    path("auth/password/reset/", auth_views.PasswordReset.as_view(), name="auth-password-reset"),
    path("auth/password/reset/confirm/", auth_views.PasswordResetConfirm.as_view(), name="auth-password-confirm"),
    path("auth/register/", auth_views.Register.as_view(), name="auth-register"),
    path("auth/register/confirm/", auth_views.RegisterConfirm.as_view(), name="auth-register-confirm"),
    path("me/", views.Me.as_view(ME), name="me"),
    path("me/orders/", views.OwnOrders.as_view({"get": "list"}), name="own-orders"),
    path("orders/", views.OrderViewSet.as_view(ORDERS, basename="order", suffix="List"), name="order-list"),
    re_path(
        f"{NUMBERED}$",
        views.OrderViewSet.as_view(ORDER, basename="order", detail=True),
        name="order-detail",
    ),
    re_path(f"{NUMBERED}shipments/$", views.Shipments.as_view({"post": "create"}), name="order-shipments"),
    re_path(f"{NUMBERED}returns/$", views.Returns.as_view({"post": "create"}), name="order-returns"),
    re_path("^users/(?P<user>[0-9]{1,18})/orders/$", views.UserOrders.as_view({"get": "list"}), name="user-orders"),
    *router.urls,
]
