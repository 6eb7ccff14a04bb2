from typing import Any

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from accounts import views

router = SimpleRouter()
router.register("auth/tokens", views.TokenViewSet, basename="token")
router.register("me/addresses", views.AddressViewSet)
router.register("users", views.UserViewSet)

# Not with the router: orders have no PUT and no DELETE.
ORDERS: dict[str, Any] = {"get": "list", "post": "create"}
ORDER: dict[str, Any] = {"get": "retrieve", "patch": "partial_update"}
ME: dict[str, Any] = {"get": "retrieve", "patch": "partial_update"}

urlpatterns = [
    path("auth/login/", views.Login.as_view(), name="auth-login"),
    path("auth/logout/", views.Logout.as_view(), name="auth-logout"),
    path("me/", views.Me.as_view(ME), name="me"),
    path("me/orders/", views.OwnOrders.as_view({"get": "list"}), name="own-orders"),
    path("orders/", views.OrderViewSet.as_view(ORDERS, basename="order", suffix="List"), name="order-list"),
    re_path(
        "^orders/(?P<number>[0-9A-Za-z-]{1,20})/$",
        views.OrderViewSet.as_view(ORDER, basename="order", detail=True),
        name="order-detail",
    ),
    re_path("^users/(?P<user>[0-9]{1,18})/orders/$", views.UserOrders.as_view({"get": "list"}), name="user-orders"),
    *router.urls,
]
