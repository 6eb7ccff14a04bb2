from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.db.backends.signals import connection_created

from config.api.authorship import give_setting
from config.api.freshness import note_connection


class ApiConfig(AppConfig):
    name = "config.api"
    label = "api"
    verbose_name = "Operation"

    def ready(self) -> None:
        # Not an import above: its views need loaded apps.
        import_module("config.api.checks")
        connection_created.connect(give_setting)
        connection_created.connect(note_connection)


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site."""

    # False: Django would take this class for the configuration of config.api otherwise.
    default = False
    default_site = "config.api.admin.Site"
