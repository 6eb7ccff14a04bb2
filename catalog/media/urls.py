from django.urls import re_path

from catalog.media import views

# Pictures, and the small ones of them.
media = [
    re_path(r"^(?P<digest>[0-9a-f]{40})\.(?P<suffix>jpg|png|webp)$", views.show_upload, name="picture"),
    re_path(r"^(?P<digest>[0-9a-f]{40})-(?P<side>160|480|1200)\.webp$", views.show_thumbnail, name="thumbnail"),
]
urlpatterns = [
    re_path(r"^demo/tf-(?P<number>[0-9]{8})-(?P<position>[1-4])\.svg$", views.show_demo, name="demo-picture"),
]
