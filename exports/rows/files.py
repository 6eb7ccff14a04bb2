"""A query in, its whole file out in pieces: the beginning, each chunk of rows, the end."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from catalog.changes.feed import read_cursor
from config.api.database.wal_positions import read_written_position
from exports.formats.tallies import Tally
from exports.rows.chunks import Chunk, Query, Turn, find_ends, read_chunks


def encode_file(query: Query, after: int, tally: Tally, width: Callable[[], int], turn: Turn) -> Iterator[bytes]:
    """The beginning, one piece for each chunk, and the end only after all chunks."""
    # The cursor is read before the first row. Otherwise a change in between would be in neither file nor feed.
    cursor = read_cursor() if query.resource.is_followed else None
    # Replicas must have all changes before the cursor, also if the primary fails meanwhile.
    query = replace(query, least=read_written_position())
    _, end = find_ends(query)
    tally.last_id = after
    begin = query.format.begin_file(query.columns)
    tally.add(begin)
    yield begin
    # With map(), since a loop's variable would keep each chunk in memory while the next one is read.
    yield from map(partial(add_chunk, tally), read_chunks(query, after, end, width, turn))
    tally.add(last := query.format.end_file())
    yield last
    if query.trailer:
        yield query.format.finish_file(tally, cursor)


def add_chunk(tally: Tally, chunk: Chunk) -> bytes:
    tally.add(chunk.data, chunk.rows)
    tally.last_id = chunk.last_id
    return chunk.data
