"""Forms of the admin's pages: checks that one field alone can't make."""

from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Max, Model
from django.utils.text import slugify
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from catalog.locations import list_undeclared, say_undeclared
from catalog.media.forms import PicturesField
from catalog.models import Attribute, Brand, Category, Image, Location, Product, ProductText, Stock, Variant
from catalog.querysets import MAIN
from catalog.staff.attributes import AttributesWidget
from catalog.writes.declared import find_type_faults, read_types
from catalog.writes.saving import UNKNOWN_PICTURE
from catalog.writes.values import (
    ALT,
    ATTRIBUTES,
    BARCODE,
    DESCRIPTION,
    IMAGE,
    LOCATION,
    LOCATION_NAME,
    NAME,
    OPTIONS,
    REASON,
    SEO_DESCRIPTION,
    SEO_TITLE,
    SKU,
    SLUG,
    TITLE,
    BadMembers,
    BadValue,
    Object,
    Text,
)
from config.api.admin.forms import ChangedFormSet
from config.api.writes.currencies import CURRENCIES

# Category.path has 200 characters, ten for each level.
DEEPEST = 20
# The most pieces that the column takes on both databases.
GREATEST = 2**31 - 1


def read_object(rule: Object, value: Any, example: str) -> dict[str, Any]:
    """The JSON object by its rule, or `{}` for an empty field. Raises ValidationError for other JSON values."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise forms.ValidationError(f"Enter a JSON object, as in {example}.")
    try:
        return rule.read(value)
    except BadValue as error:
        raise forms.ValidationError(f"{error.tell(value)}.") from None
    except BadMembers as error:
        told = [f"{name}: {bad.tell(given)}." for name, (given, bad) in error.members.items()]
        raise forms.ValidationError(told) from None


RULES: dict[type[Model], dict[str, Text]] = {
    Product: {"sku": SKU, "slug": SLUG, "title": TITLE},
    ProductText: {"description": DESCRIPTION, "seo_title": SEO_TITLE, "seo_description": SEO_DESCRIPTION},
    Variant: {"sku": SKU, "barcode": BARCODE},
    Image: {"url": IMAGE, "alt": ALT},
    Stock: {"location": LOCATION, "reason": REASON},
    Location: {"code": LOCATION, "name": LOCATION_NAME},
    Brand: {"name": NAME, "slug": SLUG},
    Category: {"name": NAME},
    Attribute: {"name": SLUG},
}


class RuledForm[Row: Model](forms.ModelForm[Row]):
    """A form whose texts follow the rules of bodies and files. A text that nobody changed may stay as it is."""

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        for name, rule in RULES[self._meta.model].items():
            if name in self.changed_data and values.get(name):
                try:
                    values[name] = rule.read(values[name])
                except BadValue as error:
                    self.add_error(name, f"{error.tell(values[name])}.")
        return values


class PathChoiceField(forms.ModelChoiceField):  # type: ignore[type-arg]  # takes no brackets at run time
    """A category by its path: names repeat."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.breadcrumb or obj.name)


class ProductForm(RuledForm[Product]):
    pictures = PicturesField(label="Add pictures")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "attributes" in self.fields:  # not for users who may only view
            self.fields["attributes"].widget = AttributesWidget()
        if "rating" in self.fields:
            self.fields["rating"].required = False

    def clean_rating(self) -> Decimal:
        """0, which means unrated, for an empty field."""
        return self.cleaned_data["rating"] or Decimal(0)

    def clean_attributes(self) -> dict[str, Any]:
        """Checks the types of declared attributes. Values that the product already has may stay."""
        rule = ATTRIBUTES if "attributes" in self.changed_data else Object()
        attributes = read_object(rule, self.cleaned_data["attributes"], '{"material": "oak"}')
        stored = self.initial.get("attributes") or {}
        if faults := [detail for _, detail in find_type_faults(attributes, stored, read_types(attributes))]:
            raise forms.ValidationError(faults)
        return attributes

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].upper()
        if currency not in CURRENCIES:
            raise forms.ValidationError("Enter the three letters of ISO 4217, as in USD.")
        return currency


class VariantForm(RuledForm[Variant]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "options" in self.fields:
            self.fields["options"].widget.attrs["rows"] = 2

    def clean_options(self) -> dict[str, Any]:
        rule = OPTIONS if "options" in self.changed_data else Object()
        return read_object(rule, self.cleaned_data["options"], '{"Size": "M"}')


class VariantRowForm(VariantForm):
    """A variant in the table of its product, with the pieces on hand at the main location."""

    on_hand = forms.IntegerField(
        label="on hand", min_value=0, max_value=GREATEST, required=False, show_hidden_initial=True,
        widget=UnfoldAdminIntegerFieldWidget, help_text=f"Pieces at {MAIN}.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["on_hand"].initial = getattr(self.instance, "main_on_hand", None)

    def clean_on_hand(self) -> int | None:
        """Checks that no reserved piece is taken away."""
        on_hand: int | None = self.cleaned_data["on_hand"]
        if "on_hand" in self.changed_data and self.instance.pk:
            stock = Stock.objects.filter(variant=self.instance, location=MAIN).first()
            if stock and (on_hand or 0) < stock.reserved:
                raise forms.ValidationError(f"{stock.reserved} are reserved by orders: keep at least as many.")
        return on_hand

    def save_stock(self) -> None:
        """Write the pieces that were given. A row of stock is made where there is none."""
        if "on_hand" not in self.changed_data:
            return
        stock, _ = Stock.objects.select_for_update().get_or_create(variant=self.instance, location=MAIN)
        on_hand = self.cleaned_data["on_hand"] or 0
        if stock.on_hand != on_hand and on_hand >= stock.reserved:
            Stock.objects.filter(pk=stock.pk).update(on_hand=on_hand, reason="")


class StockForm(RuledForm[Stock]):
    """A location is written in lower case, and is a declared one, as by the API."""

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        code = values.get("location")
        if code and "location" in self.changed_data and list_undeclared([code]):
            self.add_error("location", say_undeclared(code))
        return values


class ImageForm(RuledForm[Image]):
    """An image whose address changes shows another picture, of which nothing is known yet."""

    def save(self, commit: bool = True) -> Any:
        if "url" in self.changed_data:
            self.instance.width = self.instance.height = self.instance.thumbnails = None
            self.changed_data.extend(UNKNOWN_PICTURE)
        return super().save(commit)


class CategoryForm(RuledForm[Category]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "slug" in self.fields:
            self.fields["slug"].required = False
            self.fields["slug"].help_text = "If empty, it is made from this name and the parent's slug."

    def clean_parent(self) -> Category | None:
        """Checks for a circle. (The database does too, but its error names no field.)"""
        parent: Category | None = self.cleaned_data["parent"]
        if parent and self.instance.path and parent.path.startswith(self.instance.path):
            raise forms.ValidationError("A category can't be below itself.")
        if parent and len(parent.path) >= DEEPEST * 10:
            raise forms.ValidationError(f"Categories can be nested at most {DEEPEST} levels deep.")
        return parent

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if not values.get("slug") and "slug" not in self.errors:
            above = parent.slug if (parent := values.get("parent")) else ""
            values["slug"] = slugify(f"{above} {values.get('name', '')}", allow_unicode=True)[:500]
            if not values["slug"]:
                self.add_error("slug", "No slug can be made from this name: enter one.")
        return values


class PlacedFormSet(ChangedFormSet):
    """New rows come behind the others, unless somebody has dragged them."""

    def save_new(self, form: Any, commit: bool = True) -> Any:
        if "position" not in form.changed_data:
            rows = self.model._default_manager.filter(**{self.fk.name: self.instance.pk})
            form.instance.position = (rows.aggregate(last=Max("position"))["last"] or 0) + 1
        return super().save_new(form, commit)


class VariantFormSet(PlacedFormSet):
    """Never deletes the last variant: a product without variants has no price."""

    def save_new(self, form: Any, commit: bool = True) -> Any:
        row = super().save_new(form, commit)
        form.save_stock()
        return row

    def save_existing(self, form: Any, obj: Model, commit: bool = True) -> Model:
        row = super().save_existing(form, obj, commit)
        form.save_stock()
        return row

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        gone = {form.instance.pk for form in self.deleted_forms}
        added = any(form.has_changed() and form not in self.deleted_forms for form in self.extra_forms)
        # The table is read, since a page of the formset has only twenty variants.
        if not added and not Variant.objects.filter(product=self.instance.pk).exclude(pk__in=gone).exists():
            raise forms.ValidationError("A product has at least one variant: keep this one, or add another.")
