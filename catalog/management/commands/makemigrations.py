"""Django's own command; it also writes FollowTable operations for logged tables (catalog/changes/operations.py)."""

from django.core.management.commands import makemigrations

from catalog.changes.autodetector import FollowingAutodetector


class Command(makemigrations.Command):
    autodetector = FollowingAutodetector
