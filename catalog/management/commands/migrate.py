"""Django's own command, which names the same missing migrations as `makemigrations` (commands.E001)."""

from django.core.management.commands import migrate

from catalog.changes.autodetector import FollowingAutodetector


class Command(migrate.Command):
    autodetector = FollowingAutodetector
