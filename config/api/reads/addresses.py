"""Addresses of rows: where the key stands in them, and the field of those whose key is a text.

Paths of this server that are stored, such as those of pictures, become addresses when they are read.
"""

from typing import Any, ClassVar
from urllib.parse import quote

from django.http import HttpRequest
from django.urls import NoReverseMatch, get_script_prefix, reverse
from rest_framework.fields import CharField
from rest_framework.relations import HyperlinkedIdentityField

from config.api.reads.columns import NotCompilable

# Sample keys, by kind of column. With them an address is split into the parts before and after the key.
KEYS = {
    "number": "123456789012345678",
    "uuid": "01234567-89ab-4def-8123-456789abcdef",
    "text": "123456789012345678",
}


def find_origin(request: Any) -> str:
    """The beginning of absolute addresses: scheme, host and sub-path, such as `https://shop.example/eu`."""
    plain: HttpRequest = getattr(request, "_request", request)
    return f"{plain.scheme}://{plain.get_host()}{plain.META.get('SCRIPT_NAME', '')}"


def reverse_path(name: str, kwargs: dict[Any, Any] | None = None) -> str:
    """The path of a route without the sub-path of this thread's last request. It goes behind an origin."""
    return reverse(name, kwargs=kwargs).removeprefix(get_script_prefix()[:-1])


class TextAddressField(HyperlinkedIdentityField):
    """The address of a row whose key in it is a text, such as a slug.

    Everything but ASCII letters, digits and `-._~` is percent-encoded. Django would leave the signs of which formulas
    in a CSV are made, and a slash, behind which `..` would be another address.
    """

    def get_url(self, obj: Any, view_name: str, request: Any, format: str | None) -> str:  # noqa: A002 (DRF's name)
        before, behind = split_address(self, "text")
        key = quote(getattr(obj, self.lookup_field), safe="")
        return f"{find_origin(request)}{before}{key}{behind}"


class OwnPathField(CharField):
    """A column with an address. A path that begins with one of `own_paths` is shown behind the request's origin.

    So the stored text is right under each host, and clients of any origin can follow what they are shown.
    """

    own_paths: ClassVar[tuple[str, ...]] = ()

    def to_representation(self, value: Any) -> str:
        return complete_path(super().to_representation(value), self.own_paths, find_origin(self.context["request"]))


def complete_path(address: str, own_paths: tuple[str, ...], origin: str) -> str:
    return f"{origin}{address}" if address.startswith(own_paths) else address


def split_address(member: HyperlinkedIdentityField, kind: str) -> tuple[str, str]:
    """The parts of a row's address before and after the key, which is of this kind."""
    if kind not in KEYS or (kind == "text" and not isinstance(member, TextAddressField)):
        raise NotCompilable(f"{member.lookup_field} must be a number or a UUID, or the field a TextAddressField")
    try:
        path = reverse_path(str(member.view_name), {member.lookup_url_kwarg: KEYS[kind]})
    except NoReverseMatch as error:
        raise NotCompilable(f"there is no route {member.view_name} with {member.lookup_url_kwarg}") from error
    before, _, behind = path.partition(KEYS[kind])
    return before, behind
