"""`manage.py bench`: compares Tenfold with other ways to serve a catalogue on this machine, like `make bench`."""

from argparse import Namespace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Compare Tenfold with other ways to serve a catalogue on this machine. It starts its own services."
    # The benchmark checks and migrates databases of its own.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        if find_spec("tests"):
            import_module("tests.benchmarks.main").add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not find_spec("tests"):
            raise CommandError("the benchmark is in tests/, which this installation doesn't have; use a checkout")
        benchmark = import_module("tests.benchmarks.main")
        if code := benchmark.run(benchmark.read_options(Namespace(**options))):
            raise SystemExit(code)
