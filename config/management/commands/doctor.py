"""`manage.py doctor`: reports what is wrong with this installation, and the remedies."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config.operation.doctor import Finding, Level, examine

SIGNS = {Level.OK: "ok     ", Level.WARNING: "WARNING", Level.ERROR: "ERROR  "}


class Command(BaseCommand):
    help = "Examine database, cache, worker, disk, clock and settings. The exit code is 1 if something is broken."
    # A failed check would stop the command; here it is a finding.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(examine())
        worst = max((finding.level for finding in findings), key=list(Level).index)
        if options["json"]:
            body = {"status": worst, "findings": [finding._asdict() for finding in findings]}
            self.stdout.write(json.dumps(body, indent=2))
        else:
            for finding in findings:
                self.stdout.write(write_line(finding))
        if worst is Level.ERROR:
            raise SystemExit(1)


def write_line(finding: Finding) -> str:
    line = f"{SIGNS[finding.level]}  {finding.part:8}  {finding.detail}"
    return f"{line}\n{'':19}-> {finding.remedy}" if finding.remedy else line
