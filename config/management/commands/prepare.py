"""`manage.py prepare`: what `make run` does before it serves. A second run changes nothing.

It migrates, adds demo products, and prints a welcome: addresses, a login, a token and three commands to paste.
"""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Migrate, fill an empty database with demo products, and print how to sign in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--products", type=int, default=10_000, help="number of demo products (default: 10000)")

    def handle(self, *args: Any, products: int, **options: Any) -> None:
        self.stdout.write("Migrating the database")
        call_command("migrate", verbosity=0)
        call_command("seed", products=products)
        call_command("welcome")
