"""What an app registers in its ready() is everywhere at once, and nothing that belongs to an app is forgotten."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin

from config.api.admin.lists import NO_ICON
from config.api.database.observers import WRITE_LISTENERS
from config.api.problems.stored import FINDERS, TRIALS
from config.logs import DROPPED
from config.metrics import ASKED, EVENTS, WATCHED
from tests.launching import run_command

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PACKAGES = ("config", "catalog", "accounts", "exports")

# An app that nobody knew, in the files that Django asks of it; only the settings and the addresses name it.
APP = {
    "models": """
from django.db import models
class Supplier(models.Model):
    name = models.CharField(max_length=100)
""",
    "admin": """
from django.contrib import admin
from config.api.admin.lists import BoundedAdmin
from suppliers.models import Supplier
@admin.register(Supplier)
class SupplierAdmin(BoundedAdmin):
    icon = "factory"
""",
    "views": """
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet
from suppliers.models import Supplier
class SupplierRead(ModelSerializer):
    class Meta:
        model = Supplier
        fields = ("id", "name")
class SupplierViewSet(ReadOnlyModelViewSet):
    queryset = Supplier.objects.order_by("id")
    serializer_class = SupplierRead
""",
    "apps": """
from datetime import timedelta
from django.apps import AppConfig
from config.metrics import Family, count, register_database_gauges, register_events
class SuppliersConfig(AppConfig):
    name = "suppliers"
    def ready(self):
        from catalog.home import register_tables
        from config.api.jobs.chores import register_chore
        from config.api.reads.resources import Resource, register_resource
        from config.api.reads.root_lists import register_lists
        from suppliers.models import Supplier
        from suppliers.views import SupplierRead
        register_lists({"suppliers": "supplier-list"})
        register_tables({Supplier: "Suppliers"})
        register_events({"suppliers_tidied": Family("Chores.")})
        register_database_gauges(
            lambda: {("suppliers",): Supplier.objects.count()}, {"suppliers": Family("Suppliers.")}
        )
        register_chore("tidy suppliers", lambda: count("suppliers_tidied"), every=timedelta(days=1))
        register_resource(Resource("suppliers", "suppliers.view_supplier", SupplierRead))
""",
}
SETTINGS = """
from config.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "suppliers"]
ROOT_URLCONF = "more_urls"
"""
URLS = """
from django.urls import include, path
from rest_framework.routers import SimpleRouter
from config.urls import *
from suppliers.views import SupplierViewSet
router = SimpleRouter()
router.register("suppliers", SupplierViewSet)
urlpatterns = [path("api/v1/", include(router.urls)), *urlpatterns]
"""
CODE = """
import json, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0, run_syncdb=True)
from django.test import Client
from accounts.models import User
from config.worker import Heartbeat
from suppliers.models import Supplier
from tests.factories import make_product
Supplier.objects.create(name="Acme")
make_product()
Heartbeat().run_chores()
client = Client(HTTP_HOST="localhost")
client.force_login(User.objects.create_superuser("root@example.com", "root"))
stream = client.get("/api/v1/exports/suppliers.csv")
job = {"resource": "suppliers", "format": "csv"}
print(json.dumps({
    "root": client.get("/api/v1/").json(),
    "admin": client.get("/admin/").content.decode(),
    "home": client.get("/").content.decode(),
    "metrics": client.get("/metrics").content.decode(),
    "csv": b"".join(stream.streaming_content).decode(),
    "job": client.post("/api/v1/exports/", job, content_type="application/json").json(),
    "schema": client.get("/api/v1/schema/", HTTP_ACCEPT="application/json").content.decode(),
}))
"""


@pytest.fixture(scope="module")
def seen(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a program with one more app shows, on an SQLite file of its own."""
    folder = tmp_path_factory.mktemp("more")
    shutil.copy(migrated, folder / "more.sqlite3")
    (folder / "suppliers").mkdir()
    (folder / "suppliers" / "__init__.py").touch()
    for name, source in APP.items():
        (folder / "suppliers" / f"{name}.py").write_text(source)
    (folder / "more_settings.py").write_text(SETTINGS)
    (folder / "more_urls.py").write_text(URLS)
    own = {
        "DJANGO_SETTINGS_MODULE": "more_settings",
        "PYTHONPATH": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'more.sqlite3'}",
        "REDIS_URL": "",
        "LOG_LEVEL": "CRITICAL",  # the log's thread would write its lines among the printed ones
    }
    done = run_command("-c", CODE, **own)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_list_is_at_the_root(seen: dict[str, Any]) -> None:
    assert seen["root"]["suppliers"] == "http://localhost/api/v1/suppliers/"


def test_a_table_has_its_icon_in_the_admin(seen: dict[str, Any]) -> None:
    assert re.search(r"factory\s*</span>", seen["admin"])


def test_a_table_is_counted_on_the_start_page(seen: dict[str, Any]) -> None:
    assert "<dt>Suppliers</dt><dd>1</dd>" in seen["home"]


def test_a_chore_runs_and_figures_are_scraped(seen: dict[str, Any]) -> None:
    assert "tenfold_suppliers_tidied_total 1.0" in seen["metrics"]
    assert "tenfold_suppliers 1.0" in seen["metrics"]


def test_a_resource_is_streamed_taken_by_jobs_and_described(seen: dict[str, Any]) -> None:
    assert seen["csv"].splitlines() == ["id,name", "1,Acme"]
    assert (seen["job"]["resource"], seen["job"]["status"]) == ("suppliers", "queued")
    assert "/api/v1/exports/suppliers.ndjson" in seen["schema"]


def test_an_app_that_is_ready_twice_registers_once() -> None:
    lists: list[list[Any]] = [ASKED, WATCHED, FINDERS, TRIALS, WRITE_LISTENERS]
    before = [list(registered) for registered in lists]
    for name in ("config", "api", "catalog", "accounts", "exports"):
        apps.get_app_config(name).ready()  # as Django does where a test adds an app to INSTALLED_APPS
    assert lists == before
    assert all(len(set(registered)) == len(registered) for registered in lists)


def test_each_table_of_ours_in_the_admin_has_an_icon() -> None:
    ours = {page for page in admin.site._registry.values() if page.model.__module__.startswith(PACKAGES)}
    assert len(ours) > 10
    assert [page for page in ours if getattr(page, "icon", NO_ICON) == NO_ICON] == []


def test_each_event_that_is_counted_is_registered() -> None:
    sources = [path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    counted = {name for source in sources for name in re.findall(r'\bcount\(\s*"([a-z_]+)"', source)}
    # Several at once, by name: count_all("products", "csv", export_rows=3).
    together = [call for source in sources for call in re.findall(r"(?<!def )\bcount_all\((.*)\)", source)]
    counted |= {name for call in together for name in re.findall(r"\b([a-z_]+)=", call)}
    assert counted | {DROPPED} == set(EVENTS)
