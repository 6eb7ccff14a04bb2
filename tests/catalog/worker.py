"""A worker whose imports, edits and undos have small batches, so that small ones are killed half way, too.

With DIES_AT=2 it kills itself before its second checkpoint: the rows of two batches are written, and one is noted.
"""

import os
import signal
from itertools import count
from typing import Any

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from catalog.changes.undo import jobs as undos  # noqa: E402 (its models need what setup() made)
from catalog.edits import jobs as edits  # noqa: E402 (the same)
from catalog.imports import runs  # noqa: E402 (the same)
from config.api.jobs.models import Job  # noqa: E402 (the same)

for batches in (runs.BATCH_WEIGHT, edits.BATCH, undos.BATCH):
    batches.update(dict.fromkeys(batches, int(os.environ["BATCH"])))

CHECKPOINTS = count(1)

write = Job.write


def write_or_die(job: Job, **values: Any) -> None:
    """Only checkpoints have a report."""
    if "report" in values and next(CHECKPOINTS) == int(os.environ.get("DIES_AT", "0")):
        os.kill(os.getpid(), signal.SIGKILL)
    write(job, **values)


Job.write = write_or_die  # type: ignore[method-assign]

if __name__ == "__main__":
    call_command("work")
