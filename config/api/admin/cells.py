"""Shows values in the cells of the admin's lists: texts on one line, times, pictures."""

from datetime import datetime

from django.urls import get_script_prefix
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString


def show_unbroken(text: str) -> SafeString:
    """A value that is never broken into two lines: a SKU, a price, a time."""
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def show_moment(moment: datetime) -> SafeString:
    return show_unbroken(date_format(moment, "DATETIME_FORMAT"))


def show_picture(url: str, alt: str, size: int = 40) -> SafeString | str:
    """An image, which the browser loads only when it becomes visible."""
    if not url:
        return "-"
    picture = (
        '<img src="{}" alt="{}" height="{}" width="{}" loading="lazy" class="rounded-default object-cover"'
        # Wide lists would squeeze it.
        ' style="width:{}px;height:{}px;max-width:none">'
    )
    return format_html(picture, find_address(url), alt, size, size, size, size)


def find_address(url: str) -> str:
    """The address for a page of this site. A path of ours gets the sub-path under which it is served."""
    return f"{get_script_prefix()[:-1]}{url}" if url.startswith("/") else url
