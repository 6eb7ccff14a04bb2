"""What an app registers in its ready() is there, and nothing that belongs to an app is forgotten."""

import re
from pathlib import Path

from django.contrib import admin

from config.api.admin import ICONS
from config.logs import DROPPED
from config.metrics import EVENTS

ROOT = Path(__file__).parent.parent
PACKAGES = ("config", "catalog", "accounts", "exports")


def test_each_table_of_the_admin_has_an_icon() -> None:
    assert set(admin.site._registry) <= set(ICONS)


def test_each_event_that_is_counted_is_registered() -> None:
    sources = (path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    counted = {name for source in sources for name in re.findall(r'\bcount\(\s*"([a-z_]+)"', source)}
    assert counted | {DROPPED} == set(EVENTS)
