"""Django's own command, with our autodetector: so it warns of the same missing migrations as `makemigrations`."""

from django.core.management.commands import migrate

from catalog.changes.autodetector import FollowingAutodetector


class Command(migrate.Command):
    autodetector = FollowingAutodetector
