"""`manage.py bench`: Tenfold beside the usual ways on this machine; the same as `make bench`."""

from argparse import Namespace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Measure Tenfold beside the usual ways on this machine, with services of its own."
    # The benchmark checks and migrates databases of its own.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        if find_spec("tests"):
            import_module("tests.benchmarks.main").add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not find_spec("tests"):
            raise CommandError("the benchmark lies in tests/, which this installation leaves out; use a checkout")
        benchmark = import_module("tests.benchmarks.main")
        if code := benchmark.run(benchmark.read_options(Namespace(**options))):
            raise SystemExit(code)
