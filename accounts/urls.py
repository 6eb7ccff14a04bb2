from typing import Any

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from accounts import views

router = SimpleRouter()
router.register("auth/tokens", views.TokenViewSet, basename="token")

# Not by the router: an order is neither replaced nor deleted.
ORDERS: dict[str, Any] = {"get": "list", "post": "create"}
ORDER: dict[str, Any] = {"get": "retrieve", "patch": "partial_update"}

urlpatterns = [
    path("auth/login/", views.Login.as_view(), name="auth-login"),
    path("auth/logout/", views.Logout.as_view(), name="auth-logout"),
    path("me/orders/", views.OwnOrders.as_view({"get": "list"}), name="own-orders"),
    path("orders/", views.OrderViewSet.as_view(ORDERS, basename="order"), name="order-list"),
    re_path(
        "^orders/(?P<number>[0-9A-Za-z-]{1,20})/$",
        views.OrderViewSet.as_view(ORDER, basename="order", detail=True),
        name="order-detail",
    ),
    *router.urls,
]
