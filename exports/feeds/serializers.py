"""Serializers of feeds: the saved request with its schedule, and the addresses of the file."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from rest_framework.fields import SerializerMethodField
from rest_framework.relations import HyperlinkedIdentityField
from rest_framework.serializers import (
    BooleanField,
    CharField,
    DateTimeField,
    DictField,
    IntegerField,
    JSONField,
    ListField,
    ModelSerializer,
    Serializer,
    URLField,
)

from config.api.writes.bodies import StrictSerializer
from exports.errors import TooManyFeeds
from exports.feeds.addresses import name_file, write_address
from exports.jobs.serializers import ExportWrite
from exports.jobs.submitting import REQUEST
from exports.models import Feed

# The most feeds of a user, and the minutes between two files.
MOST_FEEDS = 20
LEAST_EVERY, GREATEST_EVERY = 5, 7 * 24 * 60
EVERY = f"Minutes between the beginnings of two files, {LEAST_EVERY} to {GREATEST_EVERY}."
ON_CHANGE = "Make a file only if something has changed since the last one."


class ExportFeedRead(ModelSerializer[Feed]):
    """`{"id": 3, "resource": "products", "format": "google", "every": 60, "file_url": "https://…/products.xml", …}`"""

    filters = DictField(child=JSONField(), read_only=True)
    made_at = DateTimeField(source="job.finished_at", read_only=True, allow_null=True, default=None)
    rows = IntegerField(source="job.rows_done", read_only=True, allow_null=True, default=None)
    bytes = IntegerField(source="job.bytes", read_only=True, allow_null=True, default=None)
    file_url = SerializerMethodField(help_text="The file. Whoever knows the address can fetch it, without a token.")
    delta_url = SerializerMethodField(help_text="What changed since a cursor, without a token, too.")
    url = HyperlinkedIdentityField(view_name="feed-detail")

    class Meta:
        model = Feed
        fields = (
            "id", "description", *REQUEST, "every", "on_change", "error", "due_at", "made_at", "rows", "bytes",
            "created_at", "file_url", "delta_url", "url",
        )  # fmt: skip

    def get_file_url(self, feed: Feed) -> str:
        return write_address(feed, name_file(feed))

    def get_delta_url(self, feed: Feed) -> str:
        return write_address(feed, "delta/")


class Schedule(StrictSerializer[Feed]):
    """The members of a feed that may be changed later."""

    description = CharField(max_length=200, allow_blank=True, default="")
    every = IntegerField(min_value=LEAST_EVERY, max_value=GREATEST_EVERY, default=60, help_text=EVERY)
    on_change = BooleanField(default=False, help_text=ON_CHANGE)


class ScheduleWrite(Schedule):
    """`{"every": 30, "on_change": true}`"""

    def update(self, instance: Feed, validated_data: dict[str, Any]) -> Feed:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.save(update_fields=list(validated_data))
        return instance


class ExportFeedWrite(ExportWrite, Schedule):
    """`{"resource": "products", "format": "google", "filters": {"brand": "acme"}, "every": 60, "on_change": true}`"""

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        super().validate({name: values[name] for name in REQUEST})
        return values

    def create(self, validated_data: dict[str, Any]) -> Any:
        owner = self.context["request"].user
        with transaction.atomic():
            # One request of a user at a time: two might both add the last allowed feed.
            get_user_model().objects.select_for_update().get(pk=owner.pk)
            if Feed.objects.visible_to(owner).count() >= MOST_FEEDS:
                raise TooManyFeeds(MOST_FEEDS)
            return Feed.objects.create(owner=owner, **validated_data)


class DeltaRead(Serializer[Any]):
    """`{"rows": [{"id": 7, …}], "gone": [12], "next": null, "next_cursor": "101186"}`"""

    rows = ListField(child=DictField(), help_text="The rows that changed, as they are now, with the feed's fields.")
    gone = ListField(child=IntegerField(), help_text="Ids of rows that the feed doesn't have, or no longer has.")
    next = URLField(allow_null=True, help_text="The next piece; null if there are no more changes now.")
    next_cursor = CharField(help_text="`after` for the next request, also if `next` is null.")
