"""Models that share no habit with the catalogue's, and viewsets over them: keys that are texts, UUIDs or another row,
columns of other names, rows that have no slug, tables that are nothing but a key."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.apps.registry import Apps
from django.db import connection, models
from django.db.models import F
from django.db.models.functions import Lower
from rest_framework.permissions import AllowAny
from rest_framework.relations import HyperlinkedIdentityField, PrimaryKeyRelatedField, SlugRelatedField
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import CharField, ModelSerializer

from config.api.viewsets import ReadViewSet

# A registry of their own: the project has no tables for them, and the checks of its migrations look at none.
APPS = Apps(["tests.config"])

# -- models -------------------------------------------------------------------------------------------------------


class Row(models.Model):
    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.pk)


class Maker(Row):
    code = models.CharField(max_length=20, primary_key=True, db_column="maker_code")
    label = models.CharField(max_length=50, db_column="the_label")

    class Meta:
        app_label, apps = "config", APPS
        ordering = (F("label").desc(),)


class Tag(Row):
    id = models.UUIDField(primary_key=True, default=uuid4)
    name = models.CharField(max_length=50)

    class Meta:
        app_label, apps = "config", APPS


class Shelf(Row):
    """A table that is nothing but its key."""

    code = models.CharField(max_length=20, primary_key=True)

    class Meta:
        app_label, apps = "config", APPS


class Item(Row):
    number = models.BigAutoField(primary_key=True, db_column="item_no")
    title = models.CharField(max_length=50, db_column="name")
    maker = models.ForeignKey(Maker, models.CASCADE, null=True, db_column="made_by", related_name="items")
    tag = models.ForeignKey(Tag, models.CASCADE, null=True, related_name="+")
    shelf = models.ForeignKey(Shelf, models.CASCADE, null=True, related_name="+")
    # By another column than the key.
    barcode = models.CharField(max_length=20, unique=True)
    weight = models.DecimalField(max_digits=8, decimal_places=3, db_column="kg")
    made_at = models.DateTimeField(db_column="made")
    key = models.IntegerField(default=7)

    class Meta:
        app_label, apps = "config", APPS


class Part(Row):
    id = models.UUIDField(primary_key=True, default=uuid4)
    item = models.ForeignKey(Item, models.CASCADE, db_column="of_item")
    name = models.CharField(max_length=50, db_column="label")

    class Meta:
        app_label, apps = "config", APPS
        ordering = (F("name").desc(),)


class Label(Row):
    """Stands by an item's barcode, and within the list of an item's."""

    item = models.ForeignKey(Item, models.CASCADE, to_field="barcode", related_name="labels")
    text = models.CharField(max_length=50)

    class Meta:
        app_label, apps = "config", APPS
        ordering = ("text",)


class Note(Row):
    """Its key is another row."""

    item = models.OneToOneField(Item, models.CASCADE, primary_key=True, related_name="note")
    text = models.CharField(max_length=50)

    class Meta:
        app_label, apps = "config", APPS


class Box(Row):
    """Ordered by a function."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="boxes")
    size = models.FloatField()

    class Meta:
        app_label, apps = "config", APPS
        ordering = (Lower("size"),)


class Crate(Box):
    """Its columns are in its parent's table."""

    class Meta:
        app_label, apps = "config", APPS


MODELS = (Maker, Tag, Shelf, Item, Part, Label, Note, Box, Crate)

# -- serializers --------------------------------------------------------------------------------------------------


class MakerRead(ModelSerializer[Maker]):
    class Meta:
        model = Maker
        fields = ("code", "label")
        slug_field = "code"


class TagRead(ModelSerializer[Tag]):
    class Meta:
        model = Tag
        fields = ("id", "name")
        slug_field = "id"


class ShelfRead(ModelSerializer[Shelf]):
    class Meta:
        model = Shelf
        fields = ("code",)
        slug_field = "code"


class LabelRead(ModelSerializer[Label]):
    class Meta:
        model = Label
        fields = ("id", "item", "text")


class PartRead(ModelSerializer[Part]):
    maker_of: Any = SlugRelatedField(source="item", slug_field="title", read_only=True)

    class Meta:
        model = Part
        fields = ("id", "item", "name", "maker_of")


class ItemRead(ModelSerializer[Item]):
    name = CharField(source="title")
    maker = MakerRead(read_only=True, allow_null=True)
    made_by: Any = PrimaryKeyRelatedField(source="maker", read_only=True)
    tag = TagRead(read_only=True, allow_null=True)
    tag_id: Any = PrimaryKeyRelatedField(source="tag", read_only=True)
    shelf = ShelfRead(read_only=True, allow_null=True)
    note = CharField(source="note.text", read_only=True)
    parts = PartRead(source="part_set", many=True, read_only=True)
    labels = LabelRead(many=True, read_only=True)
    url = HyperlinkedIdentityField(view_name="item-detail")

    class Meta:
        model = Item
        fields = (
            "number", "name", "maker", "made_by", "tag", "tag_id", "shelf", "barcode", "weight", "made_at", "key",
            "note", "parts", "labels", "url",
        )  # fmt: skip


class NoteRead(ModelSerializer[Note]):
    class Meta:
        model = Note
        fields = ("item", "text")


# -- viewsets -----------------------------------------------------------------------------------------------------


class Foreign(ReadViewSet):
    permission_classes = (AllowAny,)
    lookup_value_regex = "[^/]+"


class Items(Foreign):
    queryset = Item.objects.select_related("maker", "tag", "shelf", "note").prefetch_related("part_set", "labels")
    read_serializer = ItemRead
    orderings = tuple(f"{sign}{name}" for sign in ("", "-") for name in ("made_at", "title", "weight", "barcode"))


class Makers(Foreign):
    queryset = Maker.objects.all()
    read_serializer = MakerRead
    orderings = ("label", "-label")


class Tags(Foreign):
    queryset = Tag.objects.all()
    read_serializer = TagRead


class Shelves(Foreign):
    queryset = Shelf.objects.all()
    read_serializer = ShelfRead


class Parts(Foreign):
    queryset = Part.objects.select_related("item")
    read_serializer = PartRead
    orderings = ("name", "-name", "item__title", "item_id")


class Notes(Foreign):
    queryset = Note.objects.all()
    read_serializer = NoteRead


VIEWS: tuple[Any, ...] = (Items, Makers, Tags, Shelves, Parts, Notes)

router = SimpleRouter()
for view in VIEWS:
    router.register(view.__name__.lower(), view, basename=view.__name__.lower().removesuffix("s"))

# -- rows ---------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@contextmanager
def make_tables() -> Iterator[None]:
    with connection.schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(MODELS):
                editor.delete_model(model)


def fill() -> None:
    """Seven items with ties in every column that orders them, and some without what others have."""
    makers = [Maker.objects.create(code=f'm"{number}\\é', label=f"Label {number // 2}") for number in range(5)]
    tags = [Tag.objects.create(id=UUID(int=number**20), name=f"tag {number}") for number in range(5)]
    shelves = [Shelf.objects.create(code=f"S{number}") for number in range(5)]
    for number in range(7):
        item = Item.objects.create(
            title=f"Item {number // 3}",
            maker=makers[number % 5] if number % 3 else None,
            tag=tags[number % 5] if number % 2 else None,
            shelf=shelves[number % 5] if number % 3 < 2 else None,
            barcode=f"B{9 - number}",
            weight=Decimal(number % 2),
            made_at=NOON + timedelta(microseconds=number // 2 * 500_000),
        )
        Note.objects.create(item=item, text=f"Note {number}") if number != 3 else None
        for part in range(number % 4):
            Part.objects.create(id=UUID(int=number * 10 + part), item=item, name=f"Part {part // 2}")
            Label.objects.create(item=item, text=f"Text {part // 2}")
