"""A form's field for several pictures at once, and what the admin does with them."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Max

from catalog.media.cleaning import MEDIA_TYPES, BadPicture, Cleaned, clean_picture
from catalog.media.storing import store_picture
from catalog.models import Image, Product

# Each is decoded while the form waits: up to a second for one of forty million pixels.
MOST_PICTURES = 20


class PicturesInput(forms.ClearableFileInput):
    """A file input that takes several files. Files can be dropped on it, as on every file input."""

    template_name = "admin/pictures_input.html"
    allow_multiple_selected = True

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """With `sent`: the names of what came with a form that is shown again. A browser doesn't keep chosen files."""
        return super().get_context(name, None, attrs) | {"sent": [file.name for file in value or () if file]}


class PicturesField(forms.FileField):
    """The pictures that somebody chose, clean and in their order. A bad one is an error that names its file."""

    def __init__(self, **options: Any) -> None:
        accept = ",".join(MEDIA_TYPES.values())
        super().__init__(required=False, widget=PicturesInput({"accept": accept, "multiple": True}), **options)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return data

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)

    def clean(self, data: Any, initial: Any = None) -> list[Cleaned]:
        files: list[UploadedFile[bytes]] = [file for file in data or () if file]
        if len(files) > MOST_PICTURES:
            raise forms.ValidationError(f"These are {len(files)} pictures; send at most {MOST_PICTURES} at once.")
        cleaned, faults = [], []
        for file in files:
            try:
                cleaned.append(clean_picture(file))
            except BadPicture as error:
                faults.append(f"{error.tell(file.name)}.")
        if faults:
            raise forms.ValidationError(faults)
        return cleaned


def add_pictures(product: Product, pictures: list[Cleaned]) -> None:
    """Show the pictures behind those that the product has. One that it has already is left alone."""
    last = Image.objects.filter(product=product).aggregate(last=Max("position"))["last"] or 0
    for position, cleaned in enumerate(pictures, start=last + 1):
        picture = store_picture(cleaned)
        more = {"alt": product.title, "position": position, **picture.members}
        Image.objects.get_or_create(product=product, url=picture.url, defaults=more)
