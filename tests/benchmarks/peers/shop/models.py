"""The same tables, as any Django project would declare them."""

from decimal import Decimal
from typing import ClassVar

from django.db import models


class Brand(models.Model):
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=220, unique=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "catalog_brand"

    def __str__(self) -> str:
        return self.name


class Category(models.Model):
    parent = models.ForeignKey("self", models.DO_NOTHING, null=True)
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=500, unique=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "catalog_category"

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    sku = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=255, unique=True)
    title = models.CharField(max_length=500)
    brand = models.ForeignKey(Brand, models.DO_NOTHING, null=True)
    category = models.ForeignKey(Category, models.DO_NOTHING, null=True)
    status = models.CharField(max_length=10)
    currency = models.CharField(max_length=3)
    price = models.DecimalField(max_digits=12, decimal_places=2)
    compare_at_price = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    lowest_price_30_days = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    in_stock = models.BooleanField()
    rating = models.DecimalField(max_digits=3, decimal_places=2)
    image_url = models.CharField(max_length=1000)
    attributes = models.JSONField()
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "catalog_product"

    def __str__(self) -> str:
        return self.title

    @property
    def known_rating(self) -> Decimal | None:
        return self.rating or None


class Image(models.Model):
    product = models.ForeignKey(Product, models.DO_NOTHING, related_name="images")
    url = models.CharField(max_length=1000)
    alt = models.CharField(max_length=500)
    position = models.PositiveIntegerField()
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    thumbnails = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "catalog_image"
        ordering: ClassVar = ["position", "id"]

    def __str__(self) -> str:
        return self.url


class ProductText(models.Model):
    product = models.OneToOneField(Product, models.DO_NOTHING, primary_key=True, related_name="text")
    description = models.TextField()
    seo_title = models.CharField(max_length=500, default="")
    seo_description = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "catalog_producttext"

    def __str__(self) -> str:
        return self.description


class Variant(models.Model):
    product = models.ForeignKey(Product, models.DO_NOTHING, related_name="variants")
    sku = models.CharField(max_length=100, unique=True)
    barcode = models.CharField(max_length=50, default="")
    options = models.JSONField(default=dict)
    price = models.DecimalField(max_digits=12, decimal_places=2)
    weight = models.PositiveIntegerField(default=0)
    position = models.PositiveIntegerField(default=1)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "catalog_variant"

    def __str__(self) -> str:
        return self.sku


class Stock(models.Model):
    variant = models.ForeignKey(Variant, models.DO_NOTHING, related_name="stock")
    location = models.CharField(max_length=32, default="main")
    on_hand = models.PositiveIntegerField(default=0)
    reserved = models.PositiveIntegerField(default=0)

    class Meta:
        managed = False
        db_table = "catalog_stock"

    def __str__(self) -> str:
        return self.location
