"""The peers' addresses."""

from django.urls import path
from django.views.decorators.cache import cache_page

from tests.benchmarks.peers.shop.drf import PlainProducts, TunedProduct, TunedProducts
from tests.benchmarks.peers.shop.export import Export
from tests.benchmarks.peers.shop.ninja_api import api

urlpatterns = [
    path("plain/", PlainProducts.as_view()),
    path("tuned/", TunedProducts.as_view()),
    path("tuned/<int:pk>/", TunedProduct.as_view()),
    path("cached/", cache_page(600)(TunedProducts.as_view())),
    path("ninja/", api.urls),
    path("export.csv", Export.as_view()),
]
