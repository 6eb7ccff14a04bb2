from django.urls import re_path

from catalog.media import views

urlpatterns = [
    re_path(r"^demo/tf-(?P<number>[0-9]{8})-(?P<position>[1-4])\.svg$", views.show_demo, name="demo-picture"),
]
