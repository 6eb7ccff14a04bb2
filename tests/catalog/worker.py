"""A worker whose imports, edits and undos have small batches, so that small ones are killed half way, too."""

import os

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from catalog.changes.undo import jobs as undos  # noqa: E402 (its models need what setup() made)
from catalog.edits import jobs as edits  # noqa: E402 (the same)
from catalog.imports import runs  # noqa: E402 (the same)

for batches in (runs.BATCH_WEIGHT, edits.BATCH, undos.BATCH):
    batches.update(dict.fromkeys(batches, int(os.environ["BATCH"])))

if __name__ == "__main__":
    call_command("work")
