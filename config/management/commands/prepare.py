"""`manage.py prepare`: what `make run` needs before it serves; a second run finds everything done.

Tables and demo products in, a welcome out: the addresses, a login, a token and three lines to paste.
"""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Migrate, fill an empty database with demo products, and say how to sign in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--products", type=int, default=10_000, help="how many demo products (default: 10000)")

    def handle(self, *args: Any, products: int, **options: Any) -> None:
        self.stdout.write("Migrating the database")
        call_command("migrate", verbosity=0)
        call_command("seed", products=products)
        call_command("welcome")
