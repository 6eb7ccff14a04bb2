"""A worker whose jobs have small parts and chunks that take their time, so that a test gets to it in between."""

import os
import time
from collections.abc import Iterator

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from exports.jobs import parts, planning  # noqa: E402 (its models need what setup() made)
from exports.rows import chunks as rows  # noqa: E402 (its models need what setup() made)
from exports.rows.chunks import Chunk, Query  # noqa: E402

planning.PART_ROWS = int(os.environ["PART_ROWS"])
rows.FIRST_ROWS = rows.GREATEST_ROWS = int(os.environ["CHUNK_ROWS"])
PAUSE = float(os.environ["PART_PAUSE"])
read_chunks = parts.read_chunks


def read_slowly(query: Query, after: int, upto: int) -> Iterator[Chunk]:
    for chunk in read_chunks(query, after, upto):
        time.sleep(PAUSE)
        yield chunk


parts.read_chunks = read_slowly

if __name__ == "__main__":
    call_command("work")
