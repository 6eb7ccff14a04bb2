"""The catalogue's tables. The comment of each index names the query that uses it.

Database triggers write these columns, so bulk SQL, imports and the admin can't bypass them:
- `version` and `updated_at`; `Meta.logged` describes these triggers and those of the change log (catalog/changes/).
- `Product.price`, `in_stock` and `image_url` (from variants, stock and images), `path` and `breadcrumb` of
  `Category`, and the search document; these triggers are in `migrations/sql/`, one file for each database.

Foreign keys to brands and categories are DO_NOTHING: the database refuses to delete a brand that a product refers to.
PROTECT would first read every product of the brand into memory. The database deletes the rows that belong to a product
together with it (DB_CASCADE).

The tables of the change log and of imports are in the packages changes/ and imports/.
"""

from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from catalog.changes.logged import Logged
from catalog.changes.models import Change  # noqa: F401 (Django looks for models in this module)
from catalog.changes.undo.models import UndoJob  # noqa: F401 (for Django)
from catalog.edits.models import EditJob  # noqa: F401 (for Django)
from catalog.imports.models import ImportJob, ImportRecipe, ImportRefusal, RefusedRow  # noqa: F401 (for Django)
from catalog.media.addresses import MEDIA
from catalog.media.models import Picture  # noqa: F401 (for Django)
from catalog.prices.models import ProductPrice, VariantPrice  # noqa: F401 (for Django)
from catalog.querysets import MAIN, CategoryQuerySet, ProductQuerySet, StockQuerySet, VariantQuerySet
from config.api.models import Versioned


def default_currency() -> str:
    return settings.CURRENCY


class Timestamped(Versioned):
    """A versioned row with its times. The trigger that writes `version` also writes `updated_at`."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True


class LateVersioned(Versioned):
    """A row that got its version when its table was filled already.

    The database has the defaults too: in a rolling deploy, servers of the former release insert rows without them.
    """

    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        abstract = True


class Brand(Timestamped):
    """The maker of products. API addresses and filters name a brand by its slug."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=220, unique=True, allow_unicode=True)

    class Meta:
        logged = Logged("brand")
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class Category(Timestamped):
    """A node of the category tree.

    `path` holds the ids from the root down, ten digits each, so all paths in a subtree begin with the same text.
    `breadcrumb` holds the names, as people write them: `Food > Tea`. A `>` within a name is `\\>` there.
    The slug is made from all names of the path, since names repeat: real catalogues have "Tea" under two parents.
    """

    parent = models.ForeignKey("self", models.DO_NOTHING, null=True, blank=True, related_name="children")
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=500, unique=True, allow_unicode=True)
    path = models.CharField(max_length=200, default="", editable=False)
    breadcrumb = models.TextField(default="", db_default="", editable=False)

    objects = CategoryQuerySet.as_manager()

    class Meta:
        # A row that only follows its ancestor, which moved or got another name, has no new version and no log entry.
        logged = Logged("category", derived=("path", "breadcrumb"))
        ordering = ("slug",)
        verbose_name_plural = "categories"
        constraints = (
            models.UniqueConstraint(fields=("parent", "name"), name="category_name_once_a_parent"),
            # The constraint above ignores rows without a parent: SQLite has no NULLS NOT DISTINCT.
            models.UniqueConstraint(fields=("name",), condition=Q(parent=None), name="category_root_name_once"),
        )
        indexes = (
            # path LIKE 'x%': a subtree. With this operator class LIKE can use the index in any collation.
            models.Index(fields=("path",), name="category_path", opclasses=("varchar_pattern_ops",)),
        )

    def __str__(self) -> str:
        return self.name


class Attribute(LateVersioned):
    """A name in `Product.attributes` that `attr.NAME=value` may filter by, and the type of its values."""

    class Type(models.TextChoices):
        TEXT = "text"
        NUMBER = "number"
        BOOLEAN = "boolean"

    name = models.SlugField(max_length=60, unique=True, allow_unicode=True)
    type = models.CharField(max_length=10, choices=Type, default=Type.TEXT)

    class Meta:
        logged = Logged("attribute")
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(condition=Q(type__in=("text", "number", "boolean")), name="attribute_type_known"),
        )

    def __str__(self) -> str:
        return self.name


class Product(Timestamped):
    """The columns that lists read. Long texts are in ProductText, so a price change updates no text index."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        DRAFT = "draft"
        ARCHIVED = "archived"

    sku = models.CharField("SKU", max_length=100, unique=True)
    slug = models.SlugField(max_length=255, unique=True, allow_unicode=True)
    title = models.CharField(max_length=500)
    # What lists by title are ordered by, in code point order on both databases (title_keys.py). A trigger writes it.
    title_key = models.TextField(default="", db_default="", editable=False)
    brand = models.ForeignKey(Brand, models.DO_NOTHING, null=True, blank=True, related_name="products", db_index=False)
    category = models.ForeignKey(
        Category, models.DO_NOTHING, null=True, blank=True, related_name="products", db_index=False
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    currency = models.CharField(max_length=3, default=default_currency)
    price = models.DecimalField(max_digits=12, decimal_places=2, default=Decimal("0.00"), editable=False)
    compare_at_price = models.DecimalField(
        max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    # Of products with a compare_at_price: the lowest price within 30 days before the present one began; null if there
    # was none. A trigger writes it (prices/triggers.py).
    lowest_price_30_days = models.DecimalField(
        "lowest price of 30 days",
        max_digits=12,
        decimal_places=2,
        null=True,
        editable=False,
        help_text="Only with a `compare_at_price`: the lowest price in force in the 30 days before the present price"
        " began. Null if there was no other.",
    )
    in_stock = models.BooleanField(default=False, editable=False)
    # NOT NULL, since lists are ordered by it. 0 means that nobody has rated the product.
    rating = models.DecimalField(
        max_digits=3,
        decimal_places=2,
        default=Decimal("0.00"),
        validators=[MinValueValidator(0), MaxValueValidator(5)],
        help_text="0 to 5; 0 means unrated.",
    )
    image_url = models.CharField(max_length=1000, blank=True, default="", editable=False)
    attributes = models.JSONField(default=dict, blank=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        logged = Logged("product", sku="sku", product="pk", derived=("title_key", "lowest_price_30_days"))
        # Everybody may read products page by page; only partners may export the whole table. An import also writes
        # brands, categories, variants, stock and images, so it has its own permission.
        permissions = (("export_product", "Can export products"), ("import_product", "Can import products"))
        constraints = (
            models.CheckConstraint(condition=Q(price__gte=0), name="product_price_not_negative"),
            models.CheckConstraint(
                condition=Q(compare_at_price=None) | Q(compare_at_price__gte=0), name="product_compare_at_not_negative"
            ),
            models.CheckConstraint(condition=Q(rating__gte=0, rating__lte=5), name="product_rating_0_to_5"),
            models.CheckConstraint(
                condition=Q(status__in=("active", "draft", "archived")), name="product_status_known"
            ),
        )
        # sku=, slug= and id= use the unique indexes; those that Django adds for LIKE are dropped by the migration
        # unread_indexes. attr.NAME= uses a GIN index, also with category= (PostgreSQL; it is made by the migration
        # filters_in_categories).
        indexes = (
            # ?ordering=±created_at, created_after and created_before within one status. Most callers see one status.
            models.Index(fields=("status", "created_at", "id"), name="product_by_status"),
            # The same for staff, who see all statuses.
            models.Index(fields=("created_at", "id"), name="product_by_created"),
            # ?brand=B&ordering=±created_at. brand_id comes first, so the foreign key needs no other index.
            models.Index(fields=("brand", "created_at", "id"), name="product_by_brand"),
            # ?brand=B&ordering=±price
            models.Index(fields=("brand", "price", "id"), name="product_by_brand_price", condition=Q(status="active")),
            # ?category=C with any other filters, in each ordering: these columns are all that it reads of products that
            # it doesn't show. Of C and those below it the rows are merged. The first is also for staff and the foreign
            # key.
            models.Index(
                fields=("category", "created_at", "id"),
                include=("status", "brand", "price", "compare_at_price", "rating", "in_stock"),
                name="product_category_by_created",
            ),
            models.Index(
                fields=("category", "price", "id"),
                include=("brand", "compare_at_price", "rating", "in_stock"),
                name="product_category_by_price",
                condition=Q(status="active"),
            ),
            models.Index(
                fields=("category", "title_key", "id"),
                include=("brand", "price", "compare_at_price", "rating", "in_stock"),
                name="product_category_by_title",
                condition=Q(status="active"),
            ),
            models.Index(
                fields=("category", "rating", "id"),
                include=("brand", "price", "compare_at_price", "in_stock"),
                name="product_category_by_rating",
                condition=Q(status="active"),
            ),
            # Whether a category has products on sale (catalog/tallies/proofs.py).
            models.Index(
                fields=("category",),
                name="product_on_sale",
                condition=Q(status="active", compare_at_price__gt=models.F("price")),
            ),
            # ?updated_since=T and ?ordering=±updated_at, also for staff. Partners sync with these.
            models.Index(fields=("updated_at", "id"), name="product_by_updated"),
            # ?ordering=±price, price_min, price_max
            models.Index(fields=("price", "id"), name="product_by_price", condition=Q(status="active")),
            # ?ordering=±title
            models.Index(fields=("title_key", "id"), name="product_by_title_key", condition=Q(status="active")),
            # ?ordering=±rating
            models.Index(fields=("rating", "id"), name="product_by_rating", condition=Q(status="active")),
        )

    def __str__(self) -> str:
        return self.title


class TallyRow(models.Model):
    """A number of active products of `category` that have the value `key` of the facet `kind`; see catalog/tallies/."""

    category = models.BigIntegerField()
    kind = models.CharField(max_length=80)
    key = models.TextField()
    number = models.IntegerField()

    class Meta:
        abstract = True
        # Only triggers and chores write it.
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.number:+} of {self.kind} {self.key} in {self.category}"


class Tally(TallyRow):
    """What was added up, one row of each value."""

    class Meta(TallyRow.Meta):
        verbose_name_plural = "tallies"
        constraints = (models.UniqueConstraint(fields=("category", "kind", "key"), name="tally_once"),)


class TallyChange(TallyRow):
    """What triggers have appended since."""

    class Meta(TallyRow.Meta):
        indexes = (models.Index(fields=("kind", "key"), name="tally_change_by_key"),)


class ProductText(models.Model):
    """The long texts of one product (1:1).

    Searches read two more columns of this table on PostgreSQL (`document` and `parts`), and two FTS5 tables on SQLite.
    """

    product = models.OneToOneField(Product, models.DB_CASCADE, primary_key=True, related_name="text")
    description = models.TextField(blank=True, default="")
    seo_title = models.CharField(max_length=500, blank=True, default="")
    seo_description = models.TextField(blank=True, default="")

    class Meta:
        # The API shows these columns as members of the product. A change here must move the product's `updated_at`,
        # so that a client that syncs by updated_since gets it.
        logged = Logged("text", product="product", touches="product")

    def __str__(self) -> str:
        return f"Texts of product {self.pk}"


class Variant(Timestamped):
    """One size or colour of a product, with its own SKU and price. Every product has at least one variant."""

    product = models.ForeignKey(Product, models.DB_CASCADE, related_name="variants", db_index=False)
    sku = models.CharField("SKU", max_length=100, unique=True)
    barcode = models.CharField(max_length=50, blank=True, default="")
    options = models.JSONField(default=dict, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, validators=[MinValueValidator(0)])
    weight = models.PositiveIntegerField(default=0, help_text="Grams.")
    position = models.PositiveIntegerField(default=1)

    objects = VariantQuerySet.as_manager()

    class Meta:
        logged = Logged("variant", sku="sku", product="product")
        ordering = ("position", "id")
        constraints = (models.CheckConstraint(condition=Q(price__gte=0), name="variant_price_not_negative"),)
        indexes = (
            # products/{id}/variants/, ?expand=variants, and the foreign key.
            models.Index(fields=("product", "position", "id"), name="variant_by_product"),
            # products/?barcode= and ?search=, which looks for beginnings: with this operator class LIKE can use it.
            models.Index(
                fields=("barcode",),
                condition=Q(barcode__gt=""),
                name="variant_by_barcode_begun",
                opclasses=("varchar_pattern_ops",),
            ),
            # variants/?updated_since=T and ?ordering=±updated_at
            models.Index(fields=("updated_at", "id"), name="variant_by_updated"),
        )

    def __str__(self) -> str:
        return self.sku


class ScheduledPrice(Timestamped):
    """A price that a variant gets at one time, and, with `ends_at`, loses at another (prices/switching.py)."""

    class State(models.TextChoices):
        WAITING = "waiting"
        ACTIVE = "active"
        # Its time is over, or, without `ends_at`, the price is set.
        ENDED = "ended"
        # No worker ran in its time.
        MISSED = "missed"

    variant = models.ForeignKey(Variant, models.DB_CASCADE, related_name="scheduled_prices", db_index=False)
    price = models.DecimalField(max_digits=12, decimal_places=2, validators=[MinValueValidator(0)])
    starts_at = models.DateTimeField("from")
    ends_at = models.DateTimeField("until", null=True, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING, editable=False)
    # While it is active: the price that returns, and the last row of the variant's history.
    price_before = models.DecimalField(max_digits=12, decimal_places=2, null=True, editable=False)
    history_id = models.BigIntegerField(null=True, editable=False)
    # When a worker has something to do with it; null if never again.
    due_at = models.DateTimeField(null=True, editable=False)
    # Who the change log names for its switches: `user:7`. Not "actor": its triggers have a variable of that name.
    author = models.CharField(max_length=100, default="", editable=False)

    class Meta:
        logged = Logged("scheduled_price", sku="variant__sku", product="variant__product")
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(condition=Q(price__gte=0), name="scheduled_price_not_negative"),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=models.F("starts_at")), name="scheduled_price_ends_later"
            ),
        )
        indexes = (
            # What is due.
            models.Index(fields=("due_at", "id"), condition=Q(due_at__isnull=False), name="scheduled_price_by_due"),
            # Overlaps; scheduled_prices/?sku=
            models.Index(fields=("variant", "starts_at"), name="scheduled_price_by_variant"),
            # scheduled_prices/?ordering=from
            models.Index(fields=("starts_at", "id"), name="scheduled_price_by_start"),
        )

    def __str__(self) -> str:
        return f"{self.price} from {self.starts_at:%Y-%m-%d %H:%M:%S}"


class Location(Timestamped):
    """A place that has stock. Orders take pieces of the sellable ones, in the order of `priority`, then of `code`.

    `Stock.location` is a code, not a foreign key: a program that writes stock by SQL may name a place before anybody
    has declared it. Nothing is sold from there.
    """

    code = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=200, blank=True, default="")
    sellable = models.BooleanField(default=True)
    priority = models.PositiveIntegerField(default=1, help_text="Orders take from the lowest number first.")
    # After a change of `sellable`: up to which stock Product.in_stock follows it (locations.py). Null if it does.
    settled_to = models.BigIntegerField(null=True, editable=False)

    class Meta:
        logged = Logged("location", derived=("settled_to",))
        ordering = ("code",)

    def __str__(self) -> str:
        return self.code


class Stock(LateVersioned):
    """The number of pieces of a variant at a location.

    This table gets the most writes, so it has few columns and no index except those of its keys.
    """

    variant = models.ForeignKey(Variant, models.DB_CASCADE, related_name="stock", db_index=False)
    location = models.CharField(max_length=32, default=MAIN)
    on_hand = models.PositiveIntegerField(default=0)
    reserved = models.PositiveIntegerField(default=0)
    # Why the pieces on hand last changed; "" if nobody said. The change log has it for each change.
    reason = models.CharField(max_length=200, blank=True, default="", db_default="")

    objects = StockQuerySet.as_manager()

    class Meta:
        logged = Logged("stock", sku="variant__sku", product="variant__product")
        ordering = ("location",)
        verbose_name_plural = "stock"
        constraints = (
            models.UniqueConstraint(fields=("variant", "location"), name="stock_once_a_location"),
            models.CheckConstraint(condition=Q(on_hand__gte=0), name="stock_on_hand_not_negative"),
            models.CheckConstraint(
                condition=Q(reserved__gte=0, reserved__lte=models.F("on_hand")), name="stock_reserved_is_on_hand"
            ),
        )

    def __str__(self) -> str:
        return f"{self.on_hand - self.reserved} free at {self.location}"


class Image(LateVersioned):
    """The URL of a picture of a product. The first one by position is the product's `image_url`.

    A URL that begins with `/media/` is an uploaded picture's (catalog/media/).
    """

    product = models.ForeignKey(Product, models.DB_CASCADE, related_name="images", db_index=False)
    url = models.CharField("URL", max_length=1000)
    alt = models.CharField("alternative text", max_length=500, blank=True, default="")
    position = models.PositiveIntegerField(default=1)
    # Known of uploaded pictures alone. A worker writes the small pictures; `{}` if there are none.
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    thumbnails = models.JSONField(null=True, editable=False)

    class Meta:
        logged = Logged("image", product="product")
        ordering = ("position", "id")
        constraints = (models.UniqueConstraint(fields=("product", "url"), name="image_once_a_product"),)
        indexes = (
            # products/{id}/images/, ?expand=images, and the foreign key.
            models.Index(fields=("product", "position", "id"), name="image_by_product"),
            # Whether a product has an uploaded picture (catalog/media/sweeping.py).
            models.Index(fields=("url",), name="image_uploaded", condition=Q(url__startswith=MEDIA)),
            # What workers look for every few seconds (catalog/media/thumbnails.py).
            models.Index(
                fields=("id",),
                name="image_without_thumbnails",
                condition=Q(url__startswith=MEDIA, thumbnails__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return self.url
