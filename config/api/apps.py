from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.db.backends.signals import connection_created
from django_tasks_db import apps as tasks_apps

from config.api.authorship import give_setting
from config.api.freshness import note_writes
from config.api.observers import execute_observed, wrap_always


class ApiConfig(AppConfig):
    name = "config.api"
    label = "api"
    verbose_name = "Operation"

    def ready(self) -> None:
        # Not an import above: its views need loaded apps.
        import_module("config.api.checks")
        connection_created.connect(give_setting)
        for wrapper in (note_writes, execute_observed):
            connection_created.connect(wrap_always(wrapper), weak=False)


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site."""

    # False: Django would take this class for the configuration of config.api otherwise.
    default = False
    default_site = "config.api.admin.Site"


class TasksConfig(tasks_apps.TasksAppConfig):
    """The queue in the database, under a name that says what staff find there."""

    default = False
    verbose_name = "Background work"
