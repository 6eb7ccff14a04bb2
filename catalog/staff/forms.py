"""Forms of the pages for staff: what a field alone can't tell."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.text import slugify

from catalog.models import Category, Product, Variant
from config.api.admin.site import ChangedFormSet

# A path holds ten digits a level in 200 letters.
DEEPEST = 20


def check_object(value: Any, example: str) -> dict[str, Any]:
    """A JSON object, `{}` for an empty field; the column is NOT NULL and its readers expect names."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise forms.ValidationError(f"A JSON object is needed, as in {example}.")
    return value


class ProductForm(forms.ModelForm[Product]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "attributes" in self.fields:  # not for whoever may only look
            self.fields["attributes"].widget.attrs["rows"] = 4
            self.fields["rating"].required = False

    def clean_rating(self) -> Decimal:
        """0, which says unrated, for an empty field."""
        return self.cleaned_data["rating"] or Decimal(0)

    def clean_attributes(self) -> dict[str, Any]:
        return check_object(self.cleaned_data["attributes"], '{"material": "oak"}')

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].upper()
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
            raise forms.ValidationError("Three letters of ISO 4217 are needed, as in USD.")
        return currency


class VariantForm(forms.ModelForm[Variant]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "options" in self.fields:
            self.fields["options"].widget.attrs["rows"] = 2

    def clean_options(self) -> dict[str, Any]:
        return check_object(self.cleaned_data["options"], '{"Size": "M"}')


class CategoryForm(forms.ModelForm[Category]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "slug" in self.fields:
            self.fields["slug"].required = False
            self.fields["slug"].help_text = "Left empty, it is made from the names from the root down."

    def clean_parent(self) -> Category | None:
        """The database refuses a circle too, but by an error without a field."""
        parent: Category | None = self.cleaned_data["parent"]
        if parent and self.instance.path and parent.path.startswith(self.instance.path):
            raise forms.ValidationError("A category can't stand below itself.")
        if parent and len(parent.path) >= DEEPEST * 10:
            raise forms.ValidationError(f"Categories nest {DEEPEST} levels deep at the most.")
        return parent

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if not values.get("slug") and "slug" not in self.errors:
            above = parent.slug if (parent := values.get("parent")) else ""
            values["slug"] = slugify(f"{above} {values.get('name', '')}", allow_unicode=True)[:500]
            if not values["slug"]:
                self.add_error("slug", "The name has no letter to make a slug of: write one.")
        return values


class VariantFormSet(ChangedFormSet):
    """Never takes the last variant away: a product without one has no price."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        gone = {form.instance.pk for form in self.deleted_forms}
        added = any(form.has_changed() and form not in self.deleted_forms for form in self.extra_forms)
        # Asked of the table, since a page of the formset shows twenty of them.
        if not added and not Variant.objects.filter(product=self.instance.pk).exclude(pk__in=gone).exists():
            raise forms.ValidationError("A product has at least one variant: keep this one, or add another.")
