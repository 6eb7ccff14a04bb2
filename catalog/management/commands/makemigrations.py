"""Django's own command; what it writes keeps the change log following the tables (catalog/changes/operations.py)."""

from django.core.management.commands import makemigrations

from catalog.changes.autodetector import FollowingAutodetector


class Command(makemigrations.Command):
    autodetector = FollowingAutodetector
