"""The peers' addresses."""

from django.urls import path

from tests.benchmarks.peers.shop.drf import PlainProducts, TunedProduct, TunedProducts
from tests.benchmarks.peers.shop.ninja_api import api

urlpatterns = [
    path("plain/", PlainProducts.as_view()),
    path("tuned/", TunedProducts.as_view()),
    path("tuned/<int:pk>/", TunedProduct.as_view()),
    path("ninja/", api.urls),
]
